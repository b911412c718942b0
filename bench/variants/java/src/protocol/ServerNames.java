package protocol;

/** Names of servers: 1 to 32 letters, digits, {@code . _ -}, not starting with a point. */
public final class ServerNames {
    public static final int MAX_BYTES = 32;

    private ServerNames() {}

    public static boolean isServerName(String text) {
        byte[] bytes = Bytes.ascii(text);
        return isServerName(bytes, 0, bytes.length);
    }

    static boolean isServerName(byte[] text, int from, int to) {
        if (from == to || to - from > MAX_BYTES || text[from] == '.') {
            return false;
        }
        for (int at = from; at < to; at++) {
            if (!isAllowed(text[at])) {
                return false;
            }
        }
        return true;
    }

    private static boolean isAllowed(byte character) {
        return character >= 'a' && character <= 'z'
                || character >= 'A' && character <= 'Z'
                || character >= '0' && character <= '9'
                || character == '.'
                || character == '_'
                || character == '-';
    }
}
