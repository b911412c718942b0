"""A server of the herd on asyncio: one process, one thread, one event loop, so one core.

More cores would take more processes, and each of those would need a copy of all records, kept equal by
messages between them: that is what a herd is. So who has more cores starts more servers.

What it runs on matters: Debian's Python is built with profiles and link-time optimisation, and spends 15 to
20 % less time in a turn than the same version built without.
"""

import argparse
import asyncio
import contextlib
import gc
import resource
import signal
import sys
import threading
from functools import partial

import config
from flood import Flood, OneShotFlood
from log import Log
from places import Places
from records import Records
from server import Connection, Herd, shown_address

BACKLOG = 4096
# How long clients may take to take their last replies, neighbors their last updates, and the disk the last
# lines of the log, when the server stops.
STOP_CLIENTS_S = 3.0
STOP_LINKS_S = 1.0
STOP_LOG_S = 1.0
# Young objects that make the garbage collector look for cycles: connections have some, commands none.
GC_THRESHOLD = 50_000

EXIT_CONF = 2
EXIT_LISTEN = 3


def main():
    options = _options()
    try:
        conf = config.load(options.conf, options.name)
    except config.ConfigError as error:
        print(error, file=sys.stderr)
        return EXIT_CONF
    _allow_open_files()
    try:
        with asyncio.Runner(loop_factory=_loop_factory(options)) as runner:
            runner.run(_serve(conf, options))
    except OSError as error:
        print(f"{options.name} cannot serve: {error}", file=sys.stderr)
        return EXIT_LISTEN
    return 0


def _options():
    parser = argparse.ArgumentParser(prog="asyncio", description=__doc__.splitlines()[0])
    parser.add_argument("name", help="which server of the conf file this one is")
    parser.add_argument("--conf", required=True, help="the herd's conf file")
    parser.add_argument("--stop-on-eof", action="store_true", help="stop at the end of standard input")
    parser.add_argument("--uvloop", action="store_true", help="libuv's event loop instead of asyncio's own")
    parser.add_argument(
        "--as-reported",
        action="store_true",
        help="a connection for each update and for each command, and nothing is sent again",
    )
    return parser.parse_args()


def _loop_factory(options):
    if not options.uvloop:
        return None
    import uvloop

    return uvloop.new_event_loop


def _allow_open_files():
    """As many as the system lets this process have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _serve(conf, options):
    log = Log(conf.name, conf.log)
    writing = asyncio.create_task(log.keep_young())
    held = Records()
    flood = (OneShotFlood if options.as_reported else Flood)(conf, held, log)
    places = Places(conf.places, log)
    commands_per_connection = 1 if options.as_reported else conf.commands_per_connection
    herd = Herd(conf, held, flood, places, log, commands_per_connection)
    try:
        stopped = _stop_requests(options.stop_on_eof)
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(partial(Connection, herd), conf.host, conf.port, backlog=BACKLOG)
        await places.start()
        flood.start()
        _tune_gc()
        host, port, *_ = listener.sockets[0].getsockname()
        print(f"ready {conf.name} {shown_address(host, port)}", flush=True)
        await stopped.wait()
        listener.close()
        await _stop(herd)
    finally:
        writing.cancel()
        log.close(STOP_LOG_S)


def _stop_requests(stop_on_eof):
    """Set on SIGTERM, on SIGINT, and at the end of the standard input if that is asked for."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)

    def wait_for_eof():
        while sys.stdin.buffer.read1(4096):
            pass
        loop.call_soon_threadsafe(stopped.set)

    if stop_on_eof:
        # A thread, since what the standard input is may not be something to poll.
        threading.Thread(target=wait_for_eof, name="stdin", daemon=True).start()
    return stopped


def _tune_gc():
    """What is here at start stays, records have no cycles: so there is little to look for."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 20, 100)


async def _stop(herd):
    """Answers what was read, then says what the neighbors do not know yet."""
    for what, limit_s in ((herd.stop, STOP_CLIENTS_S), (herd.flood.stop, STOP_LINKS_S)):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(what(), limit_s)
    await herd.places.stop()
