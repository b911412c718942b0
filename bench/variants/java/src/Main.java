import java.io.IOException;
import java.io.OutputStream;
import java.net.SocketException;
import java.nio.file.Path;

import config.Config;
import config.ConfigException;
import flood.Flood;
import log.Log;
import places.Places;
import records.Records;
import server.Server;
import server.Workers;

/** {@code Main NAME --conf FILE [--stop-on-eof] [--virtual]}: serves until a signal or the end of input. */
public final class Main {
    private static final String USAGE = "usage: run NAME --conf FILE [--stop-on-eof] [--virtual]";
    private static final int USAGE_ERROR = 1;
    private static final int CONF_ERROR = 2;
    private static final int CANNOT_LISTEN = 3;
    private static final int RUNTIME_ERROR = 4;

    private Main() {}

    public static void main(String[] args) {
        Options options = Options.parse(args);
        if (options == null) {
            fail(USAGE_ERROR, USAGE);
            return;
        }
        try {
            serve(options);
        } catch (ConfigException e) {
            fail(CONF_ERROR, e.getMessage());
        } catch (SocketException e) {
            fail(CANNOT_LISTEN, "cannot listen: " + e.getMessage());
        } catch (IOException | InterruptedException | RuntimeException e) {
            fail(RUNTIME_ERROR, e.toString());
        }
    }

    private static void serve(Options options) throws ConfigException, IOException, InterruptedException {
        Config config = Config.read(options.conf(), options.name());
        Places places = new Places(config.places());
        Log log = new Log(config.log(), config.name());
        Records records = new Records();
        Flood flood = new Flood(config, records, log);
        Server server = new Server(config, options.workers(), records, flood, places, log);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(server, flood, log), "stop"));
        if (options.stopOnEof()) {
            stopOnEof();
        }
        flood.start();
        System.out.println("ready " + config.name() + " " + server.address());
        server.run();
    }

    /** The last that runs. A signal that was heeded is a good end, which Java alone would not say. */
    private static void stop(Server server, Flood flood, Log log) {
        server.close();
        flood.close();
        log.close();
        Runtime.getRuntime().halt(0);
    }

    private static void stopOnEof() {
        Thread reader = new Thread(Main::readToEnd, "input");
        reader.setDaemon(true);
        reader.start();
    }

    private static void readToEnd() {
        try {
            System.in.transferTo(OutputStream.nullOutputStream());
        } catch (IOException e) {
            // An input that fails is at its end.
        }
        System.exit(0);
    }

    private static void fail(int code, String message) {
        System.err.println(message);
        System.exit(code);
    }

    private record Options(String name, Path conf, boolean stopOnEof, Workers workers) {
        /** Null if the arguments are not as they have to be. */
        static Options parse(String[] args) {
            String name = null;
            Path conf = null;
            boolean stopOnEof = false;
            Workers workers = Workers.FIXED;
            for (int at = 0; at < args.length; at++) {
                switch (args[at]) {
                    case "--stop-on-eof" -> stopOnEof = true;
                    case "--virtual" -> workers = Workers.VIRTUAL;
                    case "--conf" -> {
                        at++;
                        conf = at < args.length ? Path.of(args[at]) : null;
                    }
                    default -> {
                        if (name != null || args[at].startsWith("-")) {
                            return null;
                        }
                        name = args[at];
                    }
                }
            }
            return name == null || conf == null ? null : new Options(name, conf, stopOnEof, workers);
        }
    }
}
