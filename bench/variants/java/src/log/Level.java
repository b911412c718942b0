package log;

import protocol.Bytes;

/** How much a line of the log matters. */
public enum Level {
    INFO(" INFO  "),
    WARN(" WARN  "),
    ERROR(" ERROR ");

    private final byte[] column;

    Level(String column) {
        this.column = Bytes.ascii(column);
    }

    byte[] column() {
        return column;
    }
}
