package protocol;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

import protocol.Command.Iamat;
import protocol.Command.Invalid;
import protocol.Command.Update;
import protocol.Command.Whatsat;

final class FieldsTest {
    private static final Parser PARSER = new Parser();

    static void anyWhiteSpaceSeparatesFields() {
        assert parse("\t IAMAT\u000b\fkiwi  +1+1\r1 \r") instanceof Iamat;
        assert parse("IAMAT kiwi\u00a0+1+1 1") instanceof Invalid;
    }

    static void aCommandHasAsManyFieldsAsItHas() {
        for (String wrong :
                new String[] {
                    "", " ", "IAMAT", "IAMAT a +1+1", "IAMAT a +1+1 1 1", "iamat a +1+1 1", "IAMATS a +1+1 1",
                    "UPDATE a b 1 +1+1 1", "UPDATE a b 1 +1+1 1 c d", "WHATSAT a 1", "WHATSAT a 1 1 1"
                }) {
            assert parse(wrong) instanceof Invalid : wrong;
        }
    }

    static void aClientIsBytesAndAtMost255OfThem() {
        byte[] line = "IAMAT \u00ff\u0000\u0080 +1+1 1".getBytes(StandardCharsets.ISO_8859_1);
        Iamat iamat = (Iamat) PARSER.parse(line, 0, line.length);
        assert Arrays.equals(iamat.client().bytes(), new byte[] {-1, 0, -128});
        assert parse("IAMAT " + "x".repeat(255) + " +1+1 1") instanceof Iamat;
        assert parse("IAMAT " + "x".repeat(256) + " +1+1 1") instanceof Invalid;
    }

    static void aLocationIsTwoSignedDecimalsInRange() {
        for (String right :
                new String[] {
                    "+34.068930-118.445127", "+0+0", "-90-180", "+90.0+180.000", "+0090-00180", "-0-0",
                    "+1." + "0".repeat(59) + "+2"
                }) {
            assert parse("IAMAT kiwi " + right + " 1") instanceof Iamat : right;
        }
        for (String wrong :
                new String[] {
                    "+", "+1", "1+1", "+1+", "+1+1+1", "++1+1", "+1.+1", "+.5+1", "+1e1+1", "+91+0", "-90.1+0",
                    "+90.00000000000000000001+0", "+0+180.0000000001", "+0-181", "+NaN+0", "+1,+1",
                    "+1." + "0".repeat(60) + "+2"
                }) {
            assert parse("IAMAT kiwi " + wrong + " 1") instanceof Invalid : wrong;
        }
    }

    static void aLookUpHasARadiusUpTo50AndABoundUpTo20() {
        assert parse("WHATSAT a 50.000 00020") instanceof Whatsat whatsat && whatsat.bound() == 20;
        for (String wrong :
                new String[] {"50.0000001 1", "-1 1", "1. 1", "1 21", "1 1.0", "1 -1", "1 4294967296"}) {
            assert parse("WHATSAT a " + wrong) instanceof Invalid : wrong;
        }
    }

    static void anUpdateSaysWhatARecordIsAndWhoSentIt() {
        Update update = (Update) parse("UPDATE kiwi Ball 1.5 +1+2 0.25 Welsh");
        assert update.time() == 1_500_000_000 && update.skew() == 250_000_000;
        assert new String(update.origin()).equals("Ball") && new String(update.sender()).equals("Welsh");
        assert new String(update.location()).equals("+1+2") && new String(update.timeText()).equals("1.5");
    }

    static void aServerNameCouldNameAFile() {
        for (String right : new String[] {"A", "Goloman", "a.b_c-9", "x".repeat(32)}) {
            assert ServerNames.isServerName(right) : right;
        }
        for (String wrong : new String[] {"", ".", ".hidden", "a/b", "a b", "\u00e9", "x".repeat(33)}) {
            assert !ServerNames.isServerName(wrong) : wrong;
        }
    }

    static void placesEndWithTheOnlyEmptyLine() {
        Bytes out = new Bytes(1);
        Replies.addPlaces(Bytes.ascii("\n\n\n{\n\n\"a\": 1\n}\n\n\n"), out);
        assert new String(out.toArray()).equals("{\n\"a\": 1\n}\n\n") : new String(out.toArray());
    }

    private static Command parse(String line) {
        byte[] bytes = ("xx" + line + "yy").getBytes(StandardCharsets.UTF_8);
        return PARSER.parse(bytes, 2, bytes.length - 2);
    }
}
