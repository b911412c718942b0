"""The log file `DIR/NAME.log`: lines gathered by the event loop, written by a thread.

The loop appends to a buffer, and hands it over whole when it is large or old. So a disk that stalls stalls no
client. What waits for the disk is bounded; what is dropped is counted and said in the log.
"""

import asyncio
import os
import queue
import re
import sys
import threading
import time

# A buffer is handed over when it has so many bytes, or is so old.
PIECE_BYTES = 256 << 10
INTERVAL_S = 0.5
# What may wait for the disk. At 200 bytes a line this is about a second of the busiest server.
MAX_WAITING_BYTES = 32 << 20

# Printable ASCII stands for itself, but for the backslash that escapes the rest.
_LITERAL = bytes(byte for byte in range(0x20, 0x7F) if byte != 0x5C)
_LITERAL_AND_LF = _LITERAL + b"\n"
_NOT_LITERAL = re.compile(rb"[^ -\[\]-~]")
_ESCAPES = {b"\\": rb"\\", b"\n": rb"\n", b"\r": rb"\r", b"\t": rb"\t"}


def escape(text):
    """Client bytes that cannot break out of their line."""
    return _NOT_LITERAL.sub(lambda byte: _ESCAPES.get(byte[0]) or b"\\x%02x" % byte[0][0], text)


def is_literal(lines):
    """True if none of these lines needs an escape: one look for all of them."""
    return not lines.translate(None, _LITERAL_AND_LF)


def escaped(pieces):
    """The lines of a turn: of each command its head, the client's line, what stands between, the reply with
    its LF. For commands that are not literal."""
    for at in range(0, len(pieces), 4):
        pieces[at + 1] = escape(pieces[at + 1])
        pieces[at + 3] = escape(pieces[at + 3][:-1]) + b"\n"
    return pieces


class Log:
    """What the event loop writes to."""

    def __init__(self, name, conf):
        self.traffic = conf.traffic
        # The second that was written last, and its text: that is made once a second.
        self._second = -1
        self._second_text = b""
        self._buffer = bytearray()
        self._pieces = queue.SimpleQueue()
        # Bytes handed over, and bytes that the disk took, since the start. Each is changed by one thread.
        self._given = 0
        self._taken = 0
        self._dropped_lines = 0
        self._file = LogFile(name, conf)
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    async def keep_young(self):
        """Hands over what is old, for ever."""
        while True:
            await asyncio.sleep(INTERVAL_S)
            self._hand_over()

    def head(self, now_ns, peer):
        """What the lines of one turn begin with: `2026-11-27T17:30:00.123789Z INFO  127.0.0.1:40312 `."""
        second, nanos = divmod(now_ns, 1_000_000_000)
        if second != self._second:
            self._turn_to(second)
        return b"%b.%06dZ INFO  %b " % (self._second_text, nanos // 1000, peer)

    def write(self, lines):
        """Takes whole lines."""
        self._buffer += lines
        if len(self._buffer) >= PIECE_BYTES:
            self._hand_over()

    def info(self, message):
        """A line about a connection or a link."""
        self._event(b"INFO ", message)

    def warn(self, message):
        """A line about what goes wrong."""
        self._event(b"WARN ", message)

    def close(self, timeout):
        """Writes what waits; gives a stalled disk so many seconds."""
        self._hand_over()
        self._pieces.put(None)
        self._thread.join(timeout)

    def _event(self, level, message):
        self.write(self._line(level, message))

    def _line(self, level, message):
        text = escape(message.encode(errors="backslashreplace"))
        second, nanos = divmod(time.time_ns(), 1_000_000_000)
        self._turn_to(second)
        return b"%b.%06dZ %b %b\n" % (self._second_text, nanos // 1000, level, text)

    def _turn_to(self, second):
        self._second = second
        self._second_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()

    def _hand_over(self):
        piece, self._buffer = self._buffer, bytearray()
        if self._given - self._taken + len(piece) > MAX_WAITING_BYTES:
            self._dropped_lines += piece.count(b"\n")
            return
        if self._dropped_lines:
            notice = f"log dropped {self._dropped_lines} lines: the disk is too slow"
            piece += self._line(b"WARN ", notice)
            self._dropped_lines = 0
        if piece:
            self._given += len(piece)
            self._pieces.put(piece)

    def _run(self):
        while (piece := self._pieces.get()) is not None:
            try:
                self._file.write(piece)
            except OSError as error:
                print(f"the log cannot be written, lines are lost: {error}", file=sys.stderr)
            self._taken += len(piece)


class LogFile:
    """The file and its predecessors, `NAME.log.1` the youngest."""

    def __init__(self, name, conf):
        os.makedirs(conf.dir, exist_ok=True)
        self._path = os.path.join(conf.dir, f"{name}.log")
        self._max_size = conf.max_size
        self._keep = conf.keep
        self._open()

    def write(self, lines):
        """Writes whole lines, as many into each file as fit."""
        at = 0
        while at < len(lines):
            room = self._max_size - self._size
            end = len(lines) if len(lines) - at <= room else lines.rfind(b"\n", at, at + max(room, 0)) + 1
            if not end and self._size:
                self._rotate()
                continue
            # A line that is longer than a whole file goes into one of its own.
            end = end or lines.index(b"\n", at) + 1
            self._write_all(memoryview(lines)[at:end])
            at = end

    def _write_all(self, piece):
        while piece:
            written = os.write(self._descriptor, piece)
            self._size += written
            piece = piece[written:]

    def _rotate(self):
        os.close(self._descriptor)
        for age in range(self._keep - 1, 0, -1):
            if os.path.exists(f"{self._path}.{age}"):
                os.replace(f"{self._path}.{age}", f"{self._path}.{age + 1}")
        os.replace(self._path, f"{self._path}.1")
        self._open()

    def _open(self):
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._size = os.fstat(self._descriptor).st_size
