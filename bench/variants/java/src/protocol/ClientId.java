package protocol;

import java.util.Arrays;

/** The name that a client gave itself: bytes, not necessarily text. */
public final class ClientId implements Comparable<ClientId> {
    public static final int MAX_BYTES = 255;

    private final byte[] bytes;
    private final int hash;

    /** From a field, which has no white space. */
    public ClientId(byte[] bytes) {
        this.bytes = bytes;
        this.hash = Arrays.hashCode(bytes);
    }

    /** Not to be changed. */
    public byte[] bytes() {
        return bytes;
    }

    /** The order of bytes: with it a hash map stays fast when clients choose names of one hash. */
    @Override
    public int compareTo(ClientId that) {
        return Arrays.compareUnsigned(bytes, that.bytes);
    }

    @Override
    public boolean equals(Object other) {
        return this == other
                || (other instanceof ClientId that && hash == that.hash && Arrays.equals(bytes, that.bytes));
    }

    @Override
    public int hashCode() {
        return hash;
    }
}
