package protocol;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * Bytes that are appended to and used again: what {@code ByteArrayOutputStream} is, without its lock
 * and with its array in reach.
 */
public final class Bytes {
    /** Room that an emptied buffer keeps; what one large reply needed beyond is given back. */
    private static final int KEPT_BYTES = 64 * 1024;

    private byte[] array;
    private int length;

    public Bytes(int capacity) {
        array = new byte[capacity];
    }

    /** The bytes from 0 to {@link #length}; another array once something is appended. */
    public byte[] array() {
        return array;
    }

    public int length() {
        return length;
    }

    public boolean isEmpty() {
        return length == 0;
    }

    public void clear() {
        length = 0;
        if (array.length > KEPT_BYTES) {
            array = new byte[KEPT_BYTES];
        }
    }

    public void add(int oneByte) {
        ensure(1);
        array[length++] = (byte) oneByte;
    }

    public void add(byte[] bytes) {
        add(bytes, 0, bytes.length);
    }

    public void add(byte[] bytes, int from, int to) {
        ensure(to - from);
        System.arraycopy(bytes, from, array, length, to - from);
        length += to - from;
    }

    /** Appends text that is ASCII. */
    public void add(String text) {
        add(ascii(text));
    }

    public byte[] toArray() {
        return Arrays.copyOf(array, length);
    }

    public static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }

    /** Where that byte first stands between {@code from} and {@code to}, or -1. */
    public static int indexOf(byte wanted, byte[] bytes, int from, int to) {
        for (int at = from; at < to; at++) {
            if (bytes[at] == wanted) {
                return at;
            }
        }
        return -1;
    }

    private void ensure(int more) {
        if (array.length - length < more) {
            array = Arrays.copyOf(array, Math.max(array.length * 2, length + more));
        }
    }
}
