"""Connections of clients: one event loop, one thread, one turn of one connection at a time.

Clients have a Protocol and not a pair of streams, as the report's own server has: the same turns over
StreamReader and StreamWriter cost 30 to 40 % more CPU for a request that comes alone (asyncio's own loop
and uvloop alike, 256 connections), because each read wakes a task. It is a BufferedProtocol so that all
connections read into one buffer.
"""

import asyncio
import time
from itertools import islice
from operator import length_hint

import protocol
from log import escaped, is_literal

# Read at a time.
READ_BYTES = 64 << 10
# Handled at a time, so that no client keeps the loop from the others.
COMMANDS_A_TURN = 1000
# A connection that the server ends discards so much input for so long, so that the last reply arrives:
# closing with input unread resets the connection.
LINGER_S = 2.0
LINGER_BYTES = 1 << 20
# How long a client may take to take its last replies.
TAKE_S = 30.0
# How often a stopping server looks whether all clients are gone.
STOP_POLL_S = 0.02

CLIENT_ENDED = "the client ended it"
USED_UP = "commands_per_connection replies"
TOO_LONG = "a line over max_line"
STOPPING = "the server stops"

# Every connection reads into this: what was read is copied out before anyone else's turn.
_input = memoryview(bytearray(READ_BYTES))


class Herd:
    """What all connections share: the meaning of commands."""

    def __init__(self, conf, held, flood, places, log, commands_per_connection):
        self.max_connections = conf.max_connections
        self.max_line = conf.max_line
        self.commands_per_connection = commands_per_connection
        self.flood = flood
        self.places = places
        self.log = log
        self.connections = set()
        self.is_stopping = False
        self._name = conf.name.encode()
        self._max_ahead_ns = conf.max_ahead_ms * 1_000_000
        self._held = held

    def iamat(self, line, now_ns):
        """The reply to a report, or None if the line is not a valid one."""
        fields = protocol.iamat(line)
        if fields is None:
            return None
        client, location, time, time_ns = fields
        ahead_ns = time_ns - now_ns
        if ahead_ns > self._max_ahead_ns:
            return None
        report = (time_ns, ahead_ns, self._name, location, time)
        held = self._held.report(client, report)
        if held is report:
            self.flood.pass_on(client, report, None)
        return protocol.at_line(client, held)

    def update(self, line):
        """True if the line is a valid UPDATE, which is merged then."""
        fields = protocol.update(line)
        if fields is None:
            return False
        client, record, sender = fields
        if self._held.merge(client, record):
            self.flood.pass_on(client, record, sender)
        return True

    def whatsat(self, line):
        """The AT line of a valid look-up, and its location, radius and bound; else None."""
        fields = protocol.whatsat(line)
        if fields is None:
            return None
        client, radius, bound = fields
        record = self._held.get(client)
        if record is None:
            return None
        _, _, _, location, _ = record
        return protocol.at_line(client, record), (location, radius, bound)

    async def stop(self):
        """Returns when all clients have their replies and are gone. The caller limits the time."""
        self.is_stopping = True
        for connection in list(self.connections):
            connection.stop()
        while self.connections:
            await asyncio.sleep(STOP_POLL_S)


