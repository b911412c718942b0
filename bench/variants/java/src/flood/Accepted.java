package flood;

import java.util.Arrays;

import records.ClientRecord;

/** A record that was newer than what was held, and the neighbor that it came from; null: from a client. */
public record Accepted(ClientRecord record, byte[] sender) {
    boolean isFrom(byte[] neighbor) {
        return sender != null && Arrays.equals(sender, neighbor);
    }
}
