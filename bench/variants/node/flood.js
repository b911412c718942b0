// Links to the neighbors: each has a connection that is dialed for ever, and an outbox.

import net from 'node:net';

import { updateLine } from './protocol.js';

// Bytes handed to the connection at once; the next ones follow when it has taken them.
const PIECE = 64 * 1024;
// Waits between dials, in ms: the first, doubling to the last. Also how long a connection has to last to be a good one.
const FIRST_WAIT = 50;
const LAST_WAIT = 1000;
// Longest time (ms) that a dial may take.
const DIAL_TIMEOUT = 5000;

export class Flood {
  #links;

  constructor(name, neighbors, records, log) {
    this.#links = neighbors.map((neighbor) => new Link(name, neighbor, records, log));
  }

  start() {
    for (const link of this.#links) link.dial();
  }

  // A record that was accepted as newer, from the server of that name (if any): never waits.
  accept(record, sender) {
    for (const link of this.#links) if (link.name !== sender) link.put(record);
  }

  // Resolves once what waits is sent on the links that are up.
  stop() {
    return Promise.all(this.#links.map((link) => link.stop()));
  }
}

class Link {
  #self;
  #neighbor;
  #records;
  #log;
  #socket = null;
  #isUp = false;
  #isStopping = false;
  #wait = FIRST_WAIT;
  #saidReason = '';
  // The records that are new since the link is up, one a client; while it is down, none.
  #outbox = new Set();
  // Of all the records, those that are still to be sent since the link is up.
  #filling = [].values();
  #isScheduled = false;
  // Until the connection has taken what it was given.
  #isSending = false;

  constructor(self, neighbor, records, log) {
    this.name = neighbor.name;
    this.#self = self;
    this.#neighbor = neighbor;
    this.#records = records;
    this.#log = log;
  }

  dial() {
    const { host, port } = this.#neighbor;
    let upSince = Infinity;
    let reason = 'it ended the connection';
    const socket = net.connect({ host, port, noDelay: true, timeout: DIAL_TIMEOUT });
    this.#socket = socket;
    socket.on('timeout', () => socket.destroy(new Error('it did not answer the dial')));
    socket.on('connect', () => {
      socket.setTimeout(0);
      upSince = performance.now();
      this.#up();
    });
    socket.on('error', (error) => (reason = error.message));
    // What comes back is read and dropped.
    socket.resume();
    socket.on('close', () => {
      if (performance.now() - upSince > LAST_WAIT) this.#wait = FIRST_WAIT;
      this.#down(reason);
    });
  }

  put(record) {
    if (!this.#isUp) return;
    this.#outbox.add(record);
    this.#schedule();
  }

  stop() {
    this.#isStopping = true;
    if (this.#isUp && !this.#isSending) this.#send();
    return new Promise((resolve) => {
      if (this.#socket.closed) resolve();
      this.#socket.once('close', resolve).destroySoon();
    });
  }

  #up() {
    this.#log.info(`link to ${this.name} up`);
    this.#saidReason = '';
    // From here on the outbox takes what is newer; the iterator sees whatever is stored behind it, too.
    this.#isUp = true;
    this.#filling = this.#records.values();
    this.#schedule();
  }

  #down(reason) {
    if (this.#isUp) this.#log.info(`link to ${this.name} down: ${reason}`);
    else if (this.#saidReason !== reason) this.#log.warn(`link to ${this.name} down: ${reason}; redialing`);
    this.#saidReason = reason;
    this.#isUp = false;
    this.#outbox = new Set();
    this.#filling = [].values();
    if (this.#isStopping) return;
    // Cut by up to a half, so that servers that went down together do not dial in step.
    setTimeout(() => this.#isStopping || this.dial(), this.#wait * (0.5 + Math.random() / 2));
    this.#wait = Math.min(this.#wait * 2, LAST_WAIT);
  }

  // Once all connections that can be read have been: their updates go in one write.
  #schedule() {
    if (this.#isScheduled || this.#isSending) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      if (this.#isUp) this.#send();
    });
  }

  #send() {
    const lines = this.#outboxPiece() || this.#fillingPiece();
    if (lines === '') return;
    this.#isSending = true;
    this.#socket.write(lines, 'latin1', (error) => {
      this.#isSending = false;
      if (!error) this.#schedule();
    });
  }

  #outboxPiece() {
    let lines = '';
    for (const record of this.#outbox) {
      lines += updateLine(record.fields(), this.#self);
      this.#outbox.delete(record);
      if (lines.length >= PIECE) break;
    }
    return lines;
  }

  #fillingPiece() {
    let lines = '';
    while (lines.length < PIECE) {
      const { value, done } = this.#filling.next();
      if (done) break;
      lines += updateLine(value.fields(), this.#self);
    }
    return lines;
  }
}
