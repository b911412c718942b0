"""The herd's conf file: the keys that a variant heeds, with the herd's defaults."""

import os
import re
import tomllib
from dataclasses import dataclass

from protocol import is_server_name

_MS_OF_UNIT = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_BYTES_OF_UNIT = {
    "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
    "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
}  # fmt: skip
PUBLIC_PLACES_URL = "https://maps.googleapis.com"


class ConfigError(Exception):
    """What is wrong with the conf file, in words for its author."""


@dataclass(frozen=True)
class Neighbor:
    name: str
    host: str
    port: int


@dataclass(frozen=True)
class Places:
    is_google_legacy: bool
    base_url: str
    key: str
    timeout_ms: int
    workers: int
    queue: int


@dataclass(frozen=True)
class Log:
    dir: str
    traffic: bool
    max_size: int
    keep: int


@dataclass(frozen=True)
class Config:
    """What one server needs to know. Sizes are bytes."""

    name: str
    host: str
    port: int
    neighbors: tuple[Neighbor, ...]
    max_connections: int
    max_line: int
    max_ahead_ms: int
    commands_per_connection: int | None
    places: Places
    log: Log


def load(path, name):
    """The conf of the server `name`."""
    try:
        with open(path, "rb") as file:
            conf = tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None
    try:
        return _config(conf, name)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _config(conf, name):
    servers = _servers(conf)
    if name not in servers:
        raise ConfigError(f"no server {name!r}; there are: {', '.join(servers)}")
    host, port = _address(servers[name])
    limits = _Table(conf, "limits")
    return Config(
        name=name,
        host=host,
        port=port,
        neighbors=_neighbors(servers, name),
        max_connections=_Table(conf, "pool").number("max_connections", 12_000),
        max_line=limits.bytes("max_line", "8KiB"),
        max_ahead_ms=limits.milliseconds("max_ahead", "24h"),
        commands_per_connection=limits.number("commands_per_connection", None),
        places=_places(_Table(conf, "places")),
        log=_log(_Table(conf, "log")),
    )


def _servers(conf):
    servers = {}
    for server in conf.get("server", []):
        name = server.get("name")
        if not isinstance(name, str) or not is_server_name(name.encode()):
            raise ConfigError(f"{name!r} is no name of a server: 1 to 32 letters, digits, '.', '_', '-'")
        if name in servers:
            raise ConfigError(f"two servers have the name {name!r}")
        servers[name] = server
    if not servers:
        raise ConfigError("no server; add a table [[server]]")
    return servers


def _neighbors(servers, name):
    """Listed on one side, a neighbor counts for both."""
    names = set(servers[name].get("neighbors", []))
    names |= {other for other, server in servers.items() if name in server.get("neighbors", [])}
    for other in names:
        if other not in servers or other == name:
            raise ConfigError(f"server {name!r}: {other!r} is no neighbor to have")
    return tuple(Neighbor(other, *_address(servers[other])) for other in sorted(names))


def _address(server):
    listen = str(server.get("listen", ""))
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise ConfigError(f"server {server['name']!r}: listen: {listen!r} is no HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _places(table):
    is_google_legacy = table.get("provider", "gazetteer") == "google-legacy"
    return Places(
        is_google_legacy=is_google_legacy,
        base_url=table.get("base_url", PUBLIC_PLACES_URL).rstrip("/"),
        key=_key(table) if is_google_legacy else "",
        timeout_ms=table.milliseconds("timeout", "5s"),
        workers=table.number("workers", 16),
        queue=table.number("queue", 1024),
    )


def _key(table):
    """From the environment variable if it is set, else from the file."""
    variable, path = table.get("key_env", None), table.get("key_file", None)
    key = os.environ.get(variable) if variable else None
    if key is None and path:
        try:
            with open(path, encoding="ascii") as file:
                key = file.read()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"places.key_file: {error}") from None
    if not key or not key.strip():
        raise ConfigError("places needs an API key: set key_env or key_file")
    return key.strip()


def _log(table):
    return Log(
        dir=table.get("dir", "logs"),
        traffic=table.get("traffic", True),
        max_size=table.bytes("max_size", "64MiB"),
        keep=table.number("keep", 5),
    )


class _Table:
    """One table of the file; a key that is not there has its default."""

    def __init__(self, conf, name):
        self._name = name
        self._keys = conf.get(name, {})

    def get(self, key, default):
        return self._keys.get(key, default)

    def number(self, key, default):
        value = self.get(key, default)
        if value is not None and (type(value) is not int or value < 1):
            raise self._wrong(key, value, "a whole number from 1")
        return value

    def milliseconds(self, key, default):
        """Of `"250ms"` or `"1h 30m"`."""
        value = self.get(key, default)
        parts = re.findall(r"(\d+)\s*(ms|[smhd])\s*", value) if isinstance(value, str) else []
        if not parts or not re.fullmatch(r"\s*(\d+\s*(ms|[smhd])\s*)+", value):
            raise self._wrong(key, value, 'a duration such as "5s"')
        return sum(int(number) * _MS_OF_UNIT[unit] for number, unit in parts)

    def bytes(self, key, default):
        """Of `8192` or `"8KiB"`."""
        value = self.get(key, default)
        if type(value) is int and value >= 0:
            return value
        match = re.fullmatch(r"\s*(\d+)\s*([A-Za-z]*)\s*", value) if isinstance(value, str) else None
        unit = match and _BYTES_OF_UNIT.get(match[2].lower() or "b")
        if not unit:
            raise self._wrong(key, value, 'a size such as "8KiB"')
        return int(match[1]) * unit

    def _wrong(self, key, value, wanted):
        return ConfigError(f"{self._name}.{key}: {value!r} is not {wanted}")
