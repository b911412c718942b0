// The wire: fields, numbers, times, lines. Pure, and all text is latin1: a character is a byte.

const MAX_CLIENT = 255;
const MAX_LOCATION = 64;
const MAX_TIME = 40;
const SERVER_NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,31}$/;

// The most seconds and nanoseconds that a signed 64-bit count of nanoseconds holds.
const MAX_SECONDS = 9_223_372_036;
const MAX_NANOS = 854_775_807;
const SECOND = 1_000_000_000;

const ZERO = 48;
const POINT = 46;

// Space, tab, LF, vertical tab, form feed, CR.
const isSpace = (code) => code === 32 || (code >= 9 && code <= 13);
const isDigit = (code) => code >= 48 && code <= 57;
const isSign = (code) => code === 43 || code === 45;

// A command, or null for a line that is none. How far ahead a time is, whether a client is known and who
// may send UPDATE is for the server to say.
export function parse(line) {
  const words = fields(line);
  switch (words[0]) {
    case 'IAMAT':
      return words.length === 4 ? iamat(words) : null;
    case 'WHATSAT':
      return words.length === 4 ? whatsat(words) : null;
    case 'UPDATE':
      return words.length === 7 ? update(words) : null;
    default:
      return null;
  }
}

// `seconds` and `nanos` are the time's value; `time` is its text.
function iamat([, client, location, time]) {
  const value = parseTime(time);
  if (value === null || client.length > MAX_CLIENT || !isLocation(location)) return null;
  const { seconds, nanos } = value;
  return { command: 'IAMAT', client, location, time, seconds, nanos };
}

function whatsat([, client, radius, bound]) {
  const isValid =
    client.length <= MAX_CLIENT &&
    isNumber(radius) && !exceeds(radius, 0, radius.length, 50) &&
    isNumber(bound) && !bound.includes('.') && !exceeds(bound, 0, bound.length, 20);
  return isValid ? { command: 'WHATSAT', client, radius, bound: Number(bound) } : null;
}

function update([, client, origin, time, location, skewText, sender]) {
  const value = parseTime(time);
  const skew = normalSkew(skewText);
  const isValid =
    value !== null && skew !== null && client.length <= MAX_CLIENT && isLocation(location) &&
    isServerName(origin) && isServerName(sender);
  if (!isValid) return null;
  const { seconds, nanos } = value;
  return { command: 'UPDATE', client, origin, location, time, seconds, nanos, skew, sender };
}

// What stands between white space.
export function fields(line) {
  const words = [];
  let start = -1;
  for (let at = 0; at < line.length; at++) {
    if (!isSpace(line.charCodeAt(at))) {
      if (start < 0) start = at;
    } else if (start >= 0) {
      words.push(line.slice(start, at));
      start = -1;
    }
  }
  if (start >= 0) words.push(line.slice(start));
  return words;
}

export const isServerName = (text) => SERVER_NAME.test(text);

// Sign NUM sign NUM, latitude first.
export function isLocation(text) {
  if (text.length > MAX_LOCATION || !isSign(text.charCodeAt(0))) return false;
  const second = numberEnd(text, 1);
  if (second < 0 || !isSign(text.charCodeAt(second))) return false;
  return (
    numberEnd(text, second + 1) === text.length &&
    !exceeds(text, 1, second, 90) &&
    !exceeds(text, second + 1, text.length, 180)
  );
}

// Latitude and longitude as floats, for who asks a provider.
export function coordinates(location) {
  const second = Math.max(location.indexOf('+', 1), location.indexOf('-', 1));
  return { latitude: Number(location.slice(0, second)), longitude: Number(location.slice(second)) };
}

// Seconds and nanoseconds: a Number holds either exactly, but not both in one.
export function parseTime(text) {
  if (text.length > MAX_TIME || !isNumber(text)) return null;
  const value = decimal(text, 0);
  return value !== null && fits(value, MAX_NANOS) ? value : null;
}

// The text of a skew as AT and UPDATE carry it; of an UPDATE's, which may lack the sign and have any decimals.
export function normalSkew(text) {
  const from = isSign(text.charCodeAt(0)) ? 1 : 0;
  if (numberEnd(text, from) !== text.length) return null;
  const value = decimal(text, from);
  const isNegative = text.startsWith('-');
  if (value === null || !fits(value, isNegative ? MAX_NANOS + 1 : MAX_NANOS)) return null;
  return writeSkew(isNegative, value.seconds, value.nanos);
}

