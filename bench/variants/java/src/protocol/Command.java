package protocol;

/** What a client or a neighbor says with one line. */
public sealed interface Command {
    /** {@code IAMAT kiwi +34.068930-118.445127 1479413884.392014450}: a client is there, then. */
    record Iamat(ClientId client, byte[] location, byte[] timeText, long time) implements Command {}

    /** {@code WHATSAT kiwi 10 5}: which places are near that client, in kilometers, and how many at most. */
    record Whatsat(ClientId client, byte[] radius, int bound) implements Command {}

    /** {@code UPDATE kiwi Ball 1479413884.392014450 +34.068930-118.445127 +0.263873386 Welsh}. */
    record Update(
            ClientId client,
            byte[] origin,
            byte[] location,
            byte[] timeText,
            long time,
            long skew,
            byte[] sender)
            implements Command {}

    /** Anything else. */
    record Invalid() implements Command {}
}
