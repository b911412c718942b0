import assert from 'node:assert/strict';
import { test } from 'node:test';

import { parse } from '../protocol.js';
import { Records, isNewer } from '../records.js';

// Some of each field, so that every step of the order decides somewhere.
function* updates() {
  for (const time of ['1.5', '1.50', '2', '1.500000001']) {
    for (const skew of ['+0.5', '-0.5', '+10']) {
      for (const origin of ['Ball', 'Hands', 'Zoo', 'a']) {
        for (const location of ['+1+1', '-1+1']) yield parse(`UPDATE kiwi ${origin} ${time} ${location} ${skew} Goloman`);
      }
    }
  }
}

const all = [...updates()];
const merged = (...updates) => {
  const records = new Records();
  for (const update of updates) records.merge(update);
  return records.get('kiwi').at;
};

test('of two different updates exactly one is newer', () => {
  for (const a of all) for (const b of all) assert.equal(isNewer(a, b), a !== b && !isNewer(b, a));
});

test('merging does not depend on who comes first', () => {
  for (const a of all) for (const b of all) assert.equal(merged(a, b), merged(b, a));
});

test('merging does not depend on what is merged first', () => {
  const some = all.filter((_, i) => i % 5 === 0);
  for (const a of some) {
    for (const b of some) {
      for (const c of some) {
        assert.equal(merged(a, b, c), merged(b, c, a));
        assert.equal(merged(a, b, c), merged(c, b, a));
      }
    }
  }
});

test('merging again changes nothing', () => {
  for (const a of all) {
    const records = new Records();
    assert.equal(records.merge(a).isStored, true);
    const { record } = records.merge(a);
    assert.equal(records.merge(a).isStored, false);
    assert.equal(records.get('kiwi'), record);
  }
});

const newest = (a, b) => merged(parse(`UPDATE kiwi ${a} Goloman`), parse(`UPDATE kiwi ${b} Goloman`));

test('the order is time, lower skew, origin, location, time text', () => {
  assert.match(newest('Z 1 +1+1 -9', 'B 1.000000001 +0+0 +9'), /^AT B /);
  assert.match(newest('Z 1 +1+1 +0.5', 'B 1 +0+0 +0.499999999'), /^AT B /);
  assert.match(newest('Z 1 +1+1 +10', 'B 1 +0+0 +9'), /^AT B /);
  assert.match(newest('Hands 1 +0+0 +1', 'Ball 1 -1+1 +1'), /^AT Hands /);
  assert.match(newest('Hands 1 +1+1 +1', 'Hands 1 -1+1 +1'), / -1\+1 1\n$/);
  assert.match(newest('Hands 1.50 +1+1 +1', 'Hands 1.5 +1+1 +1'), / 1\.50\n$/);
});

test('the same report again is the record held, and another text of the same time is merged', () => {
  const records = new Records();
  const report = (line, skew) => ({ ...parse(line), origin: 'Ball', skew });
  const first = records.report(report('IAMAT kiwi +2+2 1.5', '+1.000000000'));
  assert.equal(first.isStored, true);
  assert.deepEqual(records.report(report(' IAMAT\tkiwi +2+2 1.5', '-9.000000000')), { record: first.record, isStored: false });
  assert.equal(records.report(report('IAMAT kiwi +2+2 1.50', '-9.000000000')).isStored, true);
});

test('a record tells its fields', () => {
  const records = new Records();
  const { record } = records.merge(all[0]);
  assert.deepEqual(record.fields(), {
    origin: 'Ball', skew: '+0.500000000', client: 'kiwi', location: '+1+1', time: '1.5',
  });
  assert.equal(record.at, 'AT Ball +0.500000000 kiwi +1+1 1.5\n');
});
