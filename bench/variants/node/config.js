// The conf file: the part of TOML that it is written in, and the keys that this server heeds.

import { readFileSync } from 'node:fs';

import { isServerName } from './protocol.js';

const DEFAULTS = {
  pool: { max_connections: 12_000 },
  limits: { max_line: '8KiB', max_ahead: '24h', commands_per_connection: Infinity },
  places: { provider: 'gazetteer', base_url: 'https://maps.googleapis.com', timeout: '5s', workers: 16, queue: 1024 },
  log: { dir: 'logs', traffic: true, max_size: '64MiB', keep: 5 },
};

// What the server `name` of the conf file has to know.
export function load(file, name) {
  const conf = parseToml(readFileSync(file, 'utf8'));
  const table = (key) => ({ ...DEFAULTS[key], ...conf[key] });
  const [pool, limits, places, log] = ['pool', 'limits', 'places', 'log'].map(table);
  return {
    ...server(conf.server ?? [], name),
    maxConnections: pool.max_connections,
    maxLine: bytes(limits.max_line),
    maxAhead: { seconds: Math.floor(millis(limits.max_ahead) / 1000), nanos: (millis(limits.max_ahead) % 1000) * 1e6 },
    commandsPerConnection: limits.commands_per_connection,
    places: { ...places, timeout: millis(places.timeout), key: places.provider === 'google-legacy' ? key(places) : '' },
    log: { ...log, max_size: bytes(log.max_size) },
  };
}

function server(servers, name) {
  for (const { name } of servers) {
    if (!isServerName(name)) throw new Error(`[[server]] name = ${JSON.stringify(name)} is no name of a server`);
  }
  const own = servers.find((one) => one.name === name);
  if (own === undefined) {
    throw new Error(`the conf file has no server ${name}, but ${servers.map((one) => one.name).join(', ')}`);
  }
  // Listed on one side, it counts for both.
  const names = new Set(own.neighbors);
  for (const one of servers) if (one.neighbors?.includes(name)) names.add(one.name);
  names.delete(name);
  const neighbors = [...names].map((neighbor) => {
    const found = servers.find((one) => one.name === neighbor);
    if (found === undefined) throw new Error(`server ${name}: its neighbor ${neighbor} is no server of the conf file`);
    return { name: neighbor, ...address(found.listen) };
  });
  return { name, ...address(own.listen), neighbors };
}

// HOST:PORT or [IPV6]:PORT.
function address(text) {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  if (match === null) throw new Error(`${text} is no address; write HOST:PORT`);
  return { host: match[1] ?? match[2], port: Number(match[3]) };
}

function key({ key_env: variable, key_file: file }) {
  const text = process.env[variable] ?? (file && readFileSync(file, 'utf8'));
  if (!text?.trim()) throw new Error('[places] the provider needs an API key, from key_env or key_file');
  if (!/^[!-~]+$/.test(text.trim())) throw new Error('[places] the API key may only have visible ASCII characters');
  return text.trim();
}

const UNITS = {
  bytes: { B: 1, KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 },
  millis: { ms: 1, s: 1e3, m: 60e3, h: 3_600e3, d: 86_400e3 },
};

// A number, or a text such as "8KiB".
export const bytes = (value) => (typeof value === 'number' ? value : quantity(value, UNITS.bytes));

// A text such as "250ms" or "1h 30m".
export const millis = (value) => quantity(value, UNITS.millis);

function quantity(value, units) {
  const parts = [...String(value).matchAll(/\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*/gy)];
  const isWhole = parts.length > 0 && parts.map(([part]) => part).join('') === value;
  const sum = parts.reduce((sum, [, number, unit]) => sum + Number(number) * units[unit], 0);
  if (!isWhole || Number.isNaN(sum)) {
    throw new Error(`${JSON.stringify(value)} has to be a number and one of ${Object.keys(units).join(', ')}`);
  }
  return Math.round(sum);
}

// Tables, arrays of tables, and keys with strings, whole numbers, booleans or arrays of these.
export function parseToml(text) {
  const tokens = new Tokens(text);
  const conf = {};
  let table = conf;
  for (;;) {
    const header = tokens.take(/(?:\s|#.*)*(\[\[?)\s*([\w-]+)\s*\]{1,2}/y);
    if (header !== null) {
      table = open(conf, header[2], header[1] === '[[');
      continue;
    }
    const name = tokens.take(/(?:\s|#.*)*([\w-]+|"[^"\n]*")[^\S\n]*=[^\S\n]*/y);
    if (name === null) break;
    table[name[1].replaceAll('"', '')] = tokens.value();
  }
  tokens.end();
  return conf;
}

function open(conf, name, isOneOfMany) {
  const table = {};
  if (isOneOfMany) (conf[name] ??= []).push(table);
  else if (name in conf) throw new Error(`the conf file has two tables [${name}]`);
  else conf[name] = table;
  return table;
}

class Tokens {
  #text;
  #at = 0;

  constructor(text) {
    this.#text = text;
  }

  take(pattern) {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match !== null) this.#at = pattern.lastIndex;
    return match;
  }

  value() {
    if (this.take(/\[/y) !== null) return this.#array();
    const basic = this.take(/"(?:[^"\\\n]|\\.)*"/y);
    // TOML's escapes are those of JSON, but for a rare one.
    if (basic !== null) return JSON.parse(basic[0]);
    const literal = this.take(/'([^'\n]*)'/y);
    if (literal !== null) return literal[1];
    const word = this.take(/true\b|false\b/y);
    if (word !== null) return word[0] === 'true';
    const number = this.take(/[+-]?\d[\d_]*(?![\w.:-])/y);
    return number === null ? this.#fail() : Number(number[0].replaceAll('_', ''));
  }

  #array() {
    const values = [];
    const skip = () => this.take(/(?:\s|#.*)*/y);
    for (skip(); this.take(/\]/y) === null; skip()) {
      values.push(this.value());
      skip();
      if (this.take(/,/y) === null && !/\]/y.test(this.#text[this.#at])) this.#fail();
    }
    return values;
  }

  end() {
    this.take(/(?:\s|#.*)*/y);
    if (this.#at < this.#text.length) this.#fail();
  }

  #fail() {
    const line = this.#text.slice(0, this.#at).split('\n').length;
    throw new Error(`line ${line} of the conf file cannot be read`);
  }
}
