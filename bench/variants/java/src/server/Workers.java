package server;

import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.atomic.AtomicInteger;

/** The threads that serve connections, each one from its first byte to its last. */
public enum Workers {
    /**
     * So many threads as the conf says; further connections wait for one. A neighbor that dials in holds one,
     * too, so there have to be more than neighbors.
     */
    FIXED,
    /** A virtual thread for each connection. */
    VIRTUAL;

    ExecutorService start(int workers) {
        return this == VIRTUAL ? virtual() : Executors.newFixedThreadPool(workers, named());
    }

    /** By reflection, as this is built for Java 17, which has none. */
    private static ExecutorService virtual() {
        try {
            return (ExecutorService)
                    Executors.class.getMethod("newVirtualThreadPerTaskExecutor").invoke(null);
        } catch (ReflectiveOperationException e) {
            throw new UnsupportedOperationException("virtual threads need Java 21 or later", e);
        }
    }

    private static ThreadFactory named() {
        AtomicInteger count = new AtomicInteger();
        return job -> {
            Thread thread = new Thread(job, "worker-" + count.incrementAndGet());
            thread.setDaemon(true);
            return thread;
        };
    }
}
