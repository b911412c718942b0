package protocol;

/** What a server writes, but for the AT and UPDATE lines, which a record knows. */
public final class Replies {
    public static final byte[] TOO_MANY_CONNECTIONS = Bytes.ascii("? too many connections\n");

    private Replies() {}

    /** {@code ? } and the line as it came. */
    public static void addInvalid(byte[] line, int from, int to, Bytes out) {
        out.add('?');
        out.add(' ');
        out.add(line, from, to);
        out.add('\n');
    }

    /** The places behind the LF of an AT line: no empty line in them, and one at the end. */
    public static void addPlaces(byte[] json, Bytes out) {
        int to = json.length;
        while (to > 0 && json[to - 1] == '\n') {
            to--;
        }
        int from = 0;
        while (from < to) {
            if (json[from] == '\n') {
                from++;
                continue;
            }
            int end = Bytes.indexOf((byte) '\n', json, from, to);
            end = end < 0 ? to : end + 1;
            out.add(json, from, end);
            from = end;
        }
        out.add('\n');
        out.add('\n');
    }
}
