"""The log file and its lines."""

import tempfile
import unittest
from pathlib import Path
from unittest.mock import patch

import variant  # noqa: F401
import log
from config import Log as Conf


class Lines(unittest.TestCase):
    def test_client_bytes_stay_within_their_line(self):
        self.assertEqual(log.escape(b"a \\ \n\r\t\x00\x7f\xff~"), rb"a \\ \n\r\t\x00\x7f\xff~")

    def test_only_what_stands_for_itself_is_literal(self):
        self.assertTrue(log.is_literal(b"IAMAT kiwi +1+1 5\nnext ~\n"))
        for byte in (b"\\", b"\r", b"\t", b"\x00", b"\x7f", b"\xff"):
            self.assertFalse(log.is_literal(b"a" + byte))

    def test_commands_and_replies_are_escaped_and_end_their_lines(self):
        pieces = [b"head ", b"a\tb", b" -> ", b"? a\tb\n", b"head ", b"UPDATE\r", b"", b"\n"]
        self.assertEqual(b"".join(log.escaped(pieces)), b"head a\\tb -> ? a\\tb\nhead UPDATE\\r\n")


class Files(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name)

    def read(self, suffix=""):
        return Path(self.path, "Ball.log" + suffix).read_bytes()

    def conf(self, **changes):
        return Conf(**{"dir": str(self.path), "traffic": True, "max_size": 20, "keep": 2, **changes})

    def test_heads_of_lines_are_utc_to_the_microsecond(self):
        written = log.Log("Ball", self.conf())
        for now_ns, stamp in (
            (1479413884_392014450, b"2016-11-17T20:18:04.392014Z"),
            (1479413884_000001999, b"2016-11-17T20:18:04.000001Z"),
            (1479413885_000000000, b"2016-11-17T20:18:05.000000Z"),
        ):
            self.assertEqual(written.head(now_ns, b"127.0.0.1:9"), stamp + b" INFO  127.0.0.1:9 ")
        written.close(5)

    def test_what_was_written_is_in_the_file_when_it_is_closed(self):
        written = log.Log("Ball", self.conf(max_size=1 << 20))
        written.write(b"one\n")
        written.write(b"two\nthree\n")
        written.close(5)
        self.assertEqual(self.read(), b"one\ntwo\nthree\n")

    def test_a_file_is_rotated_before_it_grows_over_its_size(self):
        file = log.LogFile("Ball", self.conf())
        file.write(b"".join(b"line %d\n" % number for number in range(10)))
        self.assertEqual(self.read(), b"line 8\nline 9\n")
        self.assertEqual(self.read(".1"), b"line 6\nline 7\n")
        self.assertEqual(self.read(".2"), b"line 4\nline 5\n")
        self.assertFalse(Path(self.path, "Ball.log.3").exists())

    def test_a_line_longer_than_a_file_has_one_of_its_own(self):
        file = log.LogFile("Ball", self.conf())
        file.write(b"short\n" + 30 * b"x" + b"\nshort\n")
        self.assertEqual(self.read(".1"), 30 * b"x" + b"\n")
        self.assertEqual(self.read(), b"short\n")

    def test_a_log_that_is_there_is_appended_to(self):
        log.LogFile("Ball", self.conf()).write(b"old\n")
        log.LogFile("Ball", self.conf()).write(b"new\n")
        self.assertEqual(self.read(), b"old\nnew\n")

    def test_what_a_stalled_disk_makes_drop_is_counted_and_said(self):
        written = log.Log("Ball", self.conf(max_size=1 << 20))
        with patch.object(log, "MAX_WAITING_BYTES", 9), patch.object(log, "PIECE_BYTES", 1):
            written.write(b"lost\nlost\n")
            written.write(b"kept\n")
        written.close(5)
        self.assertRegex(self.read(), rb"^kept\n.* WARN  log dropped 2 lines: the disk is too slow\n$")


if __name__ == "__main__":
    unittest.main()
