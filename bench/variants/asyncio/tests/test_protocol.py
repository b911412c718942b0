"""What a line says, and what is said back."""

import unittest

import variant  # noqa: F401
import protocol

LOCATION = b"+34.068930-118.445127"


def location_is_valid(location):
    return protocol.iamat(b"IAMAT kiwi " + location + b" 1") is not None


def time_of(time):
    fields = protocol.iamat(b"IAMAT kiwi +1+1 " + time)
    return fields and fields[3]


def skew_of(skew):
    fields = protocol.update(b"UPDATE kiwi Ball 1 +1+1 " + skew + b" Ball")
    return fields and -fields[1][1]


class Fields(unittest.TestCase):
    def test_a_report_is_read_as_written(self):
        line = b"IAMAT kiwi.cs.ucla.edu +34.068930-118.445127 1479413884.392014450"
        client, location, time, time_ns = protocol.iamat(line)
        self.assertEqual((client, location, time), tuple(line.split()[1:]))
        self.assertEqual(time_ns, 1479413884392014450)

    def test_white_space_of_every_kind_separates_fields(self):
        self.assertEqual(protocol.iamat(b"\x0b IAMAT\tkiwi\x0c\r+1+1 \t5\r")[:3], (b"kiwi", b"+1+1", b"5"))
        self.assertIsNone(protocol.iamat(b"IAMAT kiwi\x00+1+1 5"))
        self.assertIsNone(protocol.iamat(b"IAMAT kiwi\xa0+1+1 5"))

    def test_command_words_are_exact_and_fields_counted(self):
        for line in (
            b"",
            b" ",
            b"iamat kiwi +1+1 5",
            b"IAMATkiwi +1+1 5",
            b"IAMAT kiwi +1+1",
            b"IAMAT kiwi +1+1 5 6",
        ):
            self.assertIsNone(protocol.iamat(line), line)

    def test_a_client_has_at_most_255_bytes(self):
        self.assertIsNotNone(protocol.iamat(b"IAMAT " + 255 * b"\xff" + b" +1+1 5"))
        self.assertIsNone(protocol.iamat(b"IAMAT " + 256 * b"\xff" + b" +1+1 5"))

    def test_an_update_is_read_into_a_record(self):
        client, record, sender = protocol.update(b"UPDATE kiwi Ball 1.5 +1-2 +0.25 Holiday")
        self.assertEqual((client, sender), (b"kiwi", b"Holiday"))
        self.assertEqual(record, (1_500_000_000, -250_000_000, b"Ball", b"+1-2", b"1.5"))

    def test_origins_and_senders_are_names_of_servers(self):
        for name, is_valid in (
            (b"a.B_c-9.", True),
            (32 * b"H", True),
            (33 * b"H", False),
            (b".a", False),
            (b"a/b", False),
        ):
            self.assertEqual(protocol.is_server_name(name), is_valid, name)
            for line in (b"UPDATE kiwi %b 1 +1+1 0 Ball", b"UPDATE kiwi Ball 1 +1+1 0 %b"):
                self.assertEqual(protocol.update(line % name) is not None, is_valid, name)


class Ranges(unittest.TestCase):
    def test_degrees_are_compared_as_decimals(self):
        for location in (
            b"+90+180",
            b"-90-180",
            b"+090.0-00180.000",
            b"+89.99999999999999999999+179.99999999999999999999",
        ):
            self.assertTrue(location_is_valid(location), location)
        for location in (
            b"+90.00000000000000000001+1",
            b"+91+1",
            b"+1+180.00000000000000000001",
            b"+1-181",
            b"+100+1",
            b"+1+1000",
        ):
            self.assertFalse(location_is_valid(location), location)

    def test_both_signs_and_whole_numbers_are_needed(self):
        for location in (
            b"1+1",
            b"+1",
            b"+1+",
            b"+5.+1",
            b"+.5+1",
            b"+1+1+1",
            b"+1e1+1",
            b"+1--1",
            b"++1",
            b"+1+1.",
        ):
            self.assertFalse(location_is_valid(location), location)

    def test_a_location_has_at_most_64_bytes(self):
        self.assertTrue(location_is_valid(b"+1." + 59 * b"0" + b"+2"))
        self.assertFalse(location_is_valid(b"+1." + 60 * b"0" + b"+2"))

    def test_radius_and_bound_have_limits_that_count_every_digit(self):
        for radius in (b"0", b"50", b"050.000", b"49.99999999999999999999", 40 * b"0" + b"50", b"0.5"):
            self.assertEqual(protocol.whatsat(b"WHATSAT kiwi " + radius + b" 5"), (b"kiwi", radius, 5))
        for radius in (b"50.00000000000000000001", b"51", b"-1", b"5.", b".5", b"1e1", b"1" + 5000 * b"0"):
            self.assertIsNone(protocol.whatsat(b"WHATSAT kiwi " + radius + b" 5"), radius)
        for bound, value in ((b"0", 0), (b"20", 20), (b"00020", 20), (b"9", 9), (5000 * b"0", 0)):
            self.assertEqual(protocol.whatsat(b"WHATSAT kiwi 1 " + bound)[2], value)
        for bound in (b"21", b"1.0", b"-0", b"+1", b"256", b"1_0", b"200"):
            self.assertIsNone(protocol.whatsat(b"WHATSAT kiwi 1 " + bound), bound)


