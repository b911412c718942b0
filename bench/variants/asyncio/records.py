"""What is known of each client, and which of two records of one client stays: the greater one."""


class Records:
    """The newest record of each client. One thread, so no lock."""

    def __init__(self):
        self._of = {}
        self.get = self._of.get

    def clients(self):
        """All clients there are now, in a list that stays as it is."""
        return list(self._of)

    def report(self, client, report):
        """Merges what a client said, and returns the record held then: `report` itself if it is newer. The
        same location and time again are the record held, not a newer one."""
        held = self._of.get(client)
        if held is not None and report[0] <= held[0] and (report <= held or report[3:] == held[3:]):
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
