// The records of all clients, and which of two is newer.

import { atLine, compareSkews } from './protocol.js';

// The merge order, on records and on commands alike: later time, then lower skew (who got it first), then the
// greater origin, location, time text. Texts are latin1, so `>` compares their bytes.
export function isNewer(a, b) {
  if (a.seconds !== b.seconds) return a.seconds > b.seconds;
  if (a.nanos !== b.nanos) return a.nanos > b.nanos;
  const skews = compareSkews(a.skew, b.skew);
  if (skews !== 0) return skews < 0;
  if (a.origin !== b.origin) return a.origin > b.origin;
  if (a.location !== b.location) return a.location > b.location;
  return a.time > b.time;
}

// What is known of one client, kept as the line that answers it. There is one for each client, and what is newer is
// written over it: so a record that waits in an outbox is the newest when it is sent.
export class Record {
  constructor(update) {
    this.client = copy(update.client);
    this.replace(update);
  }

  replace(update) {
    // `AT <origin> <skew> <client> <location> <time>` LF
    this.at = copy(atLine(update));
    this.seconds = update.seconds;
    this.nanos = update.nanos;
  }

  get origin() {
    return this.fields().origin;
  }

  get skew() {
    return this.fields().skew;
  }

  get location() {
    return this.fields().location;
  }

  get time() {
    return this.fields().time;
  }

  fields() {
    const [, origin, skew, client, location, time] = this.at.slice(0, -1).split(' ');
    return { origin, skew, client, location, time };
  }

  // True if the report's bytes are those that this record was made of.
  isOf({ client, location, time, seconds, nanos }) {
    return (
      this.seconds === seconds && this.nanos === nanos &&
      this.at.endsWith(` ${client} ${location} ${time}\n`)
    );
  }
}

export class Records {
  #byClient = new Map();

  get(client) {
    return this.#byClient.get(client);
  }

  // All of them; one that is stored meanwhile is among them.
  values() {
    return this.#byClient.values();
  }

  // Stores what is newer than what is held. Returns the record that is held then, and whether it is this one.
  merge(update) {
    return this.#mergeInto(this.#byClient.get(update.client), update);
  }

  // Like merge, for what a client reports: the same report again is the record held, whatever its skew.
  report(report) {
    const held = this.#byClient.get(report.client);
    if (held !== undefined && held.isOf(report)) return { record: held, isStored: false };
    return this.#mergeInto(held, report);
  }

  #mergeInto(held, update) {
    if (held !== undefined && !isNewer(update, held)) return { record: held, isStored: false };
    if (held !== undefined) {
      held.replace(update);
      return { record: held, isStored: true };
    }
    const record = new Record(update);
    this.#byClient.set(record.client, record);
    return { record, isStored: true };
  }
}

// Longer than the longest AT line.
const scratch = Buffer.allocUnsafeSlow(512);

// V8 cuts a string by pointing into the one that it is cut from: a record of such would keep the whole chunk of
// input that it came in.
const copy = (text) => scratch.latin1Slice(0, scratch.latin1Write(text));
