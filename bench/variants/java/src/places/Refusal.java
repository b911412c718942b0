package places;

/** Stands for the providers that the herd has and this variant has not. */
record Refusal() implements Provider {
    @Override
    public byte[] near(byte[] location, byte[] radiusKm, int bound) throws PlacesException {
        throw new PlacesException(
                Status.REQUEST_DENIED, "this server only asks the provider google-legacy");
    }
}
