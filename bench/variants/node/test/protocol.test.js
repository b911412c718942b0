import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  compareSkews, coordinates, escape, fields, isLocation, isServerName, isTooFarAhead, normalSkew, parse, parseTime,
  placesText, skewOf,
} from '../protocol.js';

const time = (text) => {
  const value = parseTime(text);
  return value && [value.seconds, value.nanos];
};

test('a time is exact to the nanosecond, and cut after it', () => {
  assert.deepEqual(time('1479413884.392014450'), [1479413884, 392014450]);
  assert.deepEqual(time('007.5'), [7, 500000000]);
  assert.deepEqual(time('1.9999999999'), [1, 999999999]);
  assert.deepEqual(time('0'), [0, 0]);
});

test('a time is digits, or digits point digits', () => {
  for (const wrong of ['', '.', '5.', '.5', '1e3', '+1', '-1', '1.2.3', '0x1', '1_0', '\xd9\xa1', '1..2']) {
    assert.equal(time(wrong), null, wrong);
  }
});

test('a time of more than 64 signed bits or 40 bytes is none', () => {
  assert.deepEqual(time('9223372036.854775807'), [9223372036, 854775807]);
  assert.equal(time('9223372036.854775808'), null);
  assert.equal(time('18446744073709551617'), null);
  assert.deepEqual(time(`1.${'0'.repeat(38)}`), [1, 0]);
  assert.equal(time(`1.${'0'.repeat(39)}`), null);
});

test('a skew is brought to sign and nine decimals', () => {
  assert.equal(normalSkew('0.263873386'), '+0.263873386');
  assert.equal(normalSkew('-00012.5'), '-12.500000000');
  assert.equal(normalSkew('-0.0000000019'), '-0.000000001');
  assert.equal(normalSkew('-0.0000000009'), '+0.000000000');
  assert.equal(normalSkew('9223372036.8547758079'), '+9223372036.854775807');
  assert.equal(normalSkew('-9223372036.854775808'), '-9223372036.854775808');
  for (const wrong of ['', '+', '+-1', '5.', '.5', '1e1', '9223372036.854775808', '-9223372036.854775809']) {
    assert.equal(normalSkew(wrong), null, wrong);
  }
});

test('a skew is the clock minus the time', () => {
  const now = { seconds: 10, nanos: 5 };
  assert.equal(skewOf(now, { seconds: 10, nanos: 5 }), '+0.000000000');
  assert.equal(skewOf(now, { seconds: 9, nanos: 999999999 }), '+0.000000006');
  assert.equal(skewOf(now, { seconds: 10, nanos: 6 }), '-0.000000001');
  assert.equal(skewOf(now, { seconds: 22, nanos: 6 }), '-12.000000001');
  assert.equal(skewOf(now, { seconds: 12, nanos: 0 }), '-1.999999995');
});

test('skews are compared by value', () => {
  const order = ['-10.000000000', '-9.000000000', '-0.000000001', '+0.000000000', '+9.000000000', '+10.000000000'];
  order.forEach((a, i) => order.forEach((b, j) => {
    assert.equal(Math.sign(compareSkews(a, b)), Math.sign(i - j), `${a} ${b}`);
  }));
});

test('how far ahead a time is is judged to the nanosecond', () => {
  const now = { seconds: 100, nanos: 999_999_999 };
  const most = { seconds: 10, nanos: 5 };
  assert.equal(isTooFarAhead({ seconds: 111, nanos: 4 }, now, most), false);
  assert.equal(isTooFarAhead({ seconds: 111, nanos: 5 }, now, most), true);
  assert.equal(isTooFarAhead({ seconds: 9223372036, nanos: 0 }, now, most), true);
  assert.equal(isTooFarAhead({ seconds: 0, nanos: 0 }, now, most), false);
});

test('fields stand between white space of six kinds', () => {
  assert.deepEqual(fields(' \t\r\n\f\va  b\x0bc\r'), ['a', 'b', 'c']);
  assert.deepEqual(fields('a\x00\xa0\x85b'), ['a\x00\xa0\x85b']);
  assert.deepEqual(fields(' \r'), []);
});

