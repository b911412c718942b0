"""Passing records on to the neighbors.

`Flood` keeps a connection to each neighbor, and an outbox for each connection with at most one record a
client: what a slow neighbor costs is bounded by the number of clients, and nobody waits for it.
`OneShotFlood` has the habits of the report's own server.
"""

import asyncio
import random
import time
from itertools import islice

from protocol import update_line

FIRST_BACK_OFF_S = 0.05
LONGEST_BACK_OFF_S = 1.0
DIAL_TIMEOUT_S = 5.0
# Lines that are written at a time, about 30 KB: so much comes between two turns of clients.
PIECE_LINES = 256


class Flood:
    """Links to all neighbors."""

    def __init__(self, conf, held, log):
        self._name = conf.name.encode()
        self._up = []
        self._links = [_Link(neighbor, self, held, log) for neighbor in conf.neighbors]
        self._dialing = []

    def start(self):
        self._dialing = [asyncio.create_task(link.keep_up()) for link in self._links]

    def pass_on(self, client, record, sender):
        """To every neighbor but the one that it came from (None: it came from a client)."""
        if self._up:
            line = update_line(client, record, self._name)
            for link in self._up:
                if link.name != sender:
                    link.put(client, line)

    def lines(self, clients, held):
        return [update_line(client, held.get(client), self._name) for client in clients]

    def turn_ended(self):
        """None: nobody has to wait for anything here."""

    def came_up(self, link):
        self._up.append(link)

    def went_down(self, link):
        self._up.remove(link)

    async def stop(self):
        """Says what waits. The caller limits the time."""
        for link in self._up:
            await link.is_flushed()
        for task in self._dialing:
            task.cancel()
        await asyncio.gather(*self._dialing, return_exceptions=True)


class _Link(asyncio.Protocol):
    """The connection to one neighbor, and its outbox. An outbox is open only while the link is up."""

    def __init__(self, neighbor, flood, held, log):
        self.name = neighbor.name.encode()
        self._neighbor = neighbor
        self._flood = flood
        self._held = held
        self._log = log
        self._outbox = {}
        # Clients that were known when the link came up and are not said yet.
        self._unsaid = iter(())
        self._transport = None
        self._can_write = False
        self._is_due = False
        self._down = None
        self._flushed = None

    async def keep_up(self):
        """Dials, for ever."""
        loop = asyncio.get_running_loop()
        back_off = FIRST_BACK_OFF_S
        while True:
            self._down = loop.create_future()
            dialed = time.monotonic()
            try:
                async with asyncio.timeout(DIAL_TIMEOUT_S):
                    await loop.create_connection(lambda: self, self._neighbor.host, self._neighbor.port)
                reason = await self._down
                self._log.info(f"link to {self._neighbor.name} down: {reason}")
            except OSError:
                pass
            finally:
                if self._transport is not None:
                    self._transport.abort()
            if time.monotonic() - dialed > LONGEST_BACK_OFF_S:
                back_off = FIRST_BACK_OFF_S
            await asyncio.sleep(back_off * random.uniform(0.5, 1))
            back_off = min(2 * back_off, LONGEST_BACK_OFF_S)

    def put(self, client, line):
        """A newer record takes the place of the one that waits."""
        self._outbox[client] = line
        self._write_soon()

    async def is_flushed(self):
        """Returns when nothing waits, or the link is down."""
        self._flushed = asyncio.get_running_loop().create_future()
        self._transport.set_write_buffer_limits(0)
        self._write_soon()
        await self._flushed

    def connection_made(self, transport):
        self._transport = transport
        self._can_write = True
        self._outbox = {}
        self._flood.came_up(self)
        self._unsaid = iter(self._held.clients())
        self._log.info(f"link to {self._neighbor.name} up")
        self._write_soon()

    def connection_lost(self, error):
        self._flood.went_down(self)
        self._transport = None
        self._can_write = False
        self._outbox = {}
        self._unsaid = iter(())
        self._settle_flushed()
        if not self._down.done():
            self._down.set_result(str(error) if error else "it ended the connection")

    def data_received(self, data):
        """What a neighbor says here is dropped; its updates come on the connection that it dials."""

    def pause_writing(self):
        self._can_write = False

    def resume_writing(self):
        self._can_write = True
        self._write_soon()

    def _write_soon(self):
        """Once this round of the event loop is done: so records of many clients go together."""
        if self._can_write and not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._write)

    def _write(self):
        self._is_due = False
        if not self._can_write:
            return
        lines = self._take() or self._take_unsaid()
        if lines:
            self._transport.write(b"".join(lines))
            self._write_soon()
        elif not self._transport.get_write_buffer_size():
            self._settle_flushed()

    def _take(self):
        """The oldest lines of the outbox."""
        if len(self._outbox) <= PIECE_LINES:
            lines, self._outbox = self._outbox.values(), {}
            return lines
        clients = list(islice(self._outbox, PIECE_LINES))
        return [self._outbox.pop(client) for client in clients]

    def _take_unsaid(self):
        return self._flood.lines(islice(self._unsaid, PIECE_LINES), self._held)

    def _settle_flushed(self):
        if self._flushed is not None and not self._flushed.done():
            self._flushed.set_result(None)


class OneShotFlood:
    """As the report's own server does it: each update is a connection to each neighbor, opened, one line,
    closed. Who is not there misses it: nothing is sent again, and nothing on connect."""

    def __init__(self, conf, held, log):
        self._name = conf.name.encode()
        self._neighbors = conf.neighbors
        self._log = log
        self._accepted = []

    def start(self):
        pass

    def pass_on(self, client, record, sender):
        self._accepted.append((update_line(client, record, self._name), sender))

    def turn_ended(self):
        """What the connection awaits before it reads on: so the dials of a connection are bounded."""
        if not self._accepted:
            return None
        accepted, self._accepted = self._accepted, []
        return asyncio.gather(*(self._tell(neighbor, accepted) for neighbor in self._neighbors))

    async def stop(self):
        pass

    async def _tell(self, neighbor, accepted):
        for line, sender in accepted:
            if sender != neighbor.name.encode():
                await self._dial(neighbor, line)

    async def _dial(self, neighbor, line):
        try:
            async with asyncio.timeout(DIAL_TIMEOUT_S):
                _, writer = await asyncio.open_connection(neighbor.host, neighbor.port)
                writer.write(line)
                writer.close()
                await writer.wait_closed()
        except OSError as error:
            reason = error.strerror or "it took too long"
            self._log.warn(f"update to {neighbor.name} lost: {reason}")
