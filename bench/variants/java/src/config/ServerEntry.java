package config;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

import protocol.ServerNames;

/** A {@code [[server]]} of the conf file. */
record ServerEntry(String name, Address listen, List<String> neighbors) {
    static List<ServerEntry> readAll(List<Map<String, Object>> tables) throws ConfigException {
        List<ServerEntry> servers = new ArrayList<>();
        for (Map<String, Object> table : tables) {
            Section section = new Section("[server]", table);
            String name = section.text("name", "");
            if (!ServerNames.isServerName(name)) {
                throw new ConfigException(
                        "[[server]] name has to be 1 to 32 letters, digits, \".\", \"_\", \"-\", and is "
                                + name);
            }
            Address listen = Address.parse(section.text("listen", ""));
            servers.add(new ServerEntry(name, listen, section.texts("neighbors")));
        }
        return servers;
    }

    static ServerEntry find(List<ServerEntry> servers, String name) throws ConfigException {
        for (ServerEntry server : servers) {
            if (server.name.equals(name)) {
                return server;
            }
        }
        throw new ConfigException("there is no server \"" + name + "\"");
    }

    /** Those that it lists, and those that list it. */
    List<Config.Neighbor> neighborsAmong(List<ServerEntry> servers) throws ConfigException {
        for (String neighbor : neighbors) {
            find(servers, neighbor);
        }
        return servers.stream()
                .filter(other -> !other.name.equals(name))
                .filter(other -> neighbors.contains(other.name) || other.neighbors.contains(name))
                .map(other -> new Config.Neighbor(other.name, other.listen))
                .toList();
    }
}
