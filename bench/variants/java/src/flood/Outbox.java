package flood;

import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

import protocol.ClientId;
import records.ClientRecord;

/**
 * What waits to be sent on one link: at most one record a client, the newer one, so it is bounded and who
 * puts something in never waits for a neighbor. While the link is down it is closed and empty.
 */
final class Outbox {
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    private Map<ClientId, ClientRecord> waiting = new LinkedHashMap<>();
    private boolean isOpen;
    private boolean isFinishing;

    /** Opens it: from here on nothing that is put in is missed. */
    void open() {
        lock.lock();
        try {
            isOpen = true;
        } finally {
            lock.unlock();
        }
    }

    /** Closes and empties it, and frees who waits in {@link #take}. */
    void close() {
        lock.lock();
        try {
            isOpen = false;
            waiting = new LinkedHashMap<>();
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /** The server stops: what is here is still taken, and nothing is waited for. False if it is closed. */
    boolean finish() {
        lock.lock();
        try {
            isFinishing = true;
            changed.signalAll();
            return isOpen;
        } finally {
            lock.unlock();
        }
    }

    /** Puts in what was accepted, but for what came from that neighbor. */
    void put(List<Accepted> batch, byte[] neighbor) {
        lock.lock();
        try {
            if (!isOpen) {
                return;
            }
            boolean wasEmpty = waiting.isEmpty();
            for (Accepted accepted : batch) {
                if (!accepted.isFrom(neighbor)) {
                    ClientRecord record = accepted.record();
                    waiting.merge(record.client(), record, ClientRecord::newer);
                }
            }
            if (wasEmpty && !waiting.isEmpty()) {
                changed.signal();
            }
        } finally {
            lock.unlock();
        }
    }

    /** Waits for records and takes all that are there; none if no more will come. */
    Collection<ClientRecord> take() throws InterruptedException {
        lock.lockInterruptibly();
        try {
            while (isOpen && !isFinishing && waiting.isEmpty()) {
                changed.await();
            }
            Collection<ClientRecord> taken = waiting.values();
            waiting = new LinkedHashMap<>();
            return taken;
        } finally {
            lock.unlock();
        }
    }
}
