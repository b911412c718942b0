package places;

import java.nio.charset.StandardCharsets;

final class AnswerTest {
    static void anAnswerWithinTheBoundIsPassedOnByteForByte() throws PlacesException {
        String json =
                "\n{\t\"z\" : 1.50E+007,\r\n \"results\":[ 1 ,\"\\u00e9\"] , \"status\":\"OK\",\"a\":{} } \n\n";
        check(json, 2, json);
        check(json, 20, json);
    }

    static void onlyResultsOverTheBoundAreCut() throws PlacesException {
        check(
                "{\"z\":-0.10e2,\"results\": [{\"b\":1.0,\"a\":[\"]\"]} , [2] , 3 ],\"status\":\"OK\",\"a\":1E400}",
                2,
                "{\"z\":-0.10e2,\"results\": [{\"b\":1.0,\"a\":[\"]\"]} , [2]],\"status\":\"OK\",\"a\":1E400}");
        check("{\"x\":{\"results\":[1,2]},\"results\":[1,2],\"status\":\"\"}", 1,
                "{\"x\":{\"results\":[1,2]},\"results\":[1],\"status\":\"\"}");
    }

    static void repeatedAndEscapedKeysAreCutAlike() throws PlacesException {
        check(
                "{\"results\":[1,2],\"a\":1,\"a\":2,\"resu\\u006cts\":[3,4],\"status\":\"A\",\"status\":\"B\"}",
                1,
                "{\"results\":[1],\"a\":1,\"a\":2,\"resu\\u006cts\":[3],\"status\":\"A\",\"status\":\"B\"}");
    }

    static void whatIsNoAnswerIsRefused() {
        for (String wrong :
                new String[] {
                    "", "\n", "<html>", "[]", "{}", "null", "{\"results\":[]}", "{\"status\":\"OK\"}",
                    "{\"results\":{},\"status\":\"OK\"}", "{\"results\":[],\"status\":1}",
                    "{\"results\":[],\"status\":\"OK\"} x", "{\"results\":[],\"status\":\"OK\"",
                    "{\"results\":[1,],\"status\":\"OK\"}", "{\"results\":[01],\"status\":\"OK\"}",
                    "{\"results\":[1.],\"status\":\"OK\"}", "{\"results\":[tru],\"status\":\"OK\"}",
                    "{\"results\":[\"\\x\"],\"status\":\"OK\"}", "{\"results\":[\"\u00ff\"],\"status\":\"OK\"}",
                    "{\"results\":[\"\n\"],\"status\":\"OK\"}", "{\"results\":[],\"status\":\"OK\",}",
                    "{\"results\":[[}],\"status\":\"OK\"}", "{\"results\":[{\"a\"}],\"status\":\"OK\"}"
                }) {
            try {
                Answer.cut(wrong.getBytes(StandardCharsets.ISO_8859_1), 20);
            } catch (PlacesException e) {
                assert e.status() == Status.UNKNOWN_ERROR;
                continue;
            }
            throw new AssertionError(wrong);
        }
    }

    static void deepNestingCostsNoStack() throws PlacesException {
        String deep = "[".repeat(1 << 20) + "]".repeat(1 << 20);
        check(
                "{\"x\":" + deep + ",\"results\":[" + deep + ",1],\"status\":\"OK\"}",
                1,
                "{\"x\":" + deep + ",\"results\":[" + deep + "],\"status\":\"OK\"}");
    }

    static void ourOwnAnswersAreAnswers() throws PlacesException {
        byte[] failure = Answer.failure(new PlacesException(Status.OVER_QUERY_LIMIT, "try again"));
        assert Answer.cut(failure, 1) == failure;
        assert Answer.cut(Places.NONE, 1) == Places.NONE;
    }

    private static void check(String json, int bound, String expected) throws PlacesException {
        String cut = new String(Answer.cut(json.getBytes(StandardCharsets.UTF_8), bound), StandardCharsets.UTF_8);
        assert cut.equals(expected) : cut;
    }
}