class Connection(asyncio.BufferedProtocol):
    """One client. Its lines are handled in turns. While something has to be waited for, nothing is read: so
    what a client costs is bounded by one read and the replies of one turn."""

    def __init__(self, herd):
        self._herd = herd
        self._loop = asyncio.get_running_loop()
        self._transport = None
        # ADDRESS:PORT, as it stands in the log.
        self._peer = b""
        self._is_trusted = False
        # Lines that came and are not handled yet, and the start of the one that is not whole.
        self._lines = iter(())
        self._rest = b""
        # True if these lines stand in the log as they came.
        self._is_literal = True
        self._too_long = None
        self._replies_left = herd.commands_per_connection
        self._has_ended = False
        self._can_write = True
        self._is_reading = True
        self._is_due = False
        self._waits_for = None
        # Why the connection is over, once it is.
        self._reason = None
        self._discarded = 0
        self._deadline = None

    # What the event loop calls.

    def connection_made(self, transport):
        self._transport = transport
        # On uvloop, a client that is gone already has no address.
        host, port, *_ = transport.get_extra_info("peername") or ("0.0.0.0", 0)
        self._peer = shown_address(host, port).encode()
        self._is_trusted = host == "::1" or host.removeprefix("::ffff:").startswith("127.")
        herd = self._herd
        if herd.log.traffic:
            herd.log.info(f"connection {self._peer.decode()} opened")
        if len(herd.connections) >= herd.max_connections:
            transport.write(b"? too many connections\n")
            self.end("too many connections")
        else:
            herd.connections.add(self)

    def connection_lost(self, error):
        self._herd.connections.discard(self)
        if self._waits_for is not None:
            self._waits_for.cancel()
        if self._deadline is not None:
            self._deadline.cancel()
        self._lines = iter(())
        if self._herd.log.traffic:
            reason = self._reason or error or CLIENT_ENDED
            self._herd.log.info(f"connection {self._peer.decode()} closed: {reason}")

    def get_buffer(self, _):
        return _input

    def buffer_updated(self, length):
        if self._reason is not None:
            self._discard(length)
            return
        data = self._rest + _input[:length]
        lines = data.split(b"\n")
        self._rest = lines.pop()
        if len(data) > self._herd.max_line:
            self._cut_too_long(lines)
        if lines or self._too_long is not None:
            self._is_literal = self._herd.log.traffic and is_literal(data)
            self._lines = iter(lines)
            self._go_on()

    def eof_received(self):
        self._has_ended = True
        if self._reason is not None:
            self._transport.close()
        else:
            # The end of the input ends the last line; nothing is no line.
            self._is_literal = is_literal(self._rest)
            self._lines = iter([self._rest] if self._rest else ())
            self._go_on()
        return True

    def pause_writing(self):
        """The client does not take its replies."""
        self._can_write = False
        self._pause_reading()

    def resume_writing(self):
        self._can_write = True
        if self._reason is None and self._waits_for is None:
            self._go_on_soon()

    # Turns.

    def _go_on_soon(self):
        """After the turns of others."""
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._go_on_due)

    def _go_on_due(self):
        self._is_due = False
        if self._reason is None and not self._transport.is_closing():
            self._go_on()

    def _go_on(self):
        look_up = self._turn()
        flooded = self._herd.flood.turn_ended()
        if look_up is None and flooded is None:
            self._next()
        else:
            self._pause_reading()
            self._waits_for = self._loop.create_task(self._wait(flooded, look_up))

    def _turn(self):
        """Handles lines, and writes their replies together. Ends with a look-up that has to wait: line, AT
        line and question."""
        herd = self._herd
        now_ns = time.time_ns()
        is_logged = herd.log.traffic
        head = herd.log.head(now_ns, self._peer) if is_logged else b""
        replies, logged, look_up = [], [], None
        for line in islice(self._lines, COMMANDS_A_TURN):
            reply = shown = herd.iamat(line, now_ns)
            if reply is None:
                if self._is_trusted and herd.update(line):
                    if is_logged:
                        logged += (head, line, b"", b"\n")
                    continue
                reply, shown, look_up = self._answer_at_once(line)
                if look_up is not None:
                    break
            replies.append(reply)
            if is_logged:
                logged += (head, line, b" -> ", shown)
            if self._replies_left is not None:
                self._replies_left -= 1
                if not self._replies_left:
                    break
        if replies:
            self._transport.write(b"".join(replies))
        if logged:
            herd.log.write(b"".join(logged if self._is_literal else escaped(logged)))
        return look_up

    def _answer_at_once(self, line):
        """To what is neither IAMAT nor UPDATE: reply, what the log shows of it, and the look-up that has to
        wait instead."""
        found = self._herd.whatsat(line)
        if found is None:
            reply = protocol.invalid(line)
            return reply, reply, None
        at_line, question = found
        json = self._herd.places.at_once(question)
        if json is None:
            return None, None, (line, at_line, question)
        return *_with_places(at_line, json), None

    async def _wait(self, flooded, look_up):
        try:
            if flooded is not None:
                # A client that leaves ends its look-up, but not what it told.
                await asyncio.shield(flooded)
            if look_up is not None:
                await self._look_up(*look_up)
        except Exception:
            # A defect here costs one connection, as in any other turn.
            self._transport.abort()
            raise
        self._waits_for = None
        self._next()

    async def _look_up(self, line, at_line, question):
        json = await self._herd.places.near(question)
        reply, shown = _with_places(at_line, json)
        self._transport.write(reply)
        if self._herd.log.traffic:
            self._log_one(line, shown)
        if self._replies_left is not None:
            self._replies_left -= 1

    def _next(self):
        """What comes after a turn."""
        if self._replies_left == 0:
            self.end(USED_UP)
        elif length_hint(self._lines):
            self._pause_reading()
            if self._can_write:
                self._go_on_soon()
        elif self._too_long is not None:
            self._refuse(self._too_long)
            self.end(TOO_LONG)
        elif self._has_ended:
            self.end(CLIENT_ENDED)
        elif self._herd.is_stopping:
            self.end(STOPPING)
        elif self._can_write:
            self._resume_reading()

    def _refuse(self, line):
        reply = protocol.invalid(line)
        self._transport.write(reply)
        if self._herd.log.traffic:
            self._log_one(line, reply)

    def _cut_too_long(self, lines):
        """Nothing from the first line over max_line on is handled."""
        max_line = self._herd.max_line
        for index, line in enumerate((*lines, self._rest)):
            if len(line) > max_line:
                del lines[index:]
                self._rest = b""
                self._too_long = line[:max_line]
                return

    def _pause_reading(self):
        if self._is_reading:
            self._is_reading = False
            self._transport.pause_reading()

    def _resume_reading(self):
        if not self._is_reading:
            self._is_reading = True
            self._transport.resume_reading()

    # The end.

    def stop(self):
        """Answers what was read, and ends the connection."""
        if self._reason is None and self._waits_for is None and not length_hint(self._lines):
            self.end(STOPPING)

    def end(self, reason):
        """Ends the connection so that the last reply arrives."""
        self._reason = reason
        self._lines = iter(())
        self._rest = b""
        untaken = self._transport.get_write_buffer_size()
        if self._has_ended:
            self._transport.close()
            if not untaken:
                return
        else:
            self._transport.write_eof()
            self._resume_reading()
        self._deadline = self._loop.call_later(TAKE_S if untaken else LINGER_S, self._transport.abort)

    def _discard(self, length):
        self._discarded += length
        if self._discarded > LINGER_BYTES:
            self._transport.abort()

    def _log_one(self, line, shown):
        log = self._herd.log
        pieces = [log.head(time.time_ns(), self._peer), line, b" -> ", shown]
        log.write(b"".join(escaped(pieces)))


def shown_address(host, port):
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _with_places(at_line, json):
    """The reply to a look-up, and what the log shows of it."""
    reply = at_line + protocol.places(json)
    return reply, b"%b + %d bytes of places\n" % (at_line[:-1], len(reply) - len(at_line) - 2)
