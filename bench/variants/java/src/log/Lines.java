package log;

import protocol.Bytes;

/** Lines for the log that one thread gathers. What a client said is escaped, so nobody forges a line. */
public final class Lines {
    private static final byte[] HEX = Bytes.ascii("0123456789abcdef");

    private final Bytes text = new Bytes(256);
    private final Bytes stamp = new Bytes(32);
    private long stampedAt = -1;
    private int count;

    /** Begins a line at that time, in nanoseconds since 1970; the lines of a turn share theirs. */
    public Lines begin(long nanos, Level level) {
        if (nanos != stampedAt) {
            stamp.clear();
            Stamp.add(nanos, stamp);
            stampedAt = nanos;
        }
        text.add(stamp.array(), 0, stamp.length());
        text.add(level.column());
        return this;
    }

    /** Appends bytes that are known to be printable. */
    public Lines add(byte[] printable) {
        text.add(printable);
        return this;
    }

    /** Appends text that is known to be printable. */
    public Lines add(String printable) {
        text.add(printable);
        return this;
    }

    /** Appends any bytes: printable ASCII as it is, the others escaped. */
    public Lines escape(byte[] bytes, int from, int to) {
        int start = from;
        for (int at = from; at < to; at++) {
            byte one = bytes[at];
            if (one < ' ' || one > '~' || one == '\\') {
                text.add(bytes, start, at);
                escape(one);
                start = at + 1;
            }
        }
        text.add(bytes, start, to);
        return this;
    }

    public void end() {
        text.add('\n');
        count++;
    }

    boolean isEmpty() {
        return count == 0;
    }

    int count() {
        return count;
    }

    Bytes text() {
        return text;
    }

    void clear() {
        text.clear();
        count = 0;
    }

    private void escape(byte one) {
        text.add('\\');
        switch (one) {
            case '\\' -> text.add('\\');
            case '\n' -> text.add('n');
            case '\r' -> text.add('r');
            case '\t' -> text.add('t');
            default -> {
                text.add('x');
                text.add(HEX[one >> 4 & 15]);
                text.add(HEX[one & 15]);
            }
        }
    }
}
