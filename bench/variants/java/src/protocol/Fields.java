package protocol;

import java.util.Arrays;

/** Where the fields of a line are. One object serves all lines of a connection. */
final class Fields {
    /** An UPDATE has the most. */
    private static final int MAX_FIELDS = 7;
    /** A bit for each byte that separates fields: space, tab, CR, LF, form feed, vertical tab. */
    private static final long WHITE_SPACE =
            1L << ' ' | 1L << '\t' | 1L << '\r' | 1L << '\n' | 1L << '\f' | 1L << 0x0b;

    private final int[] starts = new int[MAX_FIELDS];
    private final int[] ends = new int[MAX_FIELDS];
    private byte[] line;
    private int count;

    /** Finds the fields between {@code from} and {@code to}. */
    void split(byte[] bytes, int from, int to) {
        line = bytes;
        count = 0;
        int at = from;
        while (true) {
            while (at < to && isWhiteSpace(bytes[at])) {
                at++;
            }
            if (at == to) {
                return;
            }
            if (count == MAX_FIELDS) {
                count++;
                return;
            }
            starts[count] = at;
            while (at < to && !isWhiteSpace(bytes[at])) {
                at++;
            }
            ends[count++] = at;
        }
    }

    /** How many there are; of too many, one more than any command has. */
    int count() {
        return count;
    }

    int start(int field) {
        return starts[field];
    }

    int end(int field) {
        return ends[field];
    }

    int length(int field) {
        return ends[field] - starts[field];
    }

    byte[] copy(int field) {
        return Arrays.copyOfRange(line, starts[field], ends[field]);
    }

    boolean is(int field, byte[] word) {
        return Arrays.equals(line, starts[field], ends[field], word, 0, word.length);
    }

    byte[] line() {
        return line;
    }

    static boolean isWhiteSpace(byte character) {
        return character >= 0 && character <= ' ' && (WHITE_SPACE >>> character & 1) == 1;
    }
}
