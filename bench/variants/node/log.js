// The clock, and DIR/NAME.log. Lines are gathered in memory and written in pieces by libuv's threads, so that a disk
// that stalls stalls nobody.

import { mkdir, open, rename } from 'node:fs/promises';
import { join } from 'node:path';

import { escape } from './protocol.js';

// Bytes of a piece, and of the pieces that are written at once.
const PIECE = 64 * 1024;
const MOST_WRITTEN = 4 * 1024 * 1024;
// Bytes that may wait for the disk. Links and errors have twice the room of traffic.
const MOST_WAITING = 16 * 1024 * 1024;
// Longest time (ms) that a line waits for company, and that a failed write waits for the next try.
const DELAY = 250;
const RETRY = 1000;
// Longest time (ms) that the last lines may take.
const CLOSING = 5000;

// The time of day to the nanosecond, as far as the machine tells: Date.now() has milliseconds only, so its time is
// carried on by the monotonic clock, and set right again when the two part.
export class Clock {
  seconds = 0;
  nanos = 0;
  #base = Math.floor(Date.now() / 1000);
  #shift = -Infinity;
  #stampSecond = -1;
  #stampText = '';

  constructor() {
    // At the turn of a millisecond Date.now() is exact.
    const start = Date.now();
    while (Date.now() === start);
    this.#adjust();
    setInterval(() => this.#adjust(), 100).unref();
  }

  // Takes the time: a turn has one for all its commands.
  read() {
    const millis = performance.now() + this.#shift;
    const seconds = Math.floor(millis / 1000);
    this.seconds = this.#base + seconds;
    this.nanos = Math.floor((millis - seconds * 1000) * 1e6);
    return this;
  }

  // The time taken last: `2026-11-27T17:30:00.123456Z`.
  stamp() {
    if (this.#stampSecond !== this.seconds) {
      this.#stampSecond = this.seconds;
      this.#stampText = new Date(this.seconds * 1000).toISOString().slice(0, 20);
    }
    return `${this.#stampText}${String(1_000_000 + Math.floor(this.nanos / 1000)).slice(1)}Z`;
  }

  // Date.now() cuts, so it is up to a millisecond behind: the greatest difference is the right one.
  #adjust() {
    const shift = Date.now() - this.#base * 1000 - performance.now();
    if (shift > this.#shift || shift < this.#shift - 2) this.#shift = shift;
  }
}

export class Log {
  #file;
  #clock;
  // Lines that make no piece yet, and pieces that wait for the disk.
  #lines = '';
  #pieces = [];
  #waiting = 0;
  #dropped = { traffic: 0, events: 0 };
  #isWriting = false;
  #isClosing = false;
  #hasFailed = false;
  #timer = setInterval(() => this.#tick(), DELAY);

  // Throws if the file cannot be opened.
  static async open(name, { dir, traffic, max_size: maxSize, keep }, clock) {
    await mkdir(dir, { recursive: true });
    const file = new LogFile(join(dir, `${name}.log`), maxSize, keep);
    await file.ready();
    return new Log(file, traffic, clock);
  }

  constructor(file, wantsTraffic, clock) {
    this.#file = file;
    this.wantsTraffic = wantsTraffic;
    this.#clock = clock;
  }

  // Whole lines, with their time and escaped.
  traffic(lines, count) {
    if (this.#waiting + lines.length > MOST_WAITING) this.#dropped.traffic += count;
    else this.#add(lines);
  }

  info(message) {
    this.#event('INFO ', message);
  }

  warn(message) {
    this.#event('WARN ', message);
  }

  #event(level, message) {
    const line = `${this.#clock.read().stamp()} ${level} ${escape(message)}\n`;
    if (this.#waiting + line.length > 2 * MOST_WAITING) this.#dropped.events += 1;
    else this.#add(line);
  }

  #add(lines) {
    this.#waiting += lines.length;
    this.#lines += lines;
    if (this.#lines.length >= PIECE) this.#seal();
  }

  // Writes what waits, in one more try if the disk fails. Nothing may be added after.
  async close() {
    clearInterval(this.#timer);
    this.#isClosing = true;
    this.#sayDropped();
    this.#seal();
    const giveUpAt = performance.now() + CLOSING;
    while (this.#pieces.length > 0 && !this.#hasFailed && performance.now() < giveUpAt) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  #tick() {
    this.#sayDropped();
    if (this.#lines !== '') this.#seal();
  }

  #sayDropped() {
    const { traffic, events } = this.#dropped;
    if (traffic + events === 0 || this.#waiting > MOST_WAITING) return;
    this.#dropped = { traffic: 0, events: 0 };
    this.warn(`log dropped ${traffic} traffic lines and ${events} events: it grew faster than the disk took it`);
  }

  // As bytes, lines take the room that they are counted with.
  #seal() {
    if (this.#lines !== '') this.#pieces.push(Buffer.from(this.#lines, 'latin1'));
    this.#lines = '';
    if (!this.#isWriting) this.#write();
  }

  async #write() {
    this.#isWriting = true;
    while (this.#pieces.length > 0) {
      try {
        this.#forget(await this.#file.write(this.#pieces.slice(0, MOST_WRITTEN / PIECE)));
      } catch (error) {
        process.stderr.write(`herd: the log: ${error.message}; lines wait, and are dropped when too many do\n`);
        this.#hasFailed = true;
        if (this.#isClosing) break;
        await new Promise((resolve) => setTimeout(resolve, RETRY));
        this.#hasFailed = false;
      }
    }
    this.#isWriting = false;
  }

  // What is written, to the byte.
  #forget(written) {
    this.#waiting -= written;
    let left = written;
    while (left > 0 && left >= this.#pieces[0].length) left -= this.#pieces.shift().length;
    if (left > 0) this.#pieces[0] = this.#pieces[0].subarray(left);
  }
}

class LogFile {
  #path;
  #maxSize;
  #keep;
  #handle = null;
  #size = 0;

  constructor(path, maxSize, keep) {
    this.#path = path;
    this.#maxSize = maxSize;
    this.#keep = keep;
  }

  async ready() {
    if (this.#handle !== null) return;
    this.#handle = await open(this.#path, 'a');
    this.#size = (await this.#handle.stat()).size;
  }

  // Resolves to how many bytes were written.
  async write(pieces) {
    await this.ready();
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (this.#size > 0 && this.#size + length > this.#maxSize) await this.#rotate();
    const { bytesWritten } = await this.#handle.writev(pieces);
    this.#size += bytesWritten;
    return bytesWritten;
  }

  // NAME.log.1 is the youngest; the oldest is replaced.
  async #rotate() {
    const handle = this.#handle;
    this.#handle = null;
    await handle.close();
    const name = (age) => (age === 0 ? this.#path : `${this.#path}.${age}`);
    for (let age = this.#keep - 1; age >= 0; age--) {
      await rename(name(age), name(age + 1)).catch((error) => {
        if (error.code !== 'ENOENT') throw error;
      });
    }
    await this.ready();
  }
}
