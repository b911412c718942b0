package server;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

import config.Address;
import config.Config;
import flood.Flood;
import log.Level;
import log.Log;
import places.Places;
import records.Records;

/** Accepts connections and hands each to a thread of its own, or to the next worker that is free. */
public final class Server implements AutoCloseable {
    private static final int BACKLOG = 4096;
    /** Refused clients that are taken leave of at a time; further ones are closed at once. */
    private static final int REFUSALS = 16;
    /** Waits after a failed accept, as when descriptors have run out. */
    private static final long FIRST_WAIT_MILLIS = 5;
    private static final long LAST_WAIT_MILLIS = 1000;
    /** How long clients that take no replies may hold up the end. */
    private static final Duration LAST_REPLIES = Duration.ofSeconds(2);

    private final Shared shared;
    private final int maxConnections;
    private final ServerSocket listener;
    private final ExecutorService workers;
    private final ExecutorService refusals =
            new ThreadPoolExecutor(0, REFUSALS, 1, TimeUnit.SECONDS, new SynchronousQueue<>());
    private final Set<Connection> connections = ConcurrentHashMap.newKeySet();
    private volatile boolean isStopping;

    /** Listens; nobody is accepted yet. */
    public Server(
            Config config, Workers workers, Records records, Flood flood, Places places, Log log)
            throws IOException {
        this.shared = new Shared(config, records, flood, places, log);
        this.maxConnections = config.pool().maxConnections();
        this.listener = new ServerSocket();
        this.workers = workers.start(config.pool().workers());
        listener.setReuseAddress(true);
        listener.bind(new InetSocketAddress(config.listen().host(), config.listen().port()), BACKLOG);
    }

    /** Where it listens. */
    public Address address() {
        return new Address(listener.getInetAddress().getHostAddress(), listener.getLocalPort());
    }

    /** Accepts until it is closed. */
    public void run() throws InterruptedException {
        long wait = FIRST_WAIT_MILLIS;
        while (!isStopping) {
            try {
                serve(listener.accept());
                wait = FIRST_WAIT_MILLIS;
            } catch (IOException e) {
                if (!isStopping) {
                    shared.log().event(Level.ERROR, "a connection cannot be served: " + e.getMessage());
                    Thread.sleep(wait);
                    wait = Math.min(2 * wait, LAST_WAIT_MILLIS);
                }
            }
        }
    }

    /** Accepts no more, answers what was read, and ends all connections. */
    @Override
    public void close() {
        isStopping = true;
        try {
            listener.close();
        } catch (IOException e) {
            shared.log().event(Level.ERROR, "the listener cannot be closed: " + e.getMessage());
        }
        workers.shutdown();
        connections.forEach(Connection::stop);
        try {
            workers.awaitTermination(LAST_REPLIES.toMillis(), TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        connections.forEach(Connection::close);
    }

    private void serve(Socket socket) throws IOException {
        Connection connection = new Connection(shared, socket, connections::remove);
        if (connections.size() >= maxConnections) {
            refuse(connection);
            return;
        }
        connections.add(connection);
        try {
            socket.setTcpNoDelay(true);
            workers.execute(connection);
        } catch (IOException | RejectedExecutionException | OutOfMemoryError e) {
            // The error is how Java says that there are no more threads to be had.
            connections.remove(connection);
            connection.close();
            throw new IOException(e.getMessage(), e);
        }
    }

    private void refuse(Connection connection) {
        try {
            refusals.execute(connection::refuse);
        } catch (RejectedExecutionException e) {
            connection.close();
        }
    }
}
