// The herd server on Node.js: NAME --conf FILE [--stop-on-eof]

import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { load } from './config.js';
import { Flood } from './flood.js';
import { Clock, Log } from './log.js';
import { Places } from './places.js';
import { Records } from './records.js';
import { Server } from './server.js';

const USAGE = 'usage: node bench/variants/node NAME --conf FILE [--stop-on-eof]';

// Longest time (ms) that clients, and then neighbors, may take for what they are sent last.
const LONGEST_STOP = 1000;

function readArguments() {
  const options = { conf: { type: 'string' }, 'stop-on-eof': { type: 'boolean', default: false } };
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  if (positionals.length !== 1 || values.conf === undefined) throw new Error(USAGE);
  return { name: positionals[0], file: values.conf, stopsOnEof: values['stop-on-eof'] };
}

// Resolves once the server has to stop.
function toldToStop(stopsOnEof) {
  return new Promise((resolve) => {
    process.once('SIGTERM', resolve);
    process.once('SIGINT', resolve);
    if (stopsOnEof) process.stdin.once('end', resolve).once('error', resolve).resume();
  });
}

async function main() {
  const { name, file, stopsOnEof } = readArguments();
  const conf = load(file, name);
  const clock = new Clock();
  const log = await Log.open(name, conf.log, clock);
  const records = new Records();
  const flood = new Flood(name, conf.neighbors, records, log);
  const server = new Server(conf, { records, flood, places: new Places(conf.places), log, clock });

  const stop = toldToStop(stopsOnEof);
  const port = await server.listen();
  flood.start();
  const host = conf.host.includes(':') ? `[${conf.host}]` : conf.host;
  process.stdout.write(`ready ${name} ${host}:${port}\n`);

  await stop;
  // What clients are answered is in the outboxes before these are sent. Who does not read is not waited for.
  await Promise.race([server.stop(), sleep(LONGEST_STOP)]);
  await Promise.race([flood.stop(), sleep(LONGEST_STOP)]);
  await log.close();
}

try {
  await main();
  process.exit(0);
} catch (error) {
  process.stderr.write(`herd: ${error.message}\n`);
  process.exit(1);
}