// The skew of a report that is read `now`.
export function skewOf(now, time) {
  let seconds = now.seconds - time.seconds;
  let nanos = now.nanos - time.nanos;
  const isNegative = seconds < 0 || (seconds === 0 && nanos < 0);
  if (isNegative) {
    seconds = -seconds;
    nanos = -nanos;
  }
  return nanos < 0
    ? writeSkew(isNegative, seconds - 1, nanos + SECOND)
    : writeSkew(isNegative, seconds, nanos);
}

function writeSkew(isNegative, seconds, nanos) {
  const sign = isNegative && (seconds > 0 || nanos > 0) ? '-' : '+';
  // The added second keeps the zeros in front, and is cut off.
  return `${sign}${seconds}.${String(SECOND + nanos).slice(1)}`;
}

// Less than zero if skew `a` is the lower one. As they have no needless zeros, the longer is farther from zero.
export function compareSkews(a, b) {
  if (a === b) return 0;
  if (a[0] !== b[0]) return a[0] === '-' ? -1 : 1;
  const isFarther = a.length === b.length ? a > b : a.length > b.length;
  return isFarther === (a[0] === '+') ? 1 : -1;
}

// Exact where it is near the limit; a float's rounding beyond that does not change the sign.
export const isTooFarAhead = (time, now, maxAhead) =>
  (time.seconds - now.seconds - maxAhead.seconds) * SECOND +
    (time.nanos - now.nanos - maxAhead.nanos) > 0;

// Of a NUM that starts at `from`: where it ends, or -1 if there is none.
function numberEnd(text, from) {
  const point = digitsEnd(text, from);
  if (point === from) return -1;
  if (text.charCodeAt(point) !== POINT) return point;
  const end = digitsEnd(text, point + 1);
  return end === point + 1 ? -1 : end;
}

function digitsEnd(text, from) {
  let at = from;
  while (at < text.length && isDigit(text.charCodeAt(at))) at++;
  return at;
}

const isNumber = (text) => numberEnd(text, 0) === text.length;

// True if the NUM is greater than a limit of at most three digits, however little.
function exceeds(text, from, to, limit) {
  const start = skipZeros(text, from);
  const point = digitsEnd(text, start);
  if (point - start > 3) return true;
  const whole = wholeNumber(text, start, point);
  if (whole !== limit) return whole > limit;
  return point < to && skipZeros(text, point + 1) < to;
}

// The value of a NUM that reaches to the end, cut after the ninth decimal; null if it is far too large.
function decimal(text, from) {
  const start = skipZeros(text, from);
  const point = digitsEnd(text, start);
  if (point - start > 10) return null;
  let nanos = 0;
  for (let at = point + 1; at < point + 10; at++) {
    nanos = nanos * 10 + (at < text.length ? text.charCodeAt(at) - ZERO : 0);
  }
  return { seconds: wholeNumber(text, start, point), nanos };
}

function wholeNumber(text, from, to) {
  let value = 0;
  for (let at = from; at < to; at++) value = value * 10 + text.charCodeAt(at) - ZERO;
  return value;
}

function skipZeros(text, from) {
  let at = from;
  while (text.charCodeAt(at) === ZERO) at++;
  return at;
}

const fits = ({ seconds, nanos }, mostNanos) =>
  seconds < MAX_SECONDS || (seconds === MAX_SECONDS && nanos <= mostNanos);

// Replies, and what is said to neighbors.
export const atLine = ({ origin, skew, client, location, time }) =>
  `AT ${origin} ${skew} ${client} ${location} ${time}\n`;
export const invalidLine = (line) => `? ${line}\n`;
export const updateLine = ({ origin, skew, client, location, time }, sender) =>
  `UPDATE ${client} ${origin} ${time} ${location} ${skew} ${sender}\n`;

// Places as a client gets them: no empty line inside, one behind.
export const placesText = (json) => `${json.replace(/\n{2,}/g, '\n').replace(/\n$/, '')}\n\n`;

// What keeps client bytes within their line of the log.
export const NEEDS_ESCAPE = /[^ -[\]-~]/;
const EACH_TO_ESCAPE = /[^ -[\]-~]/g;
const SHORT_ESCAPES = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

export function escape(text) {
  if (!NEEDS_ESCAPE.test(text)) return text;
  return text.replace(EACH_TO_ESCAPE, (byte) =>
    SHORT_ESCAPES[byte] ?? `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`);
}
