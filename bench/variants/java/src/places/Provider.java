package places;

/** Someone who knows what is near. */
sealed interface Provider permits GoogleLegacy, Refusal {
    /** Places JSON with at most {@code bound} results, which is at least 1. */
    byte[] near(byte[] location, byte[] radiusKm, int bound) throws PlacesException, InterruptedException;
}
