package flood;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.TimeUnit;

import config.Config;
import log.Level;
import log.Log;
import protocol.Bytes;
import records.ClientRecord;
import records.Records;

/**
 * The connection that is kept to one neighbor. A thread dials and writes; while the link is up another one
 * reads and drops what comes back, and sees the end.
 */
final class Link {
    private static final Duration CONNECT_TIMEOUT = Duration.ofSeconds(2);
    /** The same reason for a failed dial is logged again only after so long. */
    private static final Duration SAY_AGAIN_AFTER = Duration.ofMinutes(1);
    /** So many bytes are written at once. */
    private static final int PIECE_BYTES = 60 * 1024;

    private final Config.Neighbor neighbor;
    private final byte[] neighborName;
    private final byte[] self;
    private final Records records;
    private final Log log;
    private final Outbox outbox = new Outbox();
    private final Bytes lines = new Bytes(4096);
    private final BackOff backOff = new BackOff();
    private final Thread writer;
    private String saidReason = "";
    private long saidAt;
    private volatile boolean isStopping;

    Link(Config.Neighbor neighbor, String self, Records records, Log log) {
        this.neighbor = neighbor;
        this.neighborName = Bytes.ascii(neighbor.name());
        this.self = Bytes.ascii(self);
        this.records = records;
        this.log = log;
        this.writer = new Thread(this::keepUp, "link-" + neighbor.name());
        writer.setDaemon(true);
    }

    void start() {
        writer.start();
    }

    /** Sends what is queued, and then dials no more. */
    void finish() {
        isStopping = true;
        if (!outbox.finish()) {
            writer.interrupt();
        }
    }

    /** Waits for the end of its thread, but not beyond that time of {@code System.nanoTime}. */
    void join(long deadline) throws InterruptedException {
        TimeUnit.NANOSECONDS.timedJoin(writer, deadline - System.nanoTime());
    }

    void put(List<Accepted> batch) {
        outbox.put(batch, neighborName);
    }

    private void keepUp() {
        try {
            while (!isStopping) {
                dialAndSend();
                Thread.sleep(backOff.nextWaitMillis());
            }
        } catch (InterruptedException e) {
            // The server stops.
        }
    }

    private void dialAndSend() throws InterruptedException {
        try (Socket dialed = dial()) {
            long since = System.nanoTime();
            say(Level.INFO, "up");
            saidReason = "";
            say(Level.INFO, "down: " + sendUntilDown(dialed));
            if (System.nanoTime() - since > BackOff.LAST.toNanos()) {
                backOff.reset();
            }
        } catch (IOException e) {
            sayFailedDial(String.valueOf(e.getMessage()));
        }
    }

    private Socket dial() throws IOException {
        Socket dialed = new Socket();
        try {
            dialed.setTcpNoDelay(true);
            dialed.setKeepAlive(true);
            InetSocketAddress address =
                    new InetSocketAddress(neighbor.address().host(), neighbor.address().port());
            dialed.connect(address, (int) CONNECT_TIMEOUT.toMillis());
            return dialed;
        } catch (IOException e) {
            dialed.close();
            throw e;
        }
    }

    /** Sends all records, then what comes into the outbox, until one side ends it; says why. */
    private String sendUntilDown(Socket dialed) throws IOException, InterruptedException {
        outbox.open();
        Thread reader = new Thread(() -> drop(dialed), "back-" + neighbor.name());
        reader.setDaemon(true);
        reader.start();
        try {
            OutputStream out = dialed.getOutputStream();
            Collection<ClientRecord> taken = records.all();
            do {
                send(taken, out);
                taken = outbox.take();
            } while (!taken.isEmpty());
            return isStopping ? "the server stops" : "it ended the connection";
        } catch (IOException e) {
            return e.getMessage();
        } finally {
            dialed.close();
            reader.join();
            outbox.close();
        }
    }

    private void send(Collection<ClientRecord> all, OutputStream out) throws IOException {
        lines.clear();
        for (ClientRecord record : all) {
            record.addUpdate(self, lines);
            if (lines.length() >= PIECE_BYTES) {
                write(out);
            }
        }
        write(out);
    }

    private void write(OutputStream out) throws IOException {
        out.write(lines.array(), 0, lines.length());
        lines.clear();
    }

    /** Reads until the end and drops it; then the writer has nothing more to wait for. */
    private void drop(Socket dialed) {
        try {
            InputStream in = dialed.getInputStream();
            byte[] dropped = new byte[1024];
            while (in.read(dropped) >= 0) {
                // What a neighbor says comes on the connection that it dials.
            }
            dialed.close();
        } catch (IOException e) {
            // The end of the link, which the writer says.
        } finally {
            outbox.close();
        }
    }

    private void sayFailedDial(String reason) {
        boolean isRepeated =
                reason.equals(saidReason) && System.nanoTime() - saidAt < SAY_AGAIN_AFTER.toNanos();
        if (!isRepeated) {
            say(Level.WARN, "not up: " + reason + "; redialing");
            saidReason = reason;
            saidAt = System.nanoTime();
        }
    }

    private void say(Level level, String what) {
        log.event(level, "link to " + neighbor.name() + " " + what);
    }
}
