package places;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.BitSet;

import protocol.Bytes;

/** Walks over JSON text and finds where its values end; nothing is built of them. Nesting costs no stack. */
final class JsonCursor {
    private static final String ESCAPABLE = "\"\\/bfnrtu";
    private static final byte[][] WORDS = {
        Bytes.ascii("true"), Bytes.ascii("false"), Bytes.ascii("null")
    };

    private final byte[] json;
    private int at;

    JsonCursor(byte[] json) throws MalformedException {
        this.json = json;
        try {
            StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(json));
        } catch (CharacterCodingException e) {
            throw new MalformedException();
        }
    }

    /** Text that is no JSON. */
    static final class MalformedException extends Exception {
        private static final long serialVersionUID = 1;

        MalformedException() {
            super(null, null, false, false);
        }
    }

    int position() {
        return at;
    }

    boolean isAtEnd() {
        return at == json.length;
    }

    /** The next byte; 0, which is in no JSON, at the end. */
    byte peek() {
        return at < json.length ? json[at] : 0;
    }

    /** Takes the next byte if it is this one. */
    boolean take(char wanted) {
        boolean isThere = peek() == wanted;
        if (isThere) {
            at++;
        }
        return isThere;
    }

    void expect(char wanted) throws MalformedException {
        require(take(wanted));
    }

    void skipSpace() {
        while (peek() == ' ' || peek() == '\n' || peek() == '\r' || peek() == '\t') {
            at++;
        }
    }

    /** Skips the key of a member and its colon; the key as it is meant. */
    String takeKey() throws MalformedException {
        int start = at;
        skipString();
        String key = meant(start + 1, at - 1);
        skipSpace();
        expect(':');
        skipSpace();
        return key;
    }

    /** Skips one value, from its first byte to its last. */
    void skipValue() throws MalformedException {
        BitSet isObject = new BitSet();
        int depth = 0;
        do {
            if (peek() == '{' || peek() == '[') {
                isObject.set(depth, peek() == '{');
                at++;
                skipSpace();
                boolean isEmpty = take(closing(isObject.get(depth)));
                if (!isEmpty) {
                    beginItem(isObject.get(depth));
                    depth++;
                    continue;
                }
            } else {
                skipScalar();
            }
            depth = skipEnds(isObject, depth);
        } while (depth > 0);
    }

    void skipString() throws MalformedException {
        expect('"');
        while (!take('"')) {
            byte character = next();
            require(character < 0 || character >= ' ');
            if (character == '\\') {
                skipEscape();
            }
        }
    }

    /** Behind a value: skips the ends of what it is the last of, up to the beginning of the next value. */
    private int skipEnds(BitSet isObject, int depth) throws MalformedException {
        int left = depth;
        while (left > 0) {
            skipSpace();
            if (take(',')) {
                skipSpace();
                beginItem(isObject.get(left - 1));
                return left;
            }
            left--;
            expect(closing(isObject.get(left)));
        }
        return left;
    }

    private void beginItem(boolean isMember) throws MalformedException {
        if (isMember) {
            skipString();
            skipSpace();
            expect(':');
            skipSpace();
        }
    }

    private static char closing(boolean isObject) {
        return isObject ? '}' : ']';
    }

    private void skipScalar() throws MalformedException {
        byte first = peek();
        if (first == '"') {
            skipString();
        } else if (first == '-' || isDigit(first)) {
            skipNumber();
        } else {
            skipWord();
        }
    }

    private void skipWord() throws MalformedException {
        for (byte[] word : WORDS) {
            int end = Math.min(at + word.length, json.length);
            if (Arrays.equals(json, at, end, word, 0, word.length)) {
                at = end;
                return;
            }
        }
        throw new MalformedException();
    }

    private void skipNumber() throws MalformedException {
        take('-');
        if (!take('0')) {
            skipDigits();
        }
        if (take('.')) {
            skipDigits();
        }
        if (take('e') || take('E')) {
            if (!take('+')) {
                take('-');
            }
            skipDigits();
        }
    }

    private void skipDigits() throws MalformedException {
        require(isDigit(peek()));
        while (isDigit(peek())) {
            at++;
        }
    }

    private void skipEscape() throws MalformedException {
        byte escaped = next();
        require(ESCAPABLE.indexOf(escaped) >= 0);
        for (int digit = 0; escaped == 'u' && digit < 4; digit++) {
            require(Character.digit(next(), 16) >= 0);
        }
    }

    /** What a key means: with its {@code \\u} escapes undone, the only ones a key of ours could have. */
    private String meant(int from, int to) {
        String key = new String(json, from, to - from, StandardCharsets.UTF_8);
        int escape = key.indexOf("\\u");
        while (escape >= 0) {
            char character = (char) Integer.parseInt(key.substring(escape + 2, escape + 6), 16);
            key = key.substring(0, escape) + character + key.substring(escape + 6);
            escape = key.indexOf("\\u", escape + 1);
        }
        return key;
    }

    private static boolean isDigit(byte character) {
        return character >= '0' && character <= '9';
    }

    private byte next() throws MalformedException {
        require(at < json.length);
        return json[at++];
    }

    private static void require(boolean isSo) throws MalformedException {
        if (!isSo) {
            throw new MalformedException();
        }
    }
}
