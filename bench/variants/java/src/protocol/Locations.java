package protocol;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.nio.charset.StandardCharsets;

/** Locations: ISO 6709 in decimal degrees, latitude first: {@code +34.068930-118.445127}. */
public final class Locations {
    public static final int MAX_LOCATION_BYTES = 64;

    private static final int MAX_LATITUDE = 90;
    private static final int MAX_LONGITUDE = 180;

    private Locations() {}

    /** True if these bytes are a location. */
    public static boolean isLocation(byte[] text, int from, int to) {
        if (to - from > MAX_LOCATION_BYTES || from == to || !isSign(text[from])) {
            return false;
        }
        int second = secondSign(text, from, to);
        return second < to
                && isWithin(text, from + 1, second, MAX_LATITUDE)
                && isWithin(text, second + 1, to, MAX_LONGITUDE);
    }

    /** {@code LAT,LNG} of a location, as a URL has them: no plus, no zeros at the end. */
    public static String forUrl(byte[] location) {
        String text = new String(location, StandardCharsets.US_ASCII);
        int second = secondSign(location, 0, location.length);
        return plain(new BigDecimal(text.substring(0, second)), 9)
                + ","
                + plain(new BigDecimal(text.substring(second)), 9);
    }

    /** At most so many decimals, no exponent, no zeros at the end, no minus zero. */
    public static String plain(BigDecimal number, int decimals) {
        BigDecimal rounded = number.setScale(decimals, RoundingMode.HALF_EVEN);
        return rounded.signum() == 0 ? "0" : rounded.stripTrailingZeros().toPlainString();
    }

    private static boolean isWithin(byte[] text, int from, int to, int limit) {
        return Decimals.isNumber(text, from, to) && !Decimals.exceeds(text, from, to, limit);
    }

    private static int secondSign(byte[] text, int from, int to) {
        int at = from + 1;
        while (at < to && !isSign(text[at])) {
            at++;
        }
        return at;
    }

    private static boolean isSign(byte character) {
        return character == '+' || character == '-';
    }
}
