// Clients: their connections, and what the commands mean. One process has all of them: `cluster` would give each
// process records of its own.

import net from 'node:net';

import { NONE } from './places.js';
import {
  NEEDS_ESCAPE, escape, invalidLine, isTooFarAhead, parse, placesText, skewOf,
} from './protocol.js';

// The system's default would make a burst of connections wait for a second.
const BACKLOG = 4096;
// Bytes of replies that are written at once. A client that does not take them is not read, nor handled any further.
const MOST_REPLIES = 64 * 1024;
// What is read and dropped of a client that is closed, so that it gets the last reply: time in ms, and bytes.
const DISCARD_TIME = 2000;
const DISCARD_BYTES = 4 * 1024 * 1024;

const CLIENT_ENDED = 'the client ended it';

export class Server {
  #net;
  #connections = new Set();

  constructor(conf, { records, flood, places, log, clock }) {
    Object.assign(this, { conf, records, flood, places, log, clock });
    this.#net = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket));
  }

  // Resolves to the port once it listens.
  listen() {
    const { host, port } = this.conf;
    return new Promise((resolve, reject) => {
      this.#net.once('error', reject);
      this.#net.listen({ host, port, backlog: BACKLOG }, () => {
        this.#net.off('error', reject);
        this.#net.on('error', (error) => this.log.warn(`accept: ${error.message}`));
        resolve(this.#net.address().port);
      });
    });
  }

  #accept(socket) {
    if (this.#connections.size >= this.conf.maxConnections) {
      socket.on('error', () => {});
      endAndDiscard(socket, '? too many connections\n');
      return;
    }
    const connection = new Connection(this, socket);
    this.#connections.add(connection);
    socket.on('close', () => this.#connections.delete(connection));
  }

  // Resolves once what was answered is sent to all.
  stop() {
    for (const connection of this.#connections) connection.stop();
    return new Promise((resolve) => {
      this.#net.close(resolve);
    });
  }
}

class Connection {
  #server;
  #socket;
  #peer;
  #isTrusted;
  // Input that is not handled yet.
  #input = '';
  #replies = '';
  #replyCount = 0;
  // The log's lines of this turn; they need no escapes if the input does not.
  #logged = '';
  #loggedCount = 0;
  #isPlain = true;
  // Either makes the input wait: places are asked for; the client has to take replies first.
  #isAsking = false;
  #isBlocked = false;
  #hasEnded = false;
  #isClosed = false;
  #reason = CLIENT_ENDED;

