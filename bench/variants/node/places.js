// Who WHATSAT asks for what is near, and how an answer is cut.

import http from 'node:http';
import https from 'node:https';

import { coordinates } from './protocol.js';

// Longest answer that is read, in bytes.
const MAX_BODY = 4 * 1024 * 1024;

const FAILURES = {
  400: ['INVALID_REQUEST', 'did not understand the request'],
  401: ['REQUEST_DENIED', 'refused the request: is its API key right?'],
  403: ['REQUEST_DENIED', 'refused the request: is its API key right?'],
  429: ['OVER_QUERY_LIMIT', 'has been asked too often: try again later'],
};

export const NONE = '{"html_attributions": [], "results": [], "status": "ZERO_RESULTS"}';

// Why there are no places, as a client is told.
class Failure extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }

  get json() {
    return `{"html_attributions": [], "results": [], "status": "${this.status}", ` +
      `"error_message": ${JSON.stringify(this.message)}}`;
  }
}

export class Places {
  #conf;
  #module;
  #agent;
  #calls = 0;
  // Look-ups that wait for a call.
  #queue = [];

  constructor(conf) {
    this.#conf = conf;
    this.#module = conf.base_url.startsWith('https:') ? https : http;
    this.#agent = new this.#module.Agent({ keepAlive: true, maxSockets: conf.workers, maxFreeSockets: conf.workers });
  }

  // Calls `answer` once with JSON of at most `bound` results, latin1. Never throws.
  ask(location, radius, bound, answer) {
    const { provider, workers, queue } = this.#conf;
    if (provider !== 'google-legacy') {
      answer(new Failure('REQUEST_DENIED', `this server cannot ask the provider ${provider}`).json);
    } else if (this.#calls < workers) {
      this.#start({ location, radius, bound, answer });
    } else if (this.#queue.length < queue) {
      this.#queue.push({ location, radius, bound, answer, since: performance.now() });
    } else {
      answer(overload().json);
    }
  }

  async #start({ location, radius, bound, answer }) {
    this.#calls++;
    let json;
    try {
      json = cut(checked(await this.#call(this.#url(location, radius)), this.#conf.key), bound);
    } catch (error) {
      json = (error instanceof Failure ? error : unknown(`could not be asked: ${error.code ?? error.name}`)).json;
    }
    this.#calls--;
    this.#startNext();
    answer(json);
  }

  #startNext() {
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      if (performance.now() - next.since <= this.#conf.timeout) {
        this.#start(next);
        return;
      }
      next.answer(overload().json);
    }
  }

  #url(location, radius) {
    const { latitude, longitude } = coordinates(location);
    const query = `location=${plain(latitude, 9)},${plain(longitude, 9)}&radius=${plain(radius * 1000, 3)}`;
    const base = this.#conf.base_url.replace(/\/+$/, '');
    return `${base}/maps/api/place/nearbysearch/json?${query}&key=${encodeURIComponent(this.#conf.key)}`;
  }

  // Resolves to the body of an answer with status 200.
  #call(url, isRetry = false) {
    return new Promise((resolve, reject) => {
      const request = this.#module.get(url, { agent: this.#agent }, (response) => {
        collect(response).then((body) => resolve(body), reject);
      });
      const late = setTimeout(() => {
        request.destroy(unknown(`did not answer within ${this.#conf.timeout} ms`));
      }, this.#conf.timeout);
      request.on('close', () => clearTimeout(late));
      request.on('error', (error) => {
        // A kept connection may be closed by the other side just as it is used again.
        if (request.reusedSocket && error.code === 'ECONNRESET' && !isRetry) resolve(this.#call(url, true));
        else reject(error);
      });
    });
  }
}

async function collect(response) {
  const { statusCode } = response;
  const chunks = [];
  let length = 0;
  for await (const chunk of response) {
    length += chunk.length;
    if (length > MAX_BODY) throw unknown('answered with more than 4 MiB');
    chunks.push(chunk);
  }
  if (statusCode === 200) return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
  const [status, what] = FAILURES[statusCode] ?? ['UNKNOWN_ERROR', 'failed: try again later'];
  throw new Failure(status, `the places service ${what} (HTTP ${statusCode})`);
}

const unknown = (what) => new Failure('UNKNOWN_ERROR', `the places service ${what}`);
const overload = () =>
  new Failure('OVER_QUERY_LIMIT', 'too many look-ups wait for the places provider; ask again later');

// At most so many decimals, no exponent, no plus.
export function plain(number, decimals) {
  const text = number.toFixed(decimals).replace(/\.?0+$/, '');
  return text === '-0' ? '0' : text;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

// The answer's bytes as latin1, if they are an answer in the right shape that does not give the key away.
export function checked(body, key) {
  let answer;
  try {
    answer = JSON.parse(utf8.decode(body));
  } catch {
    throw unknown('answered with something that is not JSON');
  }
  if (!Array.isArray(answer?.results) || typeof answer.status !== 'string') {
    throw unknown('answered without results or status');
  }
  const text = body.latin1Slice();
  if (key !== '' && text.includes(key)) throw unknown('answered with the API key in its answer');
  return text;
}

// The text of an answer with at most `bound` results: what is left stands as it came. The text is known to be JSON.
export function cut(text, bound) {
  let cutText = '';
  let from = 0;
  for (const { key, start, end } of members(text)) {
    if (key !== 'results' || text[start] !== '[') continue;
    const elements = [...items(text, start)];
    if (elements.length <= bound) continue;
    const keepTo = bound === 0 ? start + 1 : elements[bound - 1].end;
    cutText += text.slice(from, keepTo);
    from = end - 1;
  }
  return cutText + text.slice(from);
}

// The members of the outermost object: where their values stand.
function* members(text) {
  for (let at = skipSpace(text, skipSpace(text, 0) + 1); text[at] === '"'; ) {
    const keyEnd = valueEnd(text, at);
    const start = skipSpace(text, skipSpace(text, keyEnd) + 1);
    const end = valueEnd(text, start);
    yield { key: JSON.parse(text.slice(at, keyEnd)), start, end };
    at = nextAfter(text, end);
  }
}

// The elements of the array that starts there.
function* items(text, arrayStart) {
  for (let at = skipSpace(text, arrayStart + 1); text[at] !== ']'; ) {
    const end = valueEnd(text, at);
    yield { start: at, end };
    at = nextAfter(text, end);
  }
}

// Behind the comma, or at the bracket.
function nextAfter(text, end) {
  const at = skipSpace(text, end);
  return text[at] === ',' ? skipSpace(text, at + 1) : at;
}

function skipSpace(text, from) {
  let at = from;
  while (text[at] === ' ' || text[at] === '\n' || text[at] === '\r' || text[at] === '\t') at++;
  return at;
}

// Strings whole, so that the brackets in them do not count.
const BRACKET_OR_STRING = /[[\]{}]|"(?:[^"\\]|\\.)*"/gs;
const SCALAR = /"(?:[^"\\]|\\.)*"|[^\s,\]}]+/ys;

function valueEnd(text, start) {
  if (text[start] !== '[' && text[start] !== '{') {
    SCALAR.lastIndex = start;
    SCALAR.exec(text);
    return SCALAR.lastIndex;
  }
  BRACKET_OR_STRING.lastIndex = start;
  let depth = 0;
  do {
    const [token] = BRACKET_OR_STRING.exec(text);
    if (token === '[' || token === '{') depth++;
    else if (token === ']' || token === '}') depth--;
  } while (depth > 0);
  return BRACKET_OR_STRING.lastIndex;
}
