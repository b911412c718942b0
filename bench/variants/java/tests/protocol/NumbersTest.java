package protocol;

import java.math.BigDecimal;

final class NumbersTest {
    static void aNumberIsDigitsOrDigitsPointDigits() {
        for (String right : new String[] {"0", "007.5", "1479413884.392014450", "0.0"}) {
            byte[] text = Bytes.ascii(right);
            assert Decimals.isNumber(text, 0, text.length) : right;
        }
        for (String wrong : new String[] {"", ".", "5.", ".5", "1e3", "+1", "-1", "1.2.3", "0x1", "1_0", " 1"}) {
            byte[] text = Bytes.ascii(wrong);
            assert !Decimals.isNumber(text, 0, text.length) : wrong;
        }
    }

    static void limitsAreComparedToTheLastDigit() {
        assert !exceeds("90.000000000000000000000", 90);
        assert exceeds("90.00000000000000000001", 90);
        assert !exceeds("89.99999999999999999999", 90);
        assert exceeds("99999999999999999999999999999999999999", 90);
        assert !exceeds("000000000000000000000000000000000090", 90);
        assert !exceeds("20", 20);
        assert exceeds("21", 20);
    }

    static void aTimeIsExactToTheNanosecondAndFits64Bits() {
        checkTime("1479413884.392014450", 1_479_413_884_392_014_450L);
        checkTime("1.9999999999", 1_999_999_999);
        checkTime("007.5", 7_500_000_000L);
        checkTime("0", 0);
        checkTime("9223372036.854775807", Long.MAX_VALUE);
        checkTime("9223372036.854775808", Times.NO_TIME);
        checkTime("9223372037", Times.NO_TIME);
        checkTime("99999999999999999999999999", Times.NO_TIME);
        checkTime("+1", Times.NO_TIME);
        checkTime("1." + "0".repeat(38), 1_000_000_000);
        checkTime("1." + "0".repeat(39), Times.NO_TIME);
    }

    static void aSkewHasASignAndNineDecimalsWhenItIsWritten() {
        checkSkew("+0.263873386", "+0.263873386");
        checkSkew("-12.000000001", "-12.000000001");
        checkSkew("1.5", "+1.500000000");
        checkSkew("-0.0000000019", "-0.000000001");
        checkSkew("-0.0000000009", "+0.000000000");
        checkSkew("-0", "+0.000000000");
        checkSkew("10", "+10.000000000");
        checkSkew("9223372036.854775807", "+9223372036.854775807");
        checkSkew("-9223372036.854775808", "-9223372036.854775808");
    }

    static void whatIsNoSkewIsRefused() {
        for (String wrong :
                new String[] {"", "+", "-", "+-1", "1.", "9223372036.854775808", "-9223372036.854775809"}) {
            byte[] text = Bytes.ascii(wrong);
            assert !Times.isSkew(text, 0, text.length) : wrong;
        }
    }

    static void numbersInUrlsHaveNoExponentAndNoZerosAtTheEnd() {
        assert Locations.plain(new BigDecimal("10000.500"), 3).equals("10000.5");
        assert Locations.plain(new BigDecimal("50000.000"), 3).equals("50000");
        assert Locations.plain(new BigDecimal("-0.0"), 9).equals("0");
        assert Locations.forUrl(Bytes.ascii("+34.068930-118.445127")).equals("34.06893,-118.445127");
        assert Locations.forUrl(Bytes.ascii("-0-000.0000000000001")).equals("0,0");
    }

    private static boolean exceeds(String number, int limit) {
        byte[] text = Bytes.ascii(number);
        return Decimals.exceeds(text, 0, text.length, limit);
    }

    private static void checkTime(String written, long expected) {
        byte[] text = Bytes.ascii(written);
        assert Times.time(text, 0, text.length) == expected : written;
    }

    private static void checkSkew(String read, String written) {
        byte[] text = Bytes.ascii(read);
        assert Times.isSkew(text, 0, text.length) : read;
        Bytes out = new Bytes(1);
        Times.addSkew(Times.skew(text, 0, text.length), out);
        assert new String(out.toArray()).equals(written) : new String(out.toArray());
    }
}
