package protocol;

/**
 * NUM: digits, or digits {@code .} digits. Read from the bytes of a line, compared and converted as
 * decimals, never through floats. Each method takes the bytes between {@code from} and {@code to}.
 */
public final class Decimals {
    /** What no number is: {@link #negatedNanos} gives 0 or less for all that are. */
    public static final long NO_NANOS = 1;

    private static final long NANOS_PER_SECOND = 1_000_000_000;
    private static final int NANO_DIGITS = 9;
    /** The whole seconds of -2^63 nanoseconds. */
    private static final long MOST_SECONDS = Long.MAX_VALUE / NANOS_PER_SECOND;

    private Decimals() {}

    /** True if these bytes are a NUM. */
    public static boolean isNumber(byte[] text, int from, int to) {
        int point = skipDigits(text, from, to);
        if (point == from || point == to) {
            return point != from;
        }
        return text[point] == '.' && point + 1 < to && skipDigits(text, point + 1, to) == to;
    }

    /** True if these bytes are digits, at least one. */
    public static boolean isDigits(byte[] text, int from, int to) {
        return from < to && skipDigits(text, from, to) == to;
    }

    /** True if this NUM is greater than the limit, by however little. */
    public static boolean exceeds(byte[] text, int from, int to, int limit) {
        long whole = 0;
        int at = from;
        for (; at < to && text[at] != '.'; at++) {
            whole = whole * 10 + (text[at] - '0');
            if (whole > limit) {
                return true;
            }
        }
        return whole == limit && hasFraction(text, at + 1, to);
    }

    /**
     * Minus this number's nanoseconds, as -2^63 has no opposite in 64 bits; digits after the ninth are
     * cut. {@link #NO_NANOS} if the bytes are no NUM, or the nanoseconds do not fit.
     */
    public static long negatedNanos(byte[] text, int from, int to) {
        if (!isNumber(text, from, to)) {
            return NO_NANOS;
        }
        long seconds = 0;
        int at = from;
        for (; at < to && text[at] != '.'; at++) {
            seconds = seconds * 10 + (text[at] - '0');
            if (seconds > MOST_SECONDS) {
                return NO_NANOS;
            }
        }
        long nanos = 0;
        for (int place = 1; place <= NANO_DIGITS; place++) {
            nanos = nanos * 10 + (at + place < to ? text[at + place] - '0' : 0);
        }
        // Below zero there is room for one more than above; past it the sign turns.
        long negated = -seconds * NANOS_PER_SECOND - nanos;
        return negated > 0 ? NO_NANOS : negated;
    }

    private static boolean hasFraction(byte[] text, int from, int to) {
        for (int at = from; at < to; at++) {
            if (text[at] != '0') {
                return true;
            }
        }
        return false;
    }

    private static int skipDigits(byte[] text, int from, int to) {
        int at = from;
        while (at < to && text[at] >= '0' && text[at] <= '9') {
            at++;
        }
        return at;
    }
}
