package protocol;

import java.nio.charset.StandardCharsets;

import protocol.Command.Iamat;
import protocol.Command.Invalid;
import protocol.Command.Update;
import protocol.Command.Whatsat;

/** From a line to its command. One for each connection, as it keeps where the fields are. */
public final class Parser {
    public static final int MAX_RADIUS_KM = 50;
    public static final int MAX_BOUND = 20;

    private static final byte[] IAMAT = Bytes.ascii("IAMAT");
    private static final byte[] WHATSAT = Bytes.ascii("WHATSAT");
    private static final byte[] UPDATE = Bytes.ascii("UPDATE");
    private static final Command INVALID = new Invalid();

    private final Fields fields = new Fields();

    /** The command that stands between {@code from} and {@code to}, without the LF. */
    public Command parse(byte[] line, int from, int to) {
        fields.split(line, from, to);
        return switch (fields.count()) {
            case 4 -> fields.is(0, IAMAT) ? iamat() : fields.is(0, WHATSAT) ? whatsat() : INVALID;
            case 7 -> fields.is(0, UPDATE) ? update() : INVALID;
            default -> INVALID;
        };
    }

    private Command iamat() {
        long time = time(3);
        if (!isClient(1) || !isLocation(2) || time == Times.NO_TIME) {
            return INVALID;
        }
        return new Iamat(client(), fields.copy(2), fields.copy(3), time);
    }

    private Command whatsat() {
        byte[] line = fields.line();
        boolean isValid =
                isClient(1)
                        && Decimals.isNumber(line, fields.start(2), fields.end(2))
                        && !Decimals.exceeds(line, fields.start(2), fields.end(2), MAX_RADIUS_KM)
                        && Decimals.isDigits(line, fields.start(3), fields.end(3))
                        && !Decimals.exceeds(line, fields.start(3), fields.end(3), MAX_BOUND);
        if (!isValid) {
            return INVALID;
        }
        return new Whatsat(client(), fields.copy(2), Integer.parseInt(text(3)));
    }

    private Command update() {
        long time = time(3);
        boolean isValid =
                isClient(1)
                        && isServerName(2)
                        && time != Times.NO_TIME
                        && isLocation(4)
                        && Times.isSkew(fields.line(), fields.start(5), fields.end(5))
                        && isServerName(6);
        if (!isValid) {
            return INVALID;
        }
        long skew = Times.skew(fields.line(), fields.start(5), fields.end(5));
        return new Update(
                client(), fields.copy(2), fields.copy(4), fields.copy(3), time, skew, fields.copy(6));
    }

    private ClientId client() {
        return new ClientId(fields.copy(1));
    }

    private long time(int field) {
        return Times.time(fields.line(), fields.start(field), fields.end(field));
    }

    private boolean isClient(int field) {
        return fields.length(field) <= ClientId.MAX_BYTES;
    }

    private boolean isLocation(int field) {
        return Locations.isLocation(fields.line(), fields.start(field), fields.end(field));
    }

    private boolean isServerName(int field) {
        return ServerNames.isServerName(fields.line(), fields.start(field), fields.end(field));
    }

    private String text(int field) {
        return new String(fields.copy(field), StandardCharsets.US_ASCII);
    }
}
