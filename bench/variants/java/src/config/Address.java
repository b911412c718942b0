package config;

/** {@code HOST:PORT}, or {@code [IPV6]:PORT}. Nothing is looked up. */
public record Address(String host, int port) {
    static Address parse(String text) throws ConfigException {
        int colon = text.lastIndexOf(':');
        String host = text.substring(0, Math.max(colon, 0));
        if (host.startsWith("[") && host.endsWith("]")) {
            host = host.substring(1, host.length() - 1);
        } else if (host.contains(":")) {
            host = "";
        }
        try {
            int port = Integer.parseInt(text.substring(colon + 1));
            if (!host.isEmpty() && port >= 0 && port <= 65535) {
                return new Address(host, port);
            }
        } catch (NumberFormatException e) {
            // Said below with all else that is no address.
        }
        throw new ConfigException("\"" + text + "\" is no HOST:PORT or [IPV6]:PORT");
    }

    @Override
    public String toString() {
        return (host.contains(":") ? "[" + host + "]" : host) + ":" + port;
    }
}
