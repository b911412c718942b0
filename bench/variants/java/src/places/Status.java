package places;

/** Google's words for what became of a look-up that failed. */
enum Status {
    UNKNOWN_ERROR,
    OVER_QUERY_LIMIT,
    REQUEST_DENIED,
    INVALID_REQUEST
}
