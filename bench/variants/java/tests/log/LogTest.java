package log;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.stream.Stream;

import config.Config;
import protocol.Bytes;

final class LogTest {
    static void aLineHasItsTimeToTheMicrosecond() {
        Lines lines = new Lines();
        lines.begin(1_795_348_000_123_456_789L, Level.INFO).add("x").end();
        assert text(lines).equals("2026-11-22T11:46:40.123456Z INFO  x\n") : text(lines);
    }

    static void nobodyForgesALine() {
        Lines lines = new Lines();
        byte[] bytes = "a\\b\nc\rd\te\0f\u007fg\u00ffh ~".getBytes(StandardCharsets.ISO_8859_1);
        lines.escape(bytes, 0, bytes.length);
        assert text(lines).equals("a\\\\b\\nc\\rd\\te\\x00f\\x7fg\\xffh ~") : text(lines);
    }

    static void filesRotateAndTheYoungestIs1() throws IOException {
        inDirectory(
                dir -> {
                    try (LogFile file = new LogFile(dir, "Ball", 10, 2)) {
                        for (int count = 1; count <= 7; count++) {
                            file.write(ByteBuffer.wrap(Bytes.ascii("line " + count + "\n")));
                        }
                    }
                    assert Files.readString(dir.resolve("Ball.log")).equals("line 7\n");
                    assert Files.readString(dir.resolve("Ball.log.1")).equals("line 5\nline 6\n");
                    assert Files.readString(dir.resolve("Ball.log.2")).equals("line 3\nline 4\n");
                    assert Files.notExists(dir.resolve("Ball.log.3"));
                });
    }

    static void aBatchIsCutBetweenLinesWhereAFileIsFull() throws IOException {
        inDirectory(
                dir -> {
                    try (LogFile file = new LogFile(dir, "Ball", 10, 5)) {
                        file.write(ByteBuffer.wrap(Bytes.ascii("one\ntwo\nthree\nfour\nfive\n")));
                    }
                    assert Files.readString(dir.resolve("Ball.log.1")).equals("one\ntwo\nthree\n");
                    assert Files.readString(dir.resolve("Ball.log")).equals("four\nfive\n");
                });
    }

    static void allIsWrittenAtTheEnd() throws IOException {
        inDirectory(
                dir -> {
                    try (Log log = new Log(new Config.Log(dir, false, 1 << 20, 1), "Ball")) {
                        log.traffic("not wanted");
                        log.event(Level.WARN, "said\n");
                    }
                    String text = Files.readString(dir.resolve("Ball.log"));
                    assert text.endsWith("Z WARN  said\\n\n") && text.lines().count() == 1 : text;
                });
    }

    private interface Job {
        void in(Path dir) throws IOException;
    }

    private static void inDirectory(Job job) throws IOException {
        Path dir = Files.createTempDirectory("herd-log");
        try {
            job.in(dir);
        } finally {
            try (Stream<Path> all = Files.walk(dir)) {
                all.sorted(Comparator.reverseOrder()).forEach(path -> path.toFile().delete());
            }
        }
    }

    private static String text(Lines lines) {
        return new String(lines.text().toArray(), StandardCharsets.UTF_8);
    }
}
