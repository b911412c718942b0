package protocol;

import java.time.Instant;

/** Times and skews: nanoseconds in 64 bits, exact, which a floating-point number could not be. */
public final class Times {
    public static final int MAX_TIME_BYTES = 40;
    /** What {@link #time} gives for what is none: no time is below zero. */
    public static final long NO_TIME = -1;

    private static final int SKEW_DIGITS = 20;

    private Times() {}

    /** The clock, in nanoseconds since 1970. */
    public static long now() {
        Instant now = Instant.now();
        return now.getEpochSecond() * 1_000_000_000 + now.getNano();
    }

    /** A time, or {@link #NO_TIME} if these bytes are none. */
    public static long time(byte[] text, int from, int to) {
        if (to - from > MAX_TIME_BYTES) {
            return NO_TIME;
        }
        long negated = Decimals.negatedNanos(text, from, to);
        return negated == Decimals.NO_NANOS || negated == Long.MIN_VALUE ? NO_TIME : -negated;
    }

    /** True if these bytes are a skew: a NUM with or without a sign, within 64 bits. */
    public static boolean isSkew(byte[] text, int from, int to) {
        long negated = Decimals.negatedNanos(text, afterSign(text, from, to), to);
        boolean isNegative = from < to && text[from] == '-';
        return negated != Decimals.NO_NANOS && (isNegative || negated != Long.MIN_VALUE);
    }

    /** The nanoseconds of what {@link #isSkew}. */
    public static long skew(byte[] text, int from, int to) {
        long negated = Decimals.negatedNanos(text, afterSign(text, from, to), to);
        return text[from] == '-' ? negated : -negated;
    }

    /** Appends a sign, the seconds and nine decimals: {@code +0.263873386}. */
    public static void addSkew(long nanos, Bytes out) {
        out.add(nanos < 0 ? '-' : '+');
        byte[] digits = new byte[SKEW_DIGITS];
        int at = digits.length;
        // Below zero all of 64 bits have room.
        long rest = nanos < 0 ? nanos : -nanos;
        for (int place = 0; place <= 9 || rest != 0; place++) {
            if (place == 9) {
                digits[--at] = '.';
            }
            digits[--at] = (byte) ('0' - rest % 10);
            rest /= 10;
        }
        out.add(digits, at, digits.length);
    }

    private static int afterSign(byte[] text, int from, int to) {
        boolean hasSign = from < to && (text[from] == '+' || text[from] == '-');
        return hasSign ? from + 1 : from;
    }
}
