import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { bytes, load, millis, parseToml } from '../config.js';

const dir = mkdtempSync(join(tmpdir(), 'herd-conf-'));
after(() => rmSync(dir, { recursive: true }));

function conf(text) {
  const file = join(dir, 'herd.toml');
  writeFileSync(file, text);
  return file;
}

test("the herd's own conf file is read, with its defaults", () => {
  const own = load(new URL('../../../../conf/herd.toml', import.meta.url).pathname, 'Ball');
  assert.deepEqual([own.host, own.port], ['127.0.0.1', 12001]);
  assert.deepEqual(own.neighbors.map(({ name, port }) => [name, port]), [['Holiday', 12003], ['Welsh', 12004]]);
  assert.deepEqual([own.maxConnections, own.maxLine, own.maxAhead.seconds], [12_000, 8192, 86_400]);
  assert.equal(own.commandsPerConnection, Infinity);
  assert.deepEqual([own.places.provider, own.places.timeout], ['gazetteer', 5000]);
  assert.deepEqual([own.log.dir, own.log.traffic, own.log.max_size, own.log.keep], ['logs', true, 64 * 2 ** 20, 5]);
});

test('a neighbor listed on one side counts for both, and once', () => {
  const file = conf(`
    [[server]]
    name = "A"
    listen = "127.0.0.1:1"
    neighbors = ["B"]
    [[server]]
    name = "B"
    listen = "[::1]:2"
    neighbors = ["A"]
    [[server]]
    name = "C"
    listen = "localhost:3"
    neighbors = ["A"]
  `);
  const neighbors = (name) => load(file, name).neighbors.map((neighbor) => neighbor.name);
  assert.deepEqual(neighbors('A'), ['B', 'C']);
  assert.deepEqual(neighbors('B'), ['A']);
  assert.deepEqual(neighbors('C'), ['A']);
  assert.deepEqual(load(file, 'A').neighbors[0], { name: 'B', host: '::1', port: 2 });
});

test('what a conf file cannot mean is refused', () => {
  const server = (lines) => `[[server]]\nname = "A"\nlisten = "127.0.0.1:1"\n${lines}`;
  const wrong = {
    'no server B': ['B', server('')],
    'its neighbor C': ['A', server('neighbors = ["C"]')],
    'no address': ['A', server('').replace(':1', '')],
    'API key': ['A', server('[places]\nprovider = "google-legacy"')],
    '"8" has to be a number': ['A', server('[limits]\nmax_line = "8"')],
    'line 4': ['A', server('neighbors = [')],
  };
  for (const [what, [name, text]] of Object.entries(wrong)) {
    assert.throws(() => load(conf(text), name), (error) => error.message.includes(what), what);
  }
});

test('tables, strings, numbers, booleans and arrays are read', () => {
  const text = `top = 'li#teral' # comment
    [a]
    text = "x # \\"y\\" \\u00e9"
    number = -1_000
    truth = false
    list = [ "a", # one
      "b",
    ]
    empty = []
    [[many]]
    one = 1
    [[many]]`;
  assert.deepEqual(parseToml(text), {
    top: 'li#teral',
    a: { text: 'x # "y" é', number: -1000, truth: false, list: ['a', 'b'], empty: [] },
    many: [{ one: 1 }, {}],
  });
});

test('what is no part of that is refused with its line', () => {
  for (const text of ['[a]\nb', '[a]\nb = ', '[a]\nb = "c', '[a]\nb = [1 2]', '[a]\nb = 1 c = 2 ?', '[a]\n= 1']) {
    assert.throws(() => parseToml(text), /line [12] of the conf file/, text);
  }
});

test('sizes and durations have units', () => {
  assert.deepEqual(['8KiB', '64MB', '512B', 8192].map(bytes), [8192, 64_000_000, 512, 8192]);
  assert.deepEqual(['250ms', '5s', '10m', '1h 30m', '30d'].map(millis), [250, 5000, 600_000, 5_400_000, 2_592_000_000]);
  for (const wrong of ['', '5', '5 parsecs', 's', '5s x']) assert.throws(() => millis(wrong), undefined, wrong);
});
