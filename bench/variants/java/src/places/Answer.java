package places;

import java.util.ArrayList;
import java.util.List;

import places.JsonCursor.MalformedException;
import protocol.Bytes;

/** Places JSON: a service's answer cut to so many results, or a failure in its shape. */
final class Answer {
    private final byte[] json;
    private final int bound;
    private final JsonCursor cursor;
    private final List<Cut> cuts = new ArrayList<>();
    private boolean hasResults;
    private boolean hasStatus;

    /** Bytes that are left out. */
    private record Cut(int from, int to) {}

    private Answer(byte[] json, int bound) throws MalformedException {
        this.json = json;
        this.bound = bound;
        this.cursor = new JsonCursor(json);
    }

    static byte[] failure(PlacesException failure) {
        return Bytes.ascii(
                "{\"html_attributions\": [], \"results\": [], \"status\": \""
                        + failure.status()
                        + "\", \"error_message\": \""
                        + failure.getMessage()
                        + "\"}");
    }

    /** The same text, but for the results after the first {@code bound} ones, which is at least 1. */
    static byte[] cut(byte[] json, int bound) throws PlacesException {
        try {
            Answer answer = new Answer(json, bound);
            answer.walk();
            if (answer.hasResults && answer.hasStatus) {
                return answer.kept();
            }
        } catch (MalformedException e) {
            // Said below with all else that is no answer.
        }
        throw new PlacesException(
                Status.UNKNOWN_ERROR,
                "the places service answered with something that is no object with results and status");
    }

    private void walk() throws MalformedException {
        cursor.skipSpace();
        cursor.expect('{');
        cursor.skipSpace();
        if (!cursor.take('}')) {
            do {
                cursor.skipSpace();
                walkMember();
                cursor.skipSpace();
            } while (cursor.take(','));
            cursor.expect('}');
        }
        cursor.skipSpace();
        if (!cursor.isAtEnd()) {
            throw new MalformedException();
        }
    }

    private void walkMember() throws MalformedException {
        switch (cursor.takeKey()) {
            case "results" -> {
                walkResults();
                hasResults = true;
            }
            case "status" -> {
                cursor.skipString();
                hasStatus = true;
            }
            default -> cursor.skipValue();
        }
    }

    private void walkResults() throws MalformedException {
        cursor.expect('[');
        cursor.skipSpace();
        if (cursor.take(']')) {
            return;
        }
        int count = 0;
        int end = 0;
        do {
            cursor.skipSpace();
            cursor.skipValue();
            count++;
            if (count == bound) {
                end = cursor.position();
            }
            cursor.skipSpace();
        } while (cursor.take(','));
        if (count > bound) {
            cuts.add(new Cut(end, cursor.position()));
        }
        cursor.expect(']');
    }

    private byte[] kept() {
        Bytes kept = new Bytes(json.length);
        int from = 0;
        for (Cut cut : cuts) {
            kept.add(json, from, cut.from());
            from = cut.to();
        }
        if (from == 0) {
            return json;
        }
        kept.add(json, from, json.length);
        return kept.toArray();
    }
}
