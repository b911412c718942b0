package flood;

import java.time.Duration;
import java.util.List;

import config.Config;
import log.Log;
import records.Records;

/** Passes accepted records on to the neighbors: a link to each, and nobody waits for any of them. */
public final class Flood implements AutoCloseable {
    /** How long neighbors that take nothing may hold up the end. */
    private static final Duration LAST_SEND = Duration.ofSeconds(1);

    private final List<Link> links;

    public Flood(Config config, Records records, Log log) {
        links =
                config.neighbors().stream()
                        .map(neighbor -> new Link(neighbor, config.name(), records, log))
                        .toList();
    }

    /** Begins to dial. */
    public void start() {
        links.forEach(Link::start);
    }

    /** True if there is somebody to pass records on to. */
    public boolean hasNeighbors() {
        return !links.isEmpty();
    }

    /** Queues them on every link that is up, each but to the neighbor that it came from. */
    public void pass(List<Accepted> batch) {
        for (Link link : links) {
            link.put(batch);
        }
    }

    /** Sends what is queued, as far as neighbors take it at once. */
    @Override
    public void close() {
        links.forEach(Link::finish);
        long deadline = System.nanoTime() + LAST_SEND.toNanos();
        try {
            for (Link link : links) {
                link.join(deadline);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
