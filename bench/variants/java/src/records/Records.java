package records;

import java.util.Collection;
import java.util.Collections;
import java.util.concurrent.ConcurrentHashMap;

import protocol.ClientId;

/** What is known of all clients. Both ways in give back the record that is held afterwards. */
public final class Records {
    private final ConcurrentHashMap<ClientId, ClientRecord> byClient = new ConcurrentHashMap<>();

    /** The record of that client, or null. */
    public ClientRecord get(ClientId client) {
        return byClient.get(client);
    }

    /** Merges what a client reports here. The same report again is the record held, not stamped anew. */
    public ClientRecord report(ClientRecord reported) {
        return byClient.merge(
                reported.client(),
                reported,
                (held, offered) ->
                        offered.isSameReport(held) ? held : ClientRecord.newer(held, offered));
    }

    /** Merges what another server says. */
    public ClientRecord merge(ClientRecord update) {
        return byClient.merge(update.client(), update, ClientRecord::newer);
    }

    /** All records: every one that is there when a walk begins, each as it is when the walk gets to it. */
    public Collection<ClientRecord> all() {
        return Collections.unmodifiableCollection(byClient.values());
    }
}
