import assert from 'node:assert/strict';
import { test } from 'node:test';

import { checked, cut, plain } from '../places.js';

test('an answer within the bound stays byte for byte', () => {
  const json = '\n{\t"z" : 1.50E+007,\r\n "results":[ 1 ,"\\u00e9"] , "status":"OK","a":{} } \n\n';
  assert.equal(cut(json, 2), json);
  assert.equal(cut(json, 20), json);
});

test('more results than the bound are cut, and all else stays', () => {
  assert.equal(
    cut('{"z":-0.10e2,"results":[{"b":1.0,"a":34.068930000000000001},[2], 3 ],"status":"OK","a":1E400}', 2),
    '{"z":-0.10e2,"results":[{"b":1.0,"a":34.068930000000000001},[2]],"status":"OK","a":1E400}',
  );
  assert.equal(cut('{"status":"OK","results":[1]}', 0), '{"status":"OK","results":[]}');
});

test('brackets and quotes in strings do not count', () => {
  assert.equal(
    cut('{"a":"]}\\"","results":[{"x":"]\\\\"},{"y":"}\\""},{}],"status":"OK"}', 2),
    '{"a":"]}\\"","results":[{"x":"]\\\\"},{"y":"}\\""}],"status":"OK"}',
  );
});

test('results inside of other values are left, and repeated ones are cut alike', () => {
  assert.equal(
    cut('{"a":{"results":[1,2]},"results":[1,2],"resu\\u006cts":[3,4],"status":"OK"}', 1),
    '{"a":{"results":[1,2]},"results":[1],"resu\\u006cts":[3],"status":"OK"}',
  );
});

test('what is not an answer is refused', () => {
  const wrong = [
    '', '\n', '<html>', '[]', '{}', 'null', '{"results":[]}', '{"status":"OK"}', '{"results":{},"status":"OK"}',
    '{"results":[],"status":1}', '{"results":[],"status":"OK"} x', '{"results":[1,],"status":"OK"}',
    '{"results":["\xff"],"status":"OK"}',
  ];
  for (const text of wrong) {
    assert.throws(() => checked(Buffer.from(text, 'latin1'), ''), { status: 'UNKNOWN_ERROR' }, text);
  }
});

test('an answer is passed on as the bytes that it came in, but for one with the key in it', () => {
  const text = '{"results":["é"],"status":"OK"}';
  assert.deepEqual(Buffer.from(checked(Buffer.from(text), 'secret'), 'latin1'), Buffer.from(text));
  assert.throws(() => checked(Buffer.from('{"results":["secret"],"status":"OK"}'), 'secret'), /answer/);
});

test('deep nesting costs no stack', () => {
  const deep = '['.repeat(1 << 16) + ']'.repeat(1 << 16);
  assert.equal(cut(`{"x":${deep},"results":[${deep},1],"status":"OK"}`, 1), `{"x":${deep},"results":[${deep}],"status":"OK"}`);
});

test('numbers in a URL are written plainly', () => {
  const cases = [[34.06893, 9, '34.06893'], [-118.445127, 9, '-118.445127'], [10000, 3, '10000'], [1e-9, 9, '0.000000001'],
    [-1e-12, 9, '0'], [-0, 9, '0'], [2300.0000000000005, 3, '2300'], [100, 9, '100'], [500, 3, '500']];
  for (const [number, decimals, text] of cases) assert.equal(plain(number, decimals), text);
});
