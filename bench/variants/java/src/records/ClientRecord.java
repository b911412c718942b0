package records;

import java.util.Arrays;

import protocol.Bytes;
import protocol.ClientId;
import protocol.Times;

/** What is known of one client. Its bytes are not to be changed: it is shared. */
public record ClientRecord(
        ClientId client, byte[] origin, byte[] location, byte[] timeText, long time, long skew) {
    private static final byte[] AT = Bytes.ascii("AT ");
    private static final byte[] UPDATE = Bytes.ascii("UPDATE ");

    /**
     * True if this one replaces the other of its client. A total order (later time, lower skew, then
     * the greater bytes), so it does not matter which of two comes first.
     */
    public boolean isNewerThan(ClientRecord other) {
        if (time != other.time) {
            return time > other.time;
        }
        if (skew != other.skew) {
            return skew < other.skew;
        }
        int order = Arrays.compareUnsigned(origin, other.origin);
        if (order == 0) {
            order = Arrays.compareUnsigned(location, other.location);
        }
        if (order == 0) {
            order = Arrays.compareUnsigned(timeText, other.timeText);
        }
        return order > 0;
    }

    /** The newer of two records of a client; the held one if they are equal. */
    public static ClientRecord newer(ClientRecord held, ClientRecord offered) {
        return offered.isNewerThan(held) ? offered : held;
    }

    /** True if both came from the same report. */
    public boolean isSameReport(ClientRecord other) {
        return time == other.time
                && Arrays.equals(timeText, other.timeText)
                && Arrays.equals(location, other.location)
                && client.equals(other.client);
    }

    /** Appends {@code AT Ball +0.263873386 kiwi +34.068930-118.445127 1479413884.392014450} and LF. */
    public void addAt(Bytes out) {
        out.add(AT);
        out.add(origin);
        out.add(' ');
        Times.addSkew(skew, out);
        out.add(' ');
        out.add(client.bytes());
        out.add(' ');
        out.add(location);
        out.add(' ');
        out.add(timeText);
        out.add('\n');
    }

    /** Appends the UPDATE that this sender floods, and LF. */
    public void addUpdate(byte[] sender, Bytes out) {
        out.add(UPDATE);
        out.add(client.bytes());
        out.add(' ');
        out.add(origin);
        out.add(' ');
        out.add(timeText);
        out.add(' ');
        out.add(location);
        out.add(' ');
        Times.addSkew(skew, out);
        out.add(' ');
        out.add(sender);
        out.add('\n');
    }
}
