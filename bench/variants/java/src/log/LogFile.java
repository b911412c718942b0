package log;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;

/** The file {@code DIR/NAME.log} and the older ones, {@code NAME.log.1} the youngest of them. */
final class LogFile implements AutoCloseable {
    private final Path path;
    private final long maxSize;
    private final int keep;
    private FileChannel channel;
    private long size;

    LogFile(Path dir, String name, long maxSize, int keep) throws IOException {
        this.path = dir.resolve(name + ".log");
        this.maxSize = maxSize;
        this.keep = keep;
        Files.createDirectories(dir);
        open();
    }

    /** Writes whole lines; the line that takes the file over its size is the last one in it. */
    void write(ByteBuffer lines) throws IOException {
        if (!channel.isOpen()) {
            open();
        }
        int end = lines.limit();
        while (lines.hasRemaining()) {
            lines.limit(endOfPiece(lines, end));
            while (lines.hasRemaining()) {
                size += channel.write(lines);
            }
            lines.limit(end);
            if (size > maxSize) {
                rotate();
            }
        }
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }

    private int endOfPiece(ByteBuffer lines, int end) {
        long over = lines.position() + Math.max(maxSize - size, 0);
        if (over >= end) {
            return end;
        }
        int at = (int) over;
        while (at < end - 1 && lines.get(at) != '\n') {
            at++;
        }
        return at + 1;
    }

    private void rotate() throws IOException {
        channel.close();
        for (int age = keep - 1; age > 0; age--) {
            if (Files.exists(older(age))) {
                Files.move(older(age), older(age + 1), StandardCopyOption.REPLACE_EXISTING);
            }
        }
        Files.move(path, older(1), StandardCopyOption.REPLACE_EXISTING);
        open();
    }

    private void open() throws IOException {
        channel =
                FileChannel.open(
                        path, StandardOpenOption.CREATE, StandardOpenOption.WRITE, StandardOpenOption.APPEND);
        size = channel.size();
    }

    private Path older(int age) {
        return path.resolveSibling(path.getFileName() + "." + age);
    }
}
