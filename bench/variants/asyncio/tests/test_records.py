"""Newest wins, whatever the order."""

import itertools
import unittest

import variant  # noqa: F401
from records import Records

# Each is greater than the one before it.
RISING = [
    (1, -9, b"Zoo", b"+9+9", b"9"),
    (2, -2, b"Ball", b"+1+1", b"2"),
    (2, -1, b"Ball", b"+1+1", b"2"),
    (2, -1, b"a", b"+1+1", b"2"),
    (2, -1, b"a", b"-1+1", b"2"),
    (2, -1, b"a", b"-1+1", b"2.0"),
]


class Merge(unittest.TestCase):
    def test_each_field_decides_in_its_turn(self):
        for lesser, greater in itertools.combinations(RISING, 2):
            for order in ((lesser, greater), (greater, lesser)):
                records = Records()
                for record in order:
                    records.merge(b"kiwi", record)
                self.assertEqual(records.get(b"kiwi"), greater)

    def test_the_order_and_repeats_of_updates_count_for_nothing(self):
        for order in itertools.permutations(RISING):
            records = Records()
            accepted = [records.merge(b"kiwi", record) for record in (*order, *order)]
            self.assertEqual(records.get(b"kiwi"), RISING[-1])
            self.assertTrue(accepted[0])
            self.assertFalse(any(accepted[len(order) :]), "merging is idempotent")

    def test_a_newer_report_is_held_and_an_older_one_is_not(self):
        records = Records()
        reports = [RISING[0], RISING[1], RISING[4], RISING[5]]
        for report in reports:
            self.assertIs(records.report(b"kiwi", report), report)
        for report in reports:
            self.assertIs(records.report(b"kiwi", report), RISING[5])

    def test_the_same_location_and_time_are_the_record_held(self):
        records = Records()
        first = (2, -9, b"Ball", b"+1+1", b"2")
        again = (2, -5, b"Hands", b"+1+1", b"2")
        records.report(b"kiwi", first)
        self.assertIs(records.report(b"kiwi", again), first)
        self.assertTrue(records.merge(b"kiwi", again), "but an update is merged")

    def test_the_clients_that_are_listed_stay(self):
        records = Records()
        records.merge(b"a", RISING[0])
        clients = records.clients()
        records.merge(b"b", RISING[0])
        self.assertEqual(clients, [b"a"])


if __name__ == "__main__":
    unittest.main()
