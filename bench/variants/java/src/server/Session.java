package server;

import places.Places;
import protocol.Command;
import protocol.Command.Iamat;
import protocol.Command.Update;
import protocol.Command.Whatsat;
import protocol.Parser;
import protocol.Replies;
import records.ClientRecord;

/** What the commands of one client mean. No socket: lines in, replies into the turn. */
final class Session {
    private final Shared shared;
    private final Turn turn;
    private final boolean isTrusted;
    private final Parser parser = new Parser();
    private final long maxAheadNanos;
    private long repliesLeft;

    /** {@code isTrusted}: the client may send UPDATE. */
    Session(Shared shared, Turn turn, boolean isTrusted) {
        this.shared = shared;
        this.turn = turn;
        this.isTrusted = isTrusted;
        this.maxAheadNanos = shared.limits().maxAhead().toNanos();
        this.repliesLeft = shared.limits().commandsPerConnection();
    }

    /** A WHATSAT for which somebody has to be asked, which may take a while. */
    record LookUp(ClientRecord record, byte[] radius, int bound) {}

    /** True once the client has had all the replies that it may have. */
    boolean isOver() {
        return repliesLeft <= 0;
    }

    /** Handles one line; not null if it is to be {@link #answer answered} with places. */
    LookUp handle(byte[] line, int from, int to) {
        Command command = parser.parse(line, from, to);
        if (command instanceof Iamat iamat && !isTooFarAhead(iamat.time())) {
            report(iamat, line, from, to);
        } else if (command instanceof Update update && isTrusted) {
            update(update, line, from, to);
        } else if (command instanceof Whatsat whatsat) {
            return whatsat(whatsat, line, from, to);
        } else {
            invalid(line, from, to);
        }
        return null;
    }

    /** Replies to what is no valid command: the line comes back. */
    void invalid(byte[] line, int from, int to) {
        int start = turn.replies().length();
        Replies.addInvalid(line, from, to, turn.replies());
        replied(line, from, to, start);
    }

    /** Asks for places, which may block, and replies to the WHATSAT of that line. */
    void answer(LookUp lookUp, byte[] line, int from, int to) {
        ClientRecord record = lookUp.record();
        byte[] json = shared.places().near(record.location(), lookUp.radius(), lookUp.bound());
        turn.begin();
        reply(record, json, line, from, to);
    }

    private void report(Iamat iamat, byte[] line, int from, int to) {
        long skew = turn.now() - iamat.time();
        ClientRecord reported =
                new ClientRecord(
                        iamat.client(), shared.name(), iamat.location(), iamat.timeText(), iamat.time(), skew);
        ClientRecord held = shared.records().report(reported);
        if (held == reported) {
            turn.accept(reported, null);
        }
        int start = turn.replies().length();
        held.addAt(turn.replies());
        replied(line, from, to, start);
    }

    private void update(Update update, byte[] line, int from, int to) {
        turn.logUpdate(line, from, to);
        ClientRecord said =
                new ClientRecord(
                        update.client(),
                        update.origin(),
                        update.location(),
                        update.timeText(),
                        update.time(),
                        update.skew());
        if (shared.records().merge(said) == said) {
            turn.accept(said, update.sender());
        }
    }

    private LookUp whatsat(Whatsat whatsat, byte[] line, int from, int to) {
        ClientRecord record = shared.records().get(whatsat.client());
        if (record == null) {
            invalid(line, from, to);
            return null;
        }
        if (whatsat.bound() > 0) {
            return new LookUp(record, whatsat.radius(), whatsat.bound());
        }
        reply(record, Places.NONE, line, from, to);
        return null;
    }

    private void reply(ClientRecord record, byte[] places, byte[] line, int from, int to) {
        int start = turn.replies().length();
        record.addAt(turn.replies());
        Replies.addPlaces(places, turn.replies());
        replied(line, from, to, start);
    }

    private boolean isTooFarAhead(long time) {
        return time - turn.now() > maxAheadNanos;
    }

    private void replied(byte[] line, int from, int to, int start) {
        repliesLeft--;
        turn.logExchange(line, from, to, start);
    }
}
