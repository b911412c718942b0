"""The conf file."""

import tempfile
import unittest
from pathlib import Path

import variant  # noqa: F401
import config

SERVERS = """
[[server]]
name = "Alford"
listen = "127.0.0.1:12000"
neighbors = ["Hamilton"]
[[server]]
name = "Hamilton"
listen = "[::1]:12002"
[[server]]
name = "Welsh"
listen = "127.0.0.1:12004"
neighbors = ["Alford"]
"""


def load(text, name="Alford"):
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "herd.toml")
        path.write_text(text)
        return config.load(path, name)


class Servers(unittest.TestCase):
    def test_a_neighbor_listed_on_one_side_counts_for_both(self):
        def neighbors(name):
            return [neighbor.name for neighbor in load(SERVERS, name).neighbors]

        self.assertEqual(neighbors("Alford"), ["Hamilton", "Welsh"])
        self.assertEqual(neighbors("Hamilton"), ["Alford"])
        self.assertEqual(neighbors("Welsh"), ["Alford"])

    def test_addresses_of_both_kinds_are_read(self):
        self.assertEqual((load(SERVERS).host, load(SERVERS).port), ("127.0.0.1", 12000))
        self.assertEqual(load(SERVERS).neighbors[0], config.Neighbor("Hamilton", "::1", 12002))

    def test_what_is_wrong_is_said(self):
        for text, name in (
            (SERVERS, "Nobody"),
            ("", "Alford"),
            ("[[server", "Alford"),
            (SERVERS.replace("12000", "x"), "Alford"),
            (SERVERS.replace('"Hamilton"]', '"Nobody"]'), "Alford"),
            (SERVERS.replace("Alford", ".Alford"), ".Alford"),
            (SERVERS + '[limits]\nmax_line = "8 dozen"', "Alford"),
            (SERVERS + "[limits]\nmax_ahead = 5", "Alford"),
            (SERVERS + "[pool]\nmax_connections = 0", "Alford"),
            (SERVERS + '[places]\nprovider = "google-legacy"', "Alford"),
        ):
            with self.assertRaises(config.ConfigError):
                load(text, name)


class Values(unittest.TestCase):
    def test_the_defaults_are_the_herds(self):
        conf = load(SERVERS)
        self.assertEqual((conf.max_connections, conf.max_line, conf.max_ahead_ms), (12000, 8192, 86_400_000))
        self.assertIsNone(conf.commands_per_connection)
        self.assertEqual((conf.places.timeout_ms, conf.places.workers, conf.places.queue), (5000, 16, 1024))
        self.assertEqual(conf.log, config.Log("logs", True, 64 << 20, 5))

    def test_units_are_read(self):
        for text, ms in (
            ("250ms", 250),
            ("5s", 5000),
            ("10m", 600_000),
            ("1h 30m", 5_400_000),
            ("2d", 172_800_000),
        ):
            self.assertEqual(load(f'{SERVERS}[limits]\nmax_ahead = "{text}"').max_ahead_ms, ms)
        for text, size in (
            ("8192", 8192),
            ('"8KiB"', 8192),
            ('"512B"', 512),
            ('"1MiB"', 1 << 20),
            ('"64kb"', 64000),
        ):
            self.assertEqual(load(f"{SERVERS}[limits]\nmax_line = {text}").max_line, size)


if __name__ == "__main__":
    unittest.main()
