package flood;

import java.util.Collection;
import java.util.List;

import protocol.Bytes;
import protocol.ClientId;
import records.ClientRecord;

final class OutboxTest {
    private static final byte[] NEIGHBOR = Bytes.ascii("Welsh");

    static void ofTwoRecordsOfAClientTheNewerWaits() throws InterruptedException {
        Outbox outbox = opened();
        put(outbox, "a", 5, null);
        put(outbox, "b", 1, null);
        put(outbox, "a", 7, null);
        put(outbox, "a", 6, null);
        assert times(outbox.take()).equals(List.of(7L, 1L));
    }

    static void nothingGoesBackToWhereItCameFrom() throws InterruptedException {
        Outbox outbox = opened();
        put(outbox, "a", 1, NEIGHBOR);
        put(outbox, "b", 2, Bytes.ascii("Ball"));
        assert times(outbox.take()).equals(List.of(2L));
    }

    static void aClosedOutboxIsEmptyAndStaysSo() throws InterruptedException {
        Outbox outbox = new Outbox();
        put(outbox, "a", 1, null);
        assert outbox.take().isEmpty();
        outbox.open();
        put(outbox, "a", 2, null);
        outbox.close();
        assert outbox.take().isEmpty();
        outbox.open();
        put(outbox, "a", 3, null);
        assert times(outbox.take()).equals(List.of(3L));
    }

    static void atTheEndWhatWaitsIsStillTaken() throws InterruptedException {
        Outbox outbox = opened();
        put(outbox, "a", 1, null);
        put(outbox, "b", 2, null);
        assert outbox.finish();
        assert times(outbox.take()).equals(List.of(1L, 2L));
        assert outbox.take().isEmpty();
    }

    private static Outbox opened() {
        Outbox outbox = new Outbox();
        outbox.open();
        return outbox;
    }

    private static void put(Outbox outbox, String client, long time, byte[] sender) {
        byte[] text = Bytes.ascii("+0+0");
        ClientId id = new ClientId(Bytes.ascii(client));
        outbox.put(List.of(new Accepted(new ClientRecord(id, NEIGHBOR, text, text, time, 0), sender)), NEIGHBOR);
    }

    private static List<Long> times(Collection<ClientRecord> records) {
        return records.stream().map(ClientRecord::time).toList();
    }
}
