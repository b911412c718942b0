package log;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

import config.Config;
import protocol.Bytes;
import protocol.Times;

/**
 * The log. Who logs copies whole lines into a bounded buffer; one thread writes them in batches. When the
 * disk is behind and the buffer is full, lines are dropped and counted: clients never wait for a disk.
 */
public final class Log implements AutoCloseable {
    /** Traffic of a few hundred milliseconds under full load; there are two such buffers. */
    private static final int CAPACITY_BYTES = 8 << 20;
    /** Kept free of traffic, for links and for what goes wrong. */
    private static final int EVENT_BYTES = 1 << 20;
    /** So many bytes are written at once; fewer wait for company, but not longer than the delay. */
    private static final int BATCH_BYTES = 64 << 10;
    private static final long DELAY_NANOS = Duration.ofMillis(200).toNanos();
    /** How long a disk that stalls may hold up the end. */
    private static final Duration LAST_WRITE = Duration.ofSeconds(5);

    private final LogFile file;
    private final boolean wantsTraffic;
    private final Thread writer;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    private ByteBuffer waiting = ByteBuffer.allocateDirect(CAPACITY_BYTES);
    private long dropped;
    private boolean isClosing;

    private ByteBuffer written = ByteBuffer.allocateDirect(CAPACITY_BYTES);
    private boolean isFailing;

    /** Opens the log of that server. */
    public Log(Config.Log conf, String name) throws IOException {
        file = new LogFile(conf.dir(), name, conf.maxSize(), conf.keep());
        wantsTraffic = conf.traffic();
        writer = new Thread(this::writeAll, "log");
        writer.setDaemon(true);
        writer.start();
    }

    /** True if there is a line for every connection, command and update. */
    public boolean wantsTraffic() {
        return wantsTraffic;
    }

    /** Takes over the lines of traffic, and empties {@code lines}. */
    public void traffic(Lines lines) {
        if (!lines.isEmpty()) {
            add(lines, CAPACITY_BYTES - EVENT_BYTES);
            lines.clear();
        }
    }

    /** A line of traffic by itself. */
    public void traffic(String message) {
        if (wantsTraffic) {
            add(line(Level.INFO, message), CAPACITY_BYTES - EVENT_BYTES);
        }
    }

    /** A line about a link, or about something that went wrong. */
    public void event(Level level, String message) {
        add(line(level, message), CAPACITY_BYTES);
    }

    /** Writes what is there and ends the log's thread. */
    @Override
    public void close() {
        lock.lock();
        try {
            isClosing = true;
            changed.signal();
        } finally {
            lock.unlock();
        }
        try {
            writer.join(LAST_WRITE.toMillis());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static Lines line(Level level, String message) {
        byte[] bytes = message.getBytes(StandardCharsets.UTF_8);
        Lines line = new Lines().begin(Times.now(), level).escape(bytes, 0, bytes.length);
        line.end();
        return line;
    }

    private void add(Lines lines, int capacity) {
        Bytes text = lines.text();
        lock.lock();
        try {
            int before = waiting.position();
            int after = before + text.length();
            if (after > capacity) {
                dropped += lines.count();
                return;
            }
            waiting.put(text.array(), 0, text.length());
            if (before == 0 || before < BATCH_BYTES && after >= BATCH_BYTES) {
                changed.signal();
            }
        } finally {
            lock.unlock();
        }
    }

    private void writeAll() {
        try (file) {
            boolean isLast;
            do {
                isLast = take();
                write();
            } while (!isLast);
        } catch (IOException e) {
            say(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Waits for enough lines, or for the delay, and swaps the buffers; true if nothing comes behind. */
    private boolean take() throws InterruptedException {
        lock.lockInterruptibly();
        try {
            while (waiting.position() == 0 && dropped == 0 && !isClosing) {
                changed.await();
            }
            long left = DELAY_NANOS;
            while (waiting.position() < BATCH_BYTES && !isClosing && left > 0) {
                left = changed.awaitNanos(left);
            }
            if (dropped > 0 && waiting.remaining() > EVENT_BYTES / 2) {
                putDropped();
            }
            ByteBuffer full = waiting;
            waiting = written;
            written = full;
            return isClosing;
        } finally {
            lock.unlock();
        }
    }

    private void putDropped() {
        Lines line = line(Level.WARN, dropped + " lines were dropped here: the disk is too slow");
        waiting.put(line.text().array(), 0, line.text().length());
        dropped = 0;
    }

    private void write() {
        written.flip();
        try {
            file.write(written);
            isFailing = false;
        } catch (IOException e) {
            say(e);
        }
        written.clear();
    }

    private void say(IOException error) {
        if (!isFailing) {
            System.err.println("the log cannot be written: " + error);
        }
        isFailing = true;
    }
}