class Times(unittest.TestCase):
    def test_times_are_exact_to_the_nanosecond_and_cut_behind_it(self):
        for time, time_ns in (
            (b"1479413884.392014450", 1479413884392014450),
            (b"1479413884.392014451", 1479413884392014451),
            (b"1479413884.3920144519999", 1479413884392014451),
            (b"0001.5", 1_500_000_000),
            (b"5", 5_000_000_000),
            (b"9223372036.854775807", 2**63 - 1),
        ):
            self.assertEqual(time_of(time), time_ns, time)

    def test_times_that_are_no_numbers_or_do_not_fit_are_refused(self):
        for time in (
            b"9223372036.854775808",
            b"18446744073709551617",
            40 * b"9",
            41 * b"0",
            b"5.",
            b".5",
            b"-1",
            b"+1",
            b"1e3",
        ):
            self.assertIsNone(time_of(time), time)

    def test_skews_are_cut_to_nine_decimals_and_have_64_bits(self):
        for skew, skew_ns in (
            (b"0.263873386", 263_873_386),
            (b"+0.1234567899", 123_456_789),
            (b"-0.99999999999999999999", -999_999_999),
            (b"-00012.5", -12_500_000_000),
            (b"-0.0000000009", 0),
            (5000 * b"0" + b"1", 1_000_000_000),
            (b"9223372036.8547758079", 2**63 - 1),
            (b"-9223372036.854775808", -(2**63)),
        ):
            self.assertEqual(skew_of(skew), skew_ns, skew)
        for skew in (
            b"9223372036.854775808",
            b"-9223372036.854775809",
            b"-18446744073709551617",
            b"+5.",
            b"+-1",
            b"+",
            b"1e3",
        ):
            self.assertIsNone(skew_of(skew), skew)

    def test_skews_are_written_with_a_sign_and_nine_decimals(self):
        for skew_ns, text in (
            (0, b"+0.000000000"),
            (263_873_386, b"+0.263873386"),
            (-12_000_000_001, b"-12.000000001"),
            (-1, b"-0.000000001"),
            (2**63 - 1, b"+9223372036.854775807"),
        ):
            self.assertEqual(protocol.skew(skew_ns), text)


class Replies(unittest.TestCase):
    RECORD = (1479413884392014450, -263873386, b"Ball", LOCATION, b"1479413884.392014450")

    def test_a_record_becomes_an_at_line(self):
        line = b"AT Ball +0.263873386 kiwi +34.068930-118.445127 1479413884.392014450\n"
        self.assertEqual(protocol.at_line(b"kiwi", self.RECORD), line)

    def test_an_update_line_is_read_as_the_record_it_was_made_of(self):
        line = protocol.update_line(b"kiwi", self.RECORD, b"Welsh")
        self.assertEqual(line[:17], b"UPDATE kiwi Ball ")
        self.assertEqual(protocol.update(line), (b"kiwi", self.RECORD, b"Welsh"))

    def test_places_end_with_the_only_empty_line(self):
        self.assertEqual(protocol.places(b"\n\n{\n\n\n1\n}\n\n\n"), b"\n{\n1\n}\n\n")
        self.assertEqual(protocol.places(b"{}"), b"{}\n\n")


if __name__ == "__main__":
    unittest.main()
