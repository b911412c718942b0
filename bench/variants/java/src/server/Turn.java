package server;

import java.util.ArrayList;
import java.util.List;

import flood.Accepted;
import log.Level;
import log.Lines;
import protocol.Bytes;
import protocol.Times;
import records.ClientRecord;

/**
 * What the commands that came together bring about, to be handed over at once: one write to the socket, one
 * lock of the log and of each outbox. A connection has one and uses it again.
 */
final class Turn {
    private static final byte[] ARROW = Bytes.ascii(" -> ");

    private final Shared shared;
    private final byte[] peer;
    private final Bytes replies = new Bytes(256);
    private final List<Accepted> accepted = new ArrayList<>();
    private final Lines lines = new Lines();
    private long now;

    /** {@code peer}: HOST:PORT and a space, as its lines in the log begin. */
    Turn(Shared shared, String peer) {
        this.shared = shared;
        this.peer = Bytes.ascii(peer + " ");
    }

    /** Reads the clock: once for all commands of the turn. */
    void begin() {
        now = Times.now();
    }

    /** In nanoseconds since 1970. */
    long now() {
        return now;
    }

    /** Where replies are appended. */
    Bytes replies() {
        return replies;
    }

    /** Takes note of a record to be flooded. */
    void accept(ClientRecord record, byte[] sender) {
        if (shared.flood().hasNeighbors()) {
            accepted.add(new Accepted(record, sender));
        }
    }

    /** Logs a line and its reply, which stands in the replies from {@code start} on. */
    void logExchange(byte[] line, int from, int to, int start) {
        if (!shared.log().wantsTraffic()) {
            return;
        }
        byte[] reply = replies.array();
        int end = Bytes.indexOf((byte) '\n', reply, start, replies.length());
        begin(line, from, to).add(ARROW).escape(reply, start, end);
        // Behind the LF of an AT line come the places and two more LF.
        int places = replies.length() - (end + 1) - 2;
        if (places > 0) {
            lines.add(" + ").add(Integer.toString(places)).add(" bytes of places");
        }
        lines.end();
    }

    /** Logs an UPDATE. */
    void logUpdate(byte[] line, int from, int to) {
        if (shared.log().wantsTraffic()) {
            begin(line, from, to).end();
        }
    }

    private Lines begin(byte[] line, int from, int to) {
        return lines.begin(now, Level.INFO).add(peer).escape(line, from, to);
    }

    /** Queues what was accepted and the lines; before the replies are written, since they say so. */
    void handOver() {
        if (!accepted.isEmpty()) {
            shared.flood().pass(accepted);
            accepted.clear();
        }
        shared.log().traffic(lines);
    }
}
