package config;

import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** One table of a conf file: its values by kind, each with its default and what is allowed. */
record Section(String name, Map<String, Object> values) {
    private static final Pattern NUMBER_AND_UNIT = Pattern.compile("\\s*(\\d+)\\s*([a-zA-Z]*)\\s*");
    private static final Map<String, Duration> DURATIONS =
            Map.of(
                    "ms", Duration.ofMillis(1),
                    "s", Duration.ofSeconds(1),
                    "m", Duration.ofMinutes(1),
                    "h", Duration.ofHours(1),
                    "d", Duration.ofDays(1));
    private static final Map<String, Long> SIZES =
            Map.of(
                    "b", 1L,
                    "kb", 1_000L,
                    "mb", 1_000_000L,
                    "gb", 1_000_000_000L,
                    "tb", 1_000_000_000_000L,
                    "kib", 1L << 10,
                    "mib", 1L << 20,
                    "gib", 1L << 30,
                    "tib", 1L << 40);

    String text(String key, String otherwise) throws ConfigException {
        return value(key, String.class, "a string", otherwise);
    }

    boolean truth(String key, boolean otherwise) throws ConfigException {
        return value(key, Boolean.class, "true or false", otherwise);
    }

    @SuppressWarnings("unchecked")
    List<String> texts(String key) throws ConfigException {
        return value(key, List.class, "an array of strings", List.of());
    }

    /** A whole number from {@code least} to {@code most}. */
    long number(String key, long least, long most, long otherwise) throws ConfigException {
        Long number = value(key, Long.class, "a whole number", null);
        return number == null ? otherwise : within(key, least, most, number);
    }

    /** Bytes: a number, or a string with a unit. */
    long size(String key, long least, long most, long otherwise) throws ConfigException {
        Object value = values.getOrDefault(key, otherwise);
        if (value instanceof Long bytes) {
            return within(key, least, most, bytes);
        }
        if (value instanceof String text) {
            Matcher parts = NUMBER_AND_UNIT.matcher(text);
            Long unit = parts.matches() ? SIZES.get(parts.group(2).toLowerCase(Locale.ROOT)) : null;
            if (unit != null) {
                return within(key, least, most, times(key, parts.group(1), unit));
            }
        }
        throw wrong(key, "a size such as \"8KiB\"");
    }

    /** A string of a number and its unit. */
    Duration duration(String key, Duration least, Duration most, Duration otherwise)
            throws ConfigException {
        String text = text(key, null);
        if (text == null) {
            return otherwise;
        }
        Matcher parts = NUMBER_AND_UNIT.matcher(text);
        Duration unit = parts.matches() ? DURATIONS.get(parts.group(2)) : null;
        if (unit == null) {
            throw wrong(key, "a duration such as \"250ms\" or \"5s\"");
        }
        long millis = times(key, parts.group(1), unit.toMillis());
        return Duration.ofMillis(within(key, least.toMillis(), most.toMillis(), millis));
    }

    private long times(String key, String number, long unit) throws ConfigException {
        try {
            return Math.multiplyExact(Long.parseLong(number), unit);
        } catch (ArithmeticException | NumberFormatException e) {
            throw wrong(key, "less");
        }
    }

    private long within(String key, long least, long most, long value) throws ConfigException {
        if (value < least || value > most) {
            throw wrong(key, "from " + least + " to " + most);
        }
        return value;
    }

    private <T> T value(String key, Class<T> kind, String what, T otherwise) throws ConfigException {
        Object value = values.get(key);
        if (value == null) {
            return otherwise;
        }
        if (!kind.isInstance(value)) {
            throw wrong(key, what);
        }
        return kind.cast(value);
    }

    private ConfigException wrong(String key, String what) {
        return new ConfigException("[" + name + "] " + key + " has to be " + what + ", and is " + values.get(key));
    }
}