test('a location is two signed decimals in range', () => {
  for (const right of ['+34.068930-118.445127', '+0+0', '-90-180', '+90.0+180.000', '+0090-00180', '-0-0']) {
    assert.equal(isLocation(right), true, right);
  }
  const wrong = [
    '', '+', '+1', '1+1', '+1+', '+1+1+1', '++1+1', '+1.+1', '+.5+1', '+1e1+1', '+1+1 ', '+91+0',
    '+90.00000000000000000001+0', '-90.1+0', '+0+180.0000000001', '+0-181', '+NaN+0', '+1,+1',
  ];
  for (const location of wrong) assert.equal(isLocation(location), false, location);
  assert.equal(isLocation(`+1.${'0'.repeat(59)}+2`), true);
  assert.equal(isLocation(`+1.${'0'.repeat(60)}+2`), false);
});

test('coordinates keep sign and order', () => {
  assert.deepEqual(coordinates('-00.5+180'), { latitude: -0.5, longitude: 180 });
  assert.deepEqual(coordinates('+34.5-118.25'), { latitude: 34.5, longitude: -118.25 });
});

test('radius and bound are compared as decimals', () => {
  const isValid = (radius, bound) => parse(`WHATSAT kiwi ${radius} ${bound}`) !== null;
  for (const radius of ['0', '50', '050.000', '49.99999999999999999999']) assert.ok(isValid(radius, '20'), radius);
  for (const radius of ['50.00000000000000000001', '51', '-1', '5.', '.5', '1e1', `1${'0'.repeat(99)}`]) {
    assert.ok(!isValid(radius, '20'), radius);
  }
  for (const bound of ['0', '00020', '0'.repeat(60)]) assert.ok(isValid('1', bound), bound);
  for (const bound of ['21', '1.0', '+1', '-0', '4294967296', '18446744073709551616', 'five']) {
    assert.ok(!isValid('1', bound), bound);
  }
});

test('an update has seven fields and names of servers', () => {
  const line = (origin, sender) => `UPDATE kiwi ${origin} 1.5 +1+1 0.5 ${sender}`;
  const { command, client, origin, skew, sender } = parse(line('Hands', 'a.B_c-9.'));
  assert.deepEqual([command, client, origin, skew, sender], ['UPDATE', 'kiwi', 'Hands', '+0.500000000', 'a.B_c-9.']);
  assert.equal(parse(line('.Hands', 'Goloman')), null);
  assert.equal(parse(line('Hands', 'Golo/man')), null);
  assert.equal(parse(`${line('Hands', 'Goloman')} more`), null);
  assert.equal(isServerName('H'.repeat(32)), true);
  assert.equal(isServerName('H'.repeat(33)), false);
});

test('command words are exact', () => {
  assert.notEqual(parse('IAMAT kiwi +1+1 1'), null);
  for (const line of ['iamat kiwi +1+1 1', 'IAMATS kiwi +1+1 1', 'IAMAT kiwi +1+1', 'AT kiwi +1+1 1', '', ' ']) {
    assert.equal(parse(line), null, line);
  }
  assert.notEqual(parse(`IAMAT ${'x'.repeat(255)} +1+1 1`), null);
  assert.equal(parse(`IAMAT ${'x'.repeat(256)} +1+1 1`), null);
});

test('places have no empty line inside and one behind', () => {
  assert.equal(placesText('{\n\n\n"a": 1\n}\n\n'), '{\n"a": 1\n}\n\n');
  assert.equal(placesText('{}'), '{}\n\n');
});

test('client bytes stay within their line of the log', () => {
  assert.equal(escape('IAMAT kiwi +34-118 1.5 ~'), 'IAMAT kiwi +34-118 1.5 ~');
  assert.equal(escape('a\\b\nc\rd\te\0f\x7fg\xffh'), 'a\\\\b\\nc\\rd\\te\\x00f\\x7fg\\xffh');
});
