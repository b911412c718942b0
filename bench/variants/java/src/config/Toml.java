package config;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads the part of TOML that conf files use: tables, arrays of tables, comments, and keys whose values
 * are strings, integers, booleans or arrays of strings.
 */
final class Toml {
    private final String text;
    private final Map<String, List<Map<String, Object>>> tables = new LinkedHashMap<>();
    private Map<String, Object> table = new LinkedHashMap<>();
    private int at;
    private int line = 1;

    private Toml(String text) {
        this.text = text;
    }

    /** Each name of a table with the tables of that name: one, but for arrays of tables. */
    static Map<String, List<Map<String, Object>>> read(String text) throws ConfigException {
        Toml toml = new Toml(text);
        while (toml.skipToContent()) {
            if (toml.peek() == '[') {
                toml.readHeader();
            } else {
                toml.readEntry();
            }
            toml.endLine();
        }
        return toml.tables;
    }

    private void readHeader() throws ConfigException {
        expect('[');
        boolean isArray = peek() == '[';
        if (isArray) {
            expect('[');
        }
        skipBlanks();
        List<Map<String, Object>> named = tables.computeIfAbsent(readKey(), name -> new ArrayList<>());
        skipBlanks();
        expect(']');
        if (isArray) {
            expect(']');
        } else if (!named.isEmpty()) {
            throw wrong("a table that is there already");
        }
        table = new LinkedHashMap<>();
        named.add(table);
    }

    private void readEntry() throws ConfigException {
        String key = readKey();
        skipBlanks();
        expect('=');
        skipBlanks();
        if (table.put(key, readValue()) != null) {
            throw wrong("the key " + key + ", which is there already");
        }
    }

    private Object readValue() throws ConfigException {
        char first = peek();
        if (first == '"' || first == '\'') {
            return readString();
        }
        if (first == '[') {
            return readArray();
        }
        int start = at;
        while (at < text.length() && " \t\r\n#,]".indexOf(text.charAt(at)) < 0) {
            at++;
        }
        String word = text.substring(start, at);
        if (word.equals("true") || word.equals("false")) {
            return Boolean.valueOf(word);
        }
        try {
            return Long.valueOf(word.replace("_", ""));
        } catch (NumberFormatException e) {
            throw wrong("the value " + word);
        }
    }

    private List<String> readArray() throws ConfigException {
        List<String> strings = new ArrayList<>();
        expect('[');
        while (skipToContent() && peek() != ']') {
            strings.add(readString());
            skipToContent();
            if (peek() == ',') {
                expect(',');
            } else if (peek() != ']') {
                throw wrong("an array without a comma");
            }
        }
        expect(']');
        return strings;
    }

    private String readString() throws ConfigException {
        char quote = peek();
        if (quote != '"' && quote != '\'') {
            throw wrong("no string where one has to be");
        }
        expect(quote);
        StringBuilder string = new StringBuilder();
        while (peek() != quote) {
            char character = next();
            string.append(character == '\\' && quote == '"' ? readEscape() : character);
        }
        expect(quote);
        return string.toString();
    }

    private char readEscape() throws ConfigException {
        char escaped = next();
        return switch (escaped) {
            case 'n' -> '\n';
            case 't' -> '\t';
            case 'r' -> '\r';
            case '"', '\\' -> escaped;
            default -> throw wrong("the escape \\" + escaped);
        };
    }

    private String readKey() throws ConfigException {
        int start = at;
        while (at < text.length() && isOfKey(text.charAt(at))) {
            at++;
        }
        if (at == start) {
            throw wrong("no key where one has to be");
        }
        return text.substring(start, at);
    }

    private static boolean isOfKey(char character) {
        return Character.isLetterOrDigit(character) || character == '_' || character == '-' || character == '.';
    }

    /** Skips white space, line ends and comments; false at the end of the file. */
    private boolean skipToContent() {
        while (at < text.length()) {
            char character = text.charAt(at);
            if (character == '#') {
                skipComment();
            } else if (character == '\n') {
                line++;
                at++;
            } else if (Character.isWhitespace(character)) {
                at++;
            } else {
                return true;
            }
        }
        return false;
    }

    private void skipBlanks() {
        while (at < text.length() && " \t\r".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
    }

    private void skipComment() {
        int end = text.indexOf('\n', at);
        at = end < 0 ? text.length() : end;
    }

    private void endLine() throws ConfigException {
        skipBlanks();
        if (at < text.length() && text.charAt(at) == '#') {
            skipComment();
        }
        if (at < text.length() && text.charAt(at) != '\n') {
            throw wrong("more behind a value");
        }
    }

    private char peek() throws ConfigException {
        if (at == text.length()) {
            throw wrong("an end in the middle");
        }
        return text.charAt(at);
    }

    private char next() throws ConfigException {
        char character = peek();
        if (character == '\n') {
            throw wrong("a string without its end");
        }
        at++;
        return character;
    }

    private void expect(char wanted) throws ConfigException {
        if (peek() != wanted) {
            throw wrong("no " + wanted + " where one has to be");
        }
        at++;
    }

    private ConfigException wrong(String what) {
        return new ConfigException("line " + line + ": there is " + what);
    }
}
