package records;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;

import protocol.Bytes;
import protocol.ClientId;
import protocol.Times;

final class MergeTest {
    private static final ClientId CLIENT = new ClientId(Bytes.ascii("kiwi"));

    /** Each is newer than the one before. */
    private static final List<ClientRecord> IN_ORDER =
            List.of(
                    record("Hands", "+1+1", "1.5", 0),
                    record("A", "+0+0", "2", 9),
                    record("Hands", "+0+0", "2", 5),
                    record("Zoo", "+0+0", "2", 4),
                    record("a", "+0+0", "2", 4),
                    record("a", "-0+0", "02", 4),
                    record("a", "-0+0", "2", 4),
                    record("a", "-0+0", "2.0", 4),
                    record("a", "-0+0", "2.0000000001", 4),
                    record("A", "+0+0", "2.000000001", Long.MAX_VALUE));

    static void theOrderIsTotal() {
        for (int one = 0; one < IN_ORDER.size(); one++) {
            for (int other = 0; other < IN_ORDER.size(); other++) {
                boolean isNewer = IN_ORDER.get(one).isNewerThan(IN_ORDER.get(other));
                assert isNewer == one > other : one + " and " + other;
            }
        }
    }

    static void serversThatSawTheSameHoldTheSameWhateverTheOrder() {
        Random random = new Random(4);
        for (int round = 0; round < 200; round++) {
            List<ClientRecord> shuffled = new ArrayList<>(IN_ORDER);
            shuffled.addAll(IN_ORDER.subList(0, random.nextInt(IN_ORDER.size())));
            Collections.shuffle(shuffled, random);
            Records records = new Records();
            shuffled.forEach(records::merge);
            assert records.get(CLIENT) == newest() : "round " + round;
        }
    }

    static void whatIsNotNewerIsDropped() {
        Records records = new Records();
        ClientRecord held = record("Ball", "+1+1", "2", 0);
        assert records.merge(held) == held;
        assert records.merge(record("Ball", "+1+1", "2", 0)) == held;
        assert records.report(record("Ball", "+1+1", "1", 0)) == held;
    }

    static void theSameReportAgainIsNotStampedAnew() {
        Records records = new Records();
        ClientRecord held = records.report(record("Ball", "+1+1", "2", 9));
        assert records.report(record("Ball", "+1+1", "2", 3)) == held;
        ClientRecord elsewhere = record("Ball", "+2+2", "2", 3);
        assert records.report(elsewhere) == elsewhere;
    }

    static void clientsAreKnownByTheirBytes() {
        Records records = new Records();
        ClientRecord held = records.report(record("Ball", "+1+1", "2", 9));
        assert records.get(new ClientId(Bytes.ascii("kiwi"))) == held;
        assert records.get(new ClientId(Bytes.ascii("kiwis"))) == null;
    }

    static void aRecordIsAnAtLineAndAnUpdate() {
        ClientRecord record = record("Ball", "+34.068930-118.445127", "1479413884.392014450", 263_873_386);
        Bytes out = new Bytes(1);
        record.addAt(out);
        record.addUpdate(Bytes.ascii("Welsh"), out);
        String lines = new String(out.toArray());
        assert lines.equals(
                        "AT Ball +0.263873386 kiwi +34.068930-118.445127 1479413884.392014450\n"
                                + "UPDATE kiwi Ball 1479413884.392014450 +34.068930-118.445127 +0.263873386 Welsh\n")
                : lines;
    }

    private static ClientRecord newest() {
        return IN_ORDER.get(IN_ORDER.size() - 1);
    }

    private static ClientRecord record(String origin, String location, String time, long skew) {
        byte[] text = Bytes.ascii(time);
        return new ClientRecord(
                CLIENT,
                Bytes.ascii(origin),
                Bytes.ascii(location),
                text,
                Times.time(text, 0, text.length),
                skew);
    }
}
