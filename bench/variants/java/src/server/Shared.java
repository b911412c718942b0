package server;

import config.Config;
import flood.Flood;
import log.Log;
import places.Places;
import protocol.Bytes;
import records.Records;

/** What all connections of a server share. */
record Shared(byte[] name, Config.Limits limits, Records records, Flood flood, Places places, Log log) {
    Shared(Config config, Records records, Flood flood, Places places, Log log) {
        this(Bytes.ascii(config.name()), config.limits(), records, flood, places, log);
    }
}
