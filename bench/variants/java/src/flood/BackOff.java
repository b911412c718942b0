package flood;

import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;

/** The waits between dials: 50 ms, doubling to 1 s, each cut by up to a half at random. */
final class BackOff {
    static final Duration FIRST = Duration.ofMillis(50);
    static final Duration LAST = Duration.ofSeconds(1);

    private long next = FIRST.toMillis();

    /** The neighbor was there: the next wait is the first again. */
    void reset() {
        next = FIRST.toMillis();
    }

    long nextWaitMillis() {
        long wait = next;
        next = Math.min(2 * wait, LAST.toMillis());
        return ThreadLocalRandom.current().nextLong(wait / 2, wait + 1);
    }
}
