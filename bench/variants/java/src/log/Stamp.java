package log;

import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;

import protocol.Bytes;

/** Times as the log has them: UTC, microseconds, {@code 2026-11-27T17:30:00.123456Z}. */
final class Stamp {
    private static final DateTimeFormatter TO_THE_SECOND =
            DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.").withZone(ZoneOffset.UTC);
    private static final long NANOS_PER_SECOND = 1_000_000_000;

    /** The text of a second. Shared by all threads: whoever needs another one replaces it. */
    private record Second(long second, byte[] text) {}

    private static volatile Second latest = new Second(-1, new byte[0]);

    private Stamp() {}

    static void add(long nanos, Bytes out) {
        long second = nanos / NANOS_PER_SECOND;
        Second known = latest;
        if (known.second != second) {
            known = new Second(second, Bytes.ascii(TO_THE_SECOND.format(Instant.ofEpochSecond(second))));
            latest = known;
        }
        out.add(known.text);
        int micros = (int) (nanos % NANOS_PER_SECOND / 1000);
        for (int unit = 100_000; unit > 0; unit /= 10) {
            out.add('0' + micros / unit % 10);
        }
        out.add('Z');
    }
}
