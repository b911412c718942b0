package config;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;

final class ConfigTest {
    private static final String THREE =
            """
            [[server]] # a comment
            name = "A"
            listen = "127.0.0.1:1"
            neighbors = [
                "B", # and C, which lists A
            ]
            [[server]]
            name = 'B'
            listen = "[::1]:2"
            link = "plain"
            [[server]]
            name = "C"
            listen = "localhost:3"
            neighbors = ["A"]
            """;

    static void aNeighborThatIsListedOnOneSideCountsForBoth() throws ConfigException {
        assert neighbors("A").equals(List.of("B [::1]:2", "C localhost:3")) : neighbors("A");
        assert neighbors("B").equals(List.of("A 127.0.0.1:1")) : neighbors("B");
        assert neighbors("C").equals(List.of("A 127.0.0.1:1")) : neighbors("C");
    }

    static void whatIsNotSaidHasTheDefaultsOfTheHerd() throws ConfigException {
        Config config = Config.parse(THREE, "A");
        assert config.pool().equals(new Config.Pool(200, 12_000));
        assert config.limits().equals(new Config.Limits(8192, Duration.ofHours(24), Long.MAX_VALUE));
        assert config.places().provider().equals("gazetteer") && config.places().workers() == 16;
        assert config.places().queue() == 1024 && config.places().timeout().equals(Duration.ofSeconds(5));
        assert config.log().equals(new Config.Log(Path.of("logs"), true, 64 << 20, 5));
    }

    static void sizesAndDurationsHaveUnits() throws ConfigException {
        Config config =
                Config.parse(
                        THREE
                                + """
                                [limits]
                                max_line = "1KiB"
                                max_ahead = "90m"
                                commands_per_connection = 1_000
                                [places]
                                timeout = "250ms"
                                [log]
                                traffic = false
                                max_size = 8192
                                """,
                        "B");
        assert config.limits().equals(new Config.Limits(1024, Duration.ofMinutes(90), 1000));
        assert config.places().timeout().equals(Duration.ofMillis(250));
        assert !config.log().traffic() && config.log().maxSize() == 8192;
    }

    static void theHerdsOwnFileIsRead() throws ConfigException, IOException {
        Config config = Config.read(Path.of("conf/herd.toml"), "Alford");
        assert config.listen().equals(new Address("127.0.0.1", 12_000));
        assert config.neighbors().stream().map(Config.Neighbor::name).toList().equals(List.of("Hamilton", "Welsh"));
    }

    static void whatCannotBeUsedIsRefused() {
        for (String wrong :
                new String[] {
                    "[pool]\nworkers = 0", "[pool]\nworkers = \"5\"", "[limits]\nmax_line = \"8\"",
                    "[limits]\nmax_line = \"9MiB\"", "[limits]\nmax_ahead = 5", "[limits]\nmax_ahead = \"5\"",
                    "[log]\ntraffic = 1", "[log]\ndir", "[log]\ndir = ", "[log]\ndir = \"", "[log\n",
                    "[log]\n[log]", "[log]\nkeep = 1\nkeep = 2", "[log]\nkeep = 1 2",
                    "[[server]]\nname = \"D\"\nlisten = \"1\"", "[[server]]\nname = \"D\"\nlisten = \"::1:1\"",
                    "[[server]]\nname = \"D\"\nlisten = \"a:65536\"", "[[server]]\nname = \".\"\nlisten = \"a:1\""
                }) {
            try {
                Config.parse(THREE + wrong, "A");
            } catch (ConfigException e) {
                continue;
            }
            throw new AssertionError(wrong);
        }
    }

    private static List<String> neighbors(String name) throws ConfigException {
        return Config.parse(THREE, name).neighbors().stream()
                .map(neighbor -> neighbor.name() + " " + neighbor.address())
                .toList();
    }
}
