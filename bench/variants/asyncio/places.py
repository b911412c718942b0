"""What is near a location: Google's legacy Nearby Search, asked through aiohttp."""

import asyncio
import json
import re
import urllib.parse
from decimal import Decimal

# Longest answer that is read.
MAX_BODY_BYTES = 4 << 20

NONE = b'{"html_attributions": [], "results": [], "status": "ZERO_RESULTS"}'

_STATUSES = {
    400: ("INVALID_REQUEST", "did not understand the request"),
    401: ("REQUEST_DENIED", "refused the request: is its API key right?"),
    403: ("REQUEST_DENIED", "refused the request: is its API key right?"),
    429: ("OVER_QUERY_LIMIT", "has been asked too often: try again later"),
}

_white_space = re.compile(r"[ \t\n\r]*").match


def _refuse(constant):
    raise ValueError(constant)


# Finds where values end. Numbers are only stepped over: none is read and written again.
_decoder = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse)


class Failure(Exception):
    """Why there are no places: Google's word for it, and a message for clients, so without the key."""

    def __init__(self, status, message):
        super().__init__(f"{status}: {message}")
        self.json = (
            f'{{"html_attributions": [], "results": [], "status": "{status}", '
            f'"error_message": {json.dumps(message)}}}'
        ).encode()


NO_PROVIDER = Failure("REQUEST_DENIED", "this server has no places service that it can ask")
QUEUE_FULL = Failure("OVER_QUERY_LIMIT", "too many look-ups wait: try again later")


class Places:
    """The places service. At most `workers` calls at a time; at most `queue` look-ups wait for one."""

    def __init__(self, conf, log):
        self._conf = conf
        self._log = log
        self._calls = asyncio.Semaphore(conf.workers)
        self._looking_up = 0
        self._session = None

    async def start(self):
        if not self._conf.is_google_legacy:
            return
        # Not at the top: a server without the service saves a fifth of a second, and memory.
        import aiohttp
        import yarl

        self._client_error = aiohttp.ClientError
        self._url = yarl.URL
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._conf.workers),
            timeout=aiohttp.ClientTimeout(total=self._conf.timeout_ms / 1000),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def stop(self):
        if self._session is not None:
            await self._session.close()

    def at_once(self, question):
        """The answer to a look-up that nobody has to be asked for, or None."""
        _, _, bound = question
        if bound == 0:
            return NONE
        return NO_PROVIDER.json if self._session is None else None

    async def near(self, question):
        """Places as JSON, whatever happens."""
        location, radius, bound = question
        if self._looking_up >= self._conf.workers + self._conf.queue:
            return QUEUE_FULL.json
        self._looking_up += 1
        try:
            async with self._calls:
                return cut(await self._ask(location, radius), bound)
        except Failure as failure:
            self._log.warn(f"a look-up failed: {failure}")
            return failure.json
        finally:
            self._looking_up -= 1

    async def _ask(self, location, radius):
        # As it is written here: what is in the key stays quoted.
        url = self._url(f"{self._conf.base_url}{query(location, radius, self._conf.key)}", encoded=True)
        try:
            async with self._session.get(url, allow_redirects=False) as response:
                _check(response.status)
                body = await _body(response.content)
        except TimeoutError:
            message = f"the places service did not answer within {self._conf.timeout_ms} ms"
            raise Failure("UNKNOWN_ERROR", message) from None
        except (self._client_error, OSError, ValueError):
            # Their texts hold URLs, which hold the key.
            raise Failure("UNKNOWN_ERROR", "the places service cannot be reached") from None
        if self._conf.key.encode() in body:
            raise _misshapen("the API key in its answer")
        return body


def query(location, radius, key):
    """Path and query of a call, without a `+`."""
    latitude, longitude = re.findall(r"[+-][0-9.]+", location.decode())
    meters = Decimal(radius.decode()) * 1000
    return (
        "/maps/api/place/nearbysearch/json"
        f"?location={_plain(latitude, 9)},{_plain(longitude, 9)}&radius={_plain(meters, 3)}"
        f"&key={urllib.parse.quote(key, safe='')}"
    )


def _plain(number, decimals):
    """No exponent, no sign but a minus, no needless zeros."""
    text = f"{Decimal(number):.{decimals}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _check(status):
    if status != 200:
        word, what = _STATUSES.get(status, ("UNKNOWN_ERROR", "failed: try again later"))
        raise Failure(word, f"the places service {what} (HTTP {status})")


async def _body(content):
    body = bytearray()
    async for piece in content.iter_any():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise _misshapen("more than 4 MiB")
    return bytes(body)


def _misshapen(what):
    return Failure("UNKNOWN_ERROR", f"the places service answered with {what}")


def cut(body, bound):
    """An answer with at most `bound` results. What is not cut stays as it came, and so does all of it when
    there is nothing to cut."""
    pieces, at = [], 0
    try:
        text = body.decode()
        members = list(_members(text))
        for key, start, end in members:
            if key == "results" and (first := _over(text, start, bound)):
                pieces.append(text[at:first])
                at = end - 1
    except (ValueError, RecursionError):
        raise _misshapen("something that is not a JSON object") from None
    kinds = {(key, text[start]) for key, start, _ in members if key in ("results", "status")}
    if kinds != {("results", "["), ("status", '"')}:
        raise _misshapen("an object without results or status")
    return "".join((*pieces, text[at:])).encode() if pieces else body


def _members(text):
    """Key, start and end of each value of the object that the text is."""
    at = _behind(text, 0, "{")
    while text[at : at + 1] != "}":
        key, at = _decoder.raw_decode(text, at)
        if not isinstance(key, str):
            raise ValueError("a key that is no string")
        start = _behind(text, at, ":")
        _, end = _decoder.raw_decode(text, start)
        yield key, start, end
        at = _next(text, end, "}")
    if _white_space(text, at + 1).end() != len(text):
        raise ValueError("more than an object")


def _over(text, start, bound):
    """Where the elements over the bound begin in the array at `start`; None if there are none."""
    if text[start] != "[":
        return None
    at = first = _behind(text, start, "[")
    for _ in range(bound):
        if text[at] == "]":
            return None
        _, first = _decoder.raw_decode(text, at)
        at = _next(text, first, "]")
    return None if text[at] == "]" else first


def _behind(text, at, sign):
    """The first place that is not white space behind `sign`."""
    at = _white_space(text, at).end()
    if text[at : at + 1] != sign:
        raise ValueError(f"no {sign}")
    return _white_space(text, at + 1).end()


def _next(text, at, closing):
    """Where the next element is, behind a comma, or the closing sign."""
    at = _white_space(text, at).end()
    if text[at : at + 1] == closing:
        return at
    at = _behind(text, at, ",")
    if text[at : at + 1] == closing:
        raise ValueError("a comma at the end")
    return at
