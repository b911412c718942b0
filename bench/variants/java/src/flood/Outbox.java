package flood;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

import protocol.ClientId;
import records.ClientRecord;

/**
 * What waits to be sent on one link: at most one record a client, the newer one, so who puts something in
 * never waits for a neighbor. A client that is there keeps its place, so none waits for ever behind others.
 * While the link is down it is closed and empty.
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

    /** Waits for records and takes those that wait longest, so many at most; none if no more will come. */
    List<ClientRecord> take(int most) throws InterruptedException {
        lock.lockInterruptibly();
        try {
            while (isOpen && !isFinishing && waiting.isEmpty()) {
                changed.await();
            }
            List<ClientRecord> taken = new ArrayList<>(Math.min(most, waiting.size()));
            Iterator<ClientRecord> oldest = waiting.values().iterator();
            while (oldest.hasNext() && taken.size() < most) {
                taken.add(oldest.next());
                oldest.remove();
            }
            return taken;
        } finally {
            lock.unlock();
        }
    }
}
