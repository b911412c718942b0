package server;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.time.Duration;
import java.util.Arrays;
import java.util.function.Consumer;

import config.Address;
import log.Level;
import protocol.Bytes;
import protocol.Replies;

/** A client's connection, which one thread serves from the first byte to the last, in blocking calls. */
final class Connection implements Runnable {
    /** Grows while reads fill it, so that many idle connections cost little. */
    private static final int FIRST_INPUT_BYTES = 2 * 1024;
    /** Room for input beside the longest line. */
    private static final int ROOM_BYTES = 8 * 1024;
    /** So many bytes of replies are written before more commands are handled. */
    private static final int REPLY_BYTES = 64 * 1024;
    /** How long, and how many bytes, are discarded at the end so that the last reply arrives. */
    private static final Duration LINGER = Duration.ofSeconds(2);
    private static final int LINGER_BYTES = 1024 * 1024;

    private final Shared shared;
    private final Socket socket;
    private final Consumer<Connection> onEnd;
    private final String peer;
    private final Turn turn;
    private final Session session;
    private final int maxLine;
    private byte[] input = new byte[0];
    private int filled;
    private boolean wasFull = true;
    private boolean hasEnded;
    private volatile boolean isStopping;

    /** {@code onEnd} is told when it is closed. */
    Connection(Shared shared, Socket socket, Consumer<Connection> onEnd) {
        this.shared = shared;
        this.socket = socket;
        this.onEnd = onEnd;
        this.peer = new Address(socket.getInetAddress().getHostAddress(), socket.getPort()).toString();
        this.turn = new Turn(shared, peer);
        this.session = new Session(shared, turn, socket.getInetAddress().isLoopbackAddress());
        this.maxLine = shared.limits().maxLine();
    }

    @Override
    public void run() {
        try {
            shared.log().traffic("connection " + peer + " opened");
            shared.log().traffic("connection " + peer + " closed: " + serve());
        } catch (RuntimeException e) {
            shared.log().event(Level.ERROR, "connection " + peer + " lost to a defect: " + e);
        } finally {
            close();
            onEnd.accept(this);
        }
    }

    /** Refuses the client: there are too many. */
    void refuse() {
        shared.log().traffic("connection " + peer + " refused: too many connections");
        try {
            socket.getOutputStream().write(Replies.TOO_MANY_CONNECTIONS);
            linger();
        } catch (IOException e) {
            // It is gone already.
        } finally {
            close();
        }
    }

    /** Ends the conversation as soon as what was read is answered. */
    void stop() {
        isStopping = true;
        try {
            socket.shutdownInput();
        } catch (IOException e) {
            // It is gone already.
        }
    }

    /** Ends it now. */
    void close() {
        try {
            socket.close();
        } catch (IOException e) {
            // It is gone already.
        }
    }

    /** The conversation; why it is over. */
    private String serve() {
        try {
            String reason = converse();
            linger();
            return reason;
        } catch (SocketException e) {
            return isStopping ? "the server stops" : "gone: " + e.getMessage();
        } catch (IOException e) {
            return "failed: " + e.getMessage();
        }
    }

    private String converse() throws IOException {
        InputStream in = socket.getInputStream();
        while (true) {
            makeRoom();
            int count = in.read(input, filled, input.length - filled);
            hasEnded = count < 0;
            filled += Math.max(count, 0);
            wasFull = filled == input.length;
            turn.begin();
            String reason = handleLines();
            if (reason == null && hasEnded) {
                reason = handleEnd();
            }
            write();
            if (reason != null) {
                return reason;
            }
        }
    }

    /** Handles all whole lines that are there; why nothing more is handled, or null. */
    private String handleLines() throws IOException {
        int start = 0;
        while (start < filled) {
            int longest = Math.min(filled, start + maxLine + 1);
            int end = Bytes.indexOf((byte) '\n', input, start, longest);
            if (end < 0 && longest - start > maxLine) {
                session.invalid(input, start, start + maxLine);
                return "a line over max_line";
            }
            if (end < 0) {
                break;
            }
            handle(start, end);
            start = end + 1;
            if (session.isOver()) {
                return "commands_per_connection replies";
            }
        }
        System.arraycopy(input, start, input, 0, filled - start);
        filled -= start;
        return null;
    }

    /** The end of the input ends the last line, but not where the server cuts it. */
    private String handleEnd() throws IOException {
        if (isStopping) {
            return "the server stops";
        }
        if (filled > 0) {
            handle(0, filled);
        }
        return "the client ended it";
    }

    private void handle(int from, int to) throws IOException {
        Session.LookUp lookUp = session.handle(input, from, to);
        if (lookUp != null) {
            write();
            session.answer(lookUp, input, from, to);
        } else if (turn.replies().length() >= REPLY_BYTES) {
            write();
            turn.begin();
        }
    }

    private void write() throws IOException {
        turn.handOver();
        Bytes replies = turn.replies();
        if (!replies.isEmpty()) {
            OutputStream out = socket.getOutputStream();
            out.write(replies.array(), 0, replies.length());
            replies.clear();
        }
    }

    /** A client that fills what there is gets more, but not without end: {@code maxLine} always fits. */
    private void makeRoom() {
        int most = maxLine + 1 + ROOM_BYTES;
        if (wasFull && input.length < most) {
            input = Arrays.copyOf(input, Math.min(Math.max(2 * input.length, FIRST_INPUT_BYTES), most));
        }
    }

    /** Lets the last reply arrive: a close with unread input would reset the connection. */
    private void linger() throws IOException {
        socket.shutdownOutput();
        InputStream in = socket.getInputStream();
        byte[] dropped = new byte[ROOM_BYTES];
        long deadline = System.nanoTime() + LINGER.toNanos();
        int count = 0;
        for (int bytes = 0; !hasEnded && bytes <= LINGER_BYTES; bytes += count) {
            int left = (int) ((deadline - System.nanoTime()) / 1_000_000);
            if (left <= 0) {
                return;
            }
            socket.setSoTimeout(left);
            try {
                count = in.read(dropped);
                hasEnded = count < 0;
            } catch (SocketTimeoutException e) {
                return;
            }
        }
    }
}
