"""What is known of each client, and which of two reports stays.

A record is a tuple that compares as the merge does, field by field: later time, then lower skew (so it
stands negated), then greater origin, location, time as written. Such tuples hold no containers, so the
garbage collector stops looking at them.
"""

from protocol import at_line, update_line


def record(origin, location, time, time_ns, skew_ns):
    return time_ns, -skew_ns, origin, location, time


def at(client, record):
    """The AT line of a record."""
    _, negated_skew, origin, location, time = record
    return at_line(client, origin, location, time, -negated_skew)


def update(client, record, sender):
    """The UPDATE line of a record."""
    _, negated_skew, origin, location, time = record
    return update_line(client, origin, location, time, -negated_skew, sender)


def location(record):
    return record[3]


class Records:
    """The newest record of each client. One thread, so no lock."""

    def __init__(self):
        self._of = {}

    def get(self, client):
        return self._of.get(client)

    def clients(self):
        """All clients there are now, as a list that stays as it is."""
        return list(self._of)

    def report(self, client, report):
        """Merges what a client said, and returns what is held then: `report` itself if it is newer. The same
        report again is the record held, not a newer one."""
        held = self._of.get(client)
        if held is not None and (report <= held or report[3:] == held[3:]):
            return held
        self._of[client] = report
        return report

    def merge(self, client, record):
        """Merges what a neighbor said. True if it is newer."""
        held = self._of.get(client)
        if held is not None and record <= held:
            return False
        self._of[client] = record
        return True
