package places;

/** A look-up that failed. The message is for clients: printable, without quotes, and without the key. */
final class PlacesException extends Exception {
    private static final long serialVersionUID = 1;

    private final Status status;

    PlacesException(Status status, String message) {
        super(message, null, false, false);
        this.status = status;
    }

    Status status() {
        return status;
    }
}
