package places;

import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

import config.Config;
import config.ConfigException;
import protocol.Bytes;

/** Who is asked for places, so many at a time. The thread that asks waits; too many that wait are refused. */
public final class Places {
    /** The answer to who wants no places: nobody is asked. */
    public static final byte[] NONE =
            Bytes.ascii("{\"html_attributions\": [], \"results\": [], \"status\": \"ZERO_RESULTS\"}");

    private static final PlacesException TOO_MANY =
            new PlacesException(Status.OVER_QUERY_LIMIT, "too many look-ups wait: try again later");

    private final Provider provider;
    private final Duration longestWait;
    private final int queue;
    private final Semaphore calls;
    private final AtomicInteger waiting = new AtomicInteger();

    public Places(Config.Places conf) throws ConfigException, IOException {
        provider =
                conf.provider().equals("google-legacy")
                        ? new GoogleLegacy(conf, ApiKey.read(conf))
                        : new Refusal();
        longestWait = conf.timeout();
        queue = conf.queue();
        calls = new Semaphore(conf.workers(), true);
    }

    /**
     * Places JSON with at most {@code bound} results, which is at least 1; what fails is told in the same
     * shape. Blocks while it waits its turn and while the provider is asked.
     */
    public byte[] near(byte[] location, byte[] radiusKm, int bound) {
        try {
            return ask(location, radiusKm, bound);
        } catch (PlacesException e) {
            return Answer.failure(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return Answer.failure(new PlacesException(Status.UNKNOWN_ERROR, "the server stops"));
        }
    }

    private byte[] ask(byte[] location, byte[] radiusKm, int bound)
            throws PlacesException, InterruptedException {
        if (!calls.tryAcquire()) {
            awaitCall();
        }
        try {
            return provider.near(location, radiusKm, bound);
        } finally {
            calls.release();
        }
    }

    private void awaitCall() throws PlacesException, InterruptedException {
        try {
            boolean hasRoom = waiting.incrementAndGet() <= queue;
            if (!hasRoom || !calls.tryAcquire(longestWait.toNanos(), TimeUnit.NANOSECONDS)) {
                throw TOO_MANY;
            }
        } finally {
            waiting.decrementAndGet();
        }
    }
}
