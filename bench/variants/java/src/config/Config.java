package config;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** What a conf file says to the server of one name. */
public record Config(
        String name,
        Address listen,
        List<Neighbor> neighbors,
        Pool pool,
        Limits limits,
        Places places,
        Log log) {

    /** A neighbor and where it is dialed. */
    public record Neighbor(String name, Address address) {}

    /** {@code workers}: threads of a fixed pool; neighbors that dial in hold one each, too. */
    public record Pool(int workers, int maxConnections) {}

    /** {@code maxLine} in bytes; {@code commandsPerConnection}: replies after which a connection closes. */
    public record Limits(int maxLine, Duration maxAhead, long commandsPerConnection) {}

    /** {@code workers}: calls at a time; {@code queue}: look-ups that wait for one. */
    public record Places(
            String provider,
            Optional<String> baseUrl,
            Optional<String> keyEnv,
            Optional<Path> keyFile,
            Duration timeout,
            int workers,
            int queue) {}

    /** {@code maxSize} in bytes; {@code keep}: rotated files. */
    public record Log(Path dir, boolean traffic, long maxSize, int keep) {}

    private static final Duration TEN_MILLIS = Duration.ofMillis(10);
    private static final long KIB = 1L << 10;
    private static final long MIB = 1L << 20;

    /** Reads the file for the server of that name. */
    public static Config read(Path file, String name) throws ConfigException {
        try {
            return parse(Files.readString(file), name);
        } catch (ConfigException e) {
            throw new ConfigException(file + ": " + e.getMessage());
        } catch (IOException e) {
            throw new ConfigException("the conf file cannot be read: " + e);
        }
    }

    /** Reads the text of a conf file. */
    public static Config parse(String text, String name) throws ConfigException {
        Map<String, List<Map<String, Object>>> tables = Toml.read(text);
        List<ServerEntry> servers = ServerEntry.readAll(tables.getOrDefault("server", List.of()));
        ServerEntry server = ServerEntry.find(servers, name);
        return new Config(
                name,
                server.listen(),
                server.neighborsAmong(servers),
                pool(section(tables, "pool")),
                limits(section(tables, "limits")),
                places(section(tables, "places")),
                log(section(tables, "log")));
    }

    private static Section section(Map<String, List<Map<String, Object>>> tables, String name) {
        return new Section(name, tables.getOrDefault(name, List.of(Map.of())).get(0));
    }

    private static Pool pool(Section pool) throws ConfigException {
        return new Pool(
                (int) pool.number("workers", 1, 100_000, 200),
                (int) pool.number("max_connections", 1, 1_000_000, 12_000));
    }

    private static Limits limits(Section limits) throws ConfigException {
        return new Limits(
                (int) limits.size("max_line", 512, MIB, 8 * KIB),
                limits.duration("max_ahead", Duration.ZERO, Duration.ofDays(3650), Duration.ofHours(24)),
                limits.number("commands_per_connection", 1, 1_000_000_000, Long.MAX_VALUE));
    }

    private static Places places(Section places) throws ConfigException {
        return new Places(
                places.text("provider", "gazetteer"),
                Optional.ofNullable(places.text("base_url", null)),
                Optional.ofNullable(places.text("key_env", null)),
                Optional.ofNullable(places.text("key_file", null)).map(Path::of),
                places.duration("timeout", TEN_MILLIS, Duration.ofMinutes(5), Duration.ofSeconds(5)),
                (int) places.number("workers", 1, 1000, 16),
                (int) places.number("queue", 1, 1_000_000, 1024));
    }

    private static Log log(Section log) throws ConfigException {
        return new Log(
                Path.of(log.text("dir", "logs")),
                log.truth("traffic", true),
                log.size("max_size", 4 * KIB, MIB * MIB, 64 * MIB),
                (int) log.number("keep", 1, 1000, 5));
    }
}