  constructor(server, socket) {
    const { remoteAddress: address, remotePort: port, remoteFamily: family } = socket;
    this.#server = server;
    this.#socket = socket;
    this.#peer = family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`;
    this.#isTrusted = isLoopback(address);
    this.#say('opened');
    socket.on('data', (chunk) => this.#receive(chunk));
    socket.on('end', () => this.#end());
    socket.on('drain', () => {
      this.#isBlocked = false;
      this.#goOn();
    });
    socket.on('error', (error) => (this.#reason = error.message));
    socket.on('close', () => {
      this.#isClosed = true;
      this.#say(`closed: ${this.#reason}`);
    });
  }

  get #isWaiting() {
    return this.#isAsking || this.#isBlocked;
  }

  stop() {
    if (!this.#isClosed) this.#reason = 'the server stops';
    this.#isClosed = true;
    this.#socket.destroySoon();
  }

  #receive(chunk) {
    if (this.#isClosed) return;
    const text = chunk.latin1Slice();
    this.#input = this.#input === '' ? text : this.#input + text;
    if (!this.#isWaiting) this.#turn();
  }

  // What stands behind the last LF is a line too.
  #end() {
    this.#hasEnded = true;
    if (!this.#isWaiting && !this.#isClosed) this.#turn();
  }

  // With what waited.
  #goOn() {
    if (this.#isWaiting || this.#isClosed) return;
    this.#turn();
    if (!this.#isWaiting && !this.#isClosed) this.#socket.resume();
  }

  // Handles the lines that have come, until one has to wait. The replies go in one write.
  #turn() {
    const { clock, conf: { maxLine } } = this.#server;
    const input = this.#input;
    let from = 0;
    clock.read();
    this.#isPlain = this.#server.log.wantsTraffic && !NEEDS_ESCAPE_BUT_LF.test(input);
    while (!this.#isWaiting && !this.#isClosed) {
      let end = input.indexOf('\n', from);
      if (end < 0 && this.#hasEnded && from < input.length) end = input.length;
      const length = (end < 0 ? input.length : end) - from;
      if (length > maxLine) {
        this.#invalid(input.slice(from, from + maxLine));
        this.#close('a line over max_line');
      } else if (end < 0) {
        break;
      } else {
        const line = input.slice(from, end);
        from = end + 1;
        this.#handle(line);
        if (this.#replyCount >= this.#server.conf.commandsPerConnection) this.#close('commands_per_connection replies');
        else if (this.#replies.length >= MOST_REPLIES) this.#send();
      }
    }
    if (!this.#isClosed) this.#input = from < input.length ? input.slice(from) : '';
    if (this.#hasEnded && !this.#isWaiting && !this.#isClosed) this.#close(CLIENT_ENDED);
    this.#send();
  }

  #handle(line) {
    const command = parse(line);
    switch (command?.command) {
      case 'IAMAT':
        return this.#iamat(line, command);
      case 'WHATSAT':
        return this.#whatsat(line, command);
      case 'UPDATE':
        return this.#isTrusted ? this.#update(line, command) : this.#invalid(line);
      default:
        return this.#invalid(line);
    }
  }

  #invalid(line) {
    const reply = invalidLine(line);
    this.#log(line, reply);
    this.#reply(reply);
  }

  #iamat(line, report) {
    const { clock, conf, records, flood } = this.#server;
    if (isTooFarAhead(report, clock, conf.maxAhead)) {
      this.#invalid(line);
      return;
    }
    report.origin = conf.name;
    report.skew = skewOf(clock, report);
    const { record, isStored } = records.report(report);
    if (isStored) flood.accept(record, null);
    this.#log(line, record.at);
    this.#reply(record.at);
  }

  #update(line, update) {
    const { log, records, flood } = this.#server;
    if (log.wantsTraffic) this.#logLine(this.#escaped(line));
    const { record, isStored } = records.merge(update);
    if (isStored) flood.accept(record, update.sender);
  }

  #whatsat(line, { client, radius, bound }) {
    const record = this.#server.records.get(client);
    if (record === undefined) {
      this.#invalid(line);
    } else if (bound === 0) {
      this.#found(line, record.at, NONE);
    } else {
      this.#ask(line, record, radius, bound);
    }
  }

  // The answer may come at once or later; until then nothing more is read of this client.
  #ask(line, record, radius, bound) {
    const { at } = record;
    let isLater = false;
    this.#isAsking = true;
    this.#server.places.ask(record.fields().location, radius, bound, (json) => {
      if (this.#isClosed) return;
      this.#isAsking = false;
      if (isLater) this.#server.clock.read();
      this.#found(line, at, json);
      if (isLater) this.#answered();
    });
    isLater = this.#isAsking;
    if (isLater) this.#socket.pause();
  }

  // Goes on behind a look-up.
  #answered() {
    if (this.#replyCount >= this.#server.conf.commandsPerConnection) this.#close('commands_per_connection replies');
    else this.#goOn();
  }

  #found(line, at, json) {
    const places = placesText(json);
    this.#log(line, at, ` + ${places.length} bytes of places`);
    this.#reply(at + places);
  }

  #reply(text) {
    this.#replies += text;
    this.#replyCount++;
  }

  #send() {
    this.#handOverLog();
    const replies = this.#replies;
    if (replies === '') return;
    this.#replies = '';
    if (this.#isClosed) return;
    // A write that the system took whole needs no wait, whatever `write` says.
    if (!this.#socket.write(replies, 'latin1') && this.#socket.writableLength > 0) {
      this.#isBlocked = true;
      this.#socket.pause();
    }
  }

  // Nothing more is handled. The replies are sent first.
  #close(reason) {
    this.#reason = reason;
    this.#isClosed = true;
    this.#handOverLog();
    endAndDiscard(this.#socket, this.#replies);
    this.#replies = '';
    this.#input = '';
  }

  #log(line, reply, more = '') {
    if (!this.#server.log.wantsTraffic) return;
    this.#logLine(`${this.#escaped(line)} -> ${this.#escaped(reply.slice(0, -1))}${more}`);
  }

  // What is escaped in a record's line is so in the line that names its client.
  #escaped(text) {
    return this.#isPlain ? text : escape(text);
  }

  #logLine(text) {
    this.#logged += `${this.#server.clock.stamp()} INFO  ${this.#peer} ${text}\n`;
    this.#loggedCount++;
  }

  #handOverLog() {
    if (this.#loggedCount > 0) this.#server.log.traffic(this.#logged, this.#loggedCount);
    this.#logged = '';
    this.#loggedCount = 0;
  }

  #say(what) {
    const { log, clock } = this.#server;
    if (log.wantsTraffic) log.traffic(`${clock.read().stamp()} INFO  connection ${this.#peer} ${what}\n`, 1);
  }
}

const NEEDS_ESCAPE_BUT_LF = new RegExp(NEEDS_ESCAPE.source.replace('[^', '[^\\n'));

const isLoopback = (address) => /^(::ffff:)?127\.|^::1$/i.test(address);

// A plain close with input unread would reset the connection, and the last reply would be lost.
function endAndDiscard(socket, lastReplies) {
  let left = DISCARD_BYTES;
  socket.on('data', (chunk) => {
    left -= chunk.length;
    if (left < 0) socket.destroy();
  });
  let timer;
  socket.end(lastReplies, 'latin1', () => {
    timer = setTimeout(() => socket.destroy(), DISCARD_TIME);
  });
  socket.on('close', () => clearTimeout(timer));
  socket.resume();
}
