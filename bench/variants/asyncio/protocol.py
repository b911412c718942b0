"""The wire contract: lines in, fields out, and replies. No socket, no clock, no state.

A whole command is one regular expression, run by the `re` module in C; that is faster than splitting a
line and looking at its fields one by one. Ranges are part of the expressions, so that they are compared
as decimals, digit by digit. In a pattern of bytes `\\s` is the six bytes of white space, `\\d` is 0 to 9.
Repeats of single bytes are possessive (`++`) wherever what follows could not match what they gave back.
(Those of groups are not: up to Python 3.11.4 they can match what is not there.)

What is said of a client is a record: `(time_ns, -skew_ns, origin, location, time)`, the last two as the
client wrote them. Such tuples compare as the merge does, field by field: the later time, then the lower
skew (which is why it stands negated), then the greater origin, location, time as written. They hold no
containers, so the garbage collector does not keep looking at them.
"""

import re

MAX_TIME_BYTES = 40
MAX_LOCATION_BYTES = 64
# Nanoseconds of times and skews have to fit 64 signed bits.
MIN_NANOS = -(2**63)
MAX_NANOS = 2**63 - 1

_CLIENT = rb"(\S{1,255}+)"
_SERVER = rb"([A-Za-z0-9_-][A-Za-z0-9._-]{0,31}+)"
_FRACTION = rb"(?:\.\d++)?"
_UP_TO_50 = rb"0*(?:[0-4]?\d|50(?!\.0*[1-9]))" + _FRACTION
_UP_TO_90 = rb"0*(?:[0-8]?\d|90(?!\.0*[1-9]))" + _FRACTION
_UP_TO_180 = rb"0*(?:1[0-7]\d|180(?!\.0*[1-9])|\d\d?)" + _FRACTION
_LOCATION = rb"([+-]" + _UP_TO_90 + rb"[+-]" + _UP_TO_180 + rb")"
_TIME = rb"(\d++" + _FRACTION + rb")"
# The sign, the digits before the point that count, nine at most behind it; the rest is cut.
_SKEW = rb"([+-]?)0*(\d{1,10}+)(?:\.(\d{1,9}+)\d*+)?"


def _command(*fields):
    return re.compile(rb"\s*+" + rb"\s++".join(fields) + rb"\s*+").fullmatch


_iamat = _command(rb"IAMAT", _CLIENT, _LOCATION, _TIME)
_whatsat = _command(rb"WHATSAT", _CLIENT, rb"(" + _UP_TO_50 + rb")", rb"0*(1?\d|20)")
_update = _command(rb"UPDATE", _CLIENT, _SERVER, _TIME, _LOCATION, _SKEW, _SERVER)
_is_server_name = re.compile(_SERVER).fullmatch
_empty_lines = re.compile(rb"\n{2,}")


def iamat(line):
    """`IAMAT <client> <location> <time>`: (client, location, time as written, its nanoseconds), or None."""
    match = _iamat(line)
    if match is None:
        return None
    client, location, time = match.groups()
    time_ns = nanos(time)
    if time_ns is None or len(location) > MAX_LOCATION_BYTES:
        return None
    return client, location, time, time_ns


def whatsat(line):
    """`WHATSAT <client> <radius> <bound>`: (client, radius in kilometers as written, bound), or None."""
    match = _whatsat(line)
    if match is None:
        return None
    client, radius, bound = match.groups()
    return client, radius, int(bound)


def update(line):
    """`UPDATE <client> <origin> <time> <location> <skew> <sender>`: (client, record, sender), or None."""
    match = _update(line)
    if match is None:
        return None
    client, origin, time, location, sign, whole, fraction, sender = match.groups()
    time_ns = nanos(time)
    if time_ns is None or len(location) > MAX_LOCATION_BYTES:
        return None
    skew_ns = _scaled(whole, fraction or b"")
    if sign == b"-":
        skew_ns = -skew_ns
    if not MIN_NANOS <= skew_ns <= MAX_NANOS:
        return None
    return client, (time_ns, -skew_ns, origin, location, time), sender


def nanos(time):
    """Nanoseconds of a time whose digits are known to be in order; digits after the ninth are cut."""
    if len(time) > MAX_TIME_BYTES:
        return None
    whole, _, fraction = time.partition(b".")
    time_ns = int(whole + fraction) if len(fraction) == 9 else _scaled(whole, fraction)
    return time_ns if time_ns <= MAX_NANOS else None


def _scaled(whole, fraction):
    return int(whole + fraction[:9].ljust(9, b"0"))


def skew(skew_ns):
    """`+0.263873386`: a sign, no needless zero, nine decimals."""
    if 0 <= skew_ns < 1_000_000_000:
        return b"+0.%09d" % skew_ns
    sign = b"-" if skew_ns < 0 else b"+"
    return sign + b"%d.%09d" % divmod(abs(skew_ns), 1_000_000_000)


def is_server_name(name):
    """Names of servers name files too: 1 to 32 of letters, digits, `.`, `_`, `-`, no `.` in front."""
    return _is_server_name(name) is not None


def at_line(client, record):
    """The reply to a report, with its LF."""
    _, negated_skew, origin, location, time = record
    return b" ".join((b"AT", origin, skew(-negated_skew), client, location, time + b"\n"))


def update_line(client, record, sender):
    """What a server tells its neighbors, with its LF."""
    _, negated_skew, origin, location, time = record
    return b" ".join((b"UPDATE", client, origin, time, location, skew(-negated_skew), sender + b"\n"))


def invalid(line):
    """The answer to what is no valid command: a copy of it."""
    return b"? " + line + b"\n"


def places(json):
    """Places as a client gets them: no empty line inside, one at the end."""
    if b"\n\n" in json:
        json = _empty_lines.sub(b"\n", json)
    return json.rstrip(b"\n") + b"\n\n"
