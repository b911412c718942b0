package places;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.Optional;

import config.Config;
import config.ConfigException;

/** The key of the places service: shown to nobody but the service. */
final class ApiKey {
    private final String key;

    private ApiKey(String key) {
        this.key = key;
    }

    /** From the variable of {@code key_env} if that is set, else from the file of {@code key_file}. */
    static ApiKey read(Config.Places conf) throws ConfigException, IOException {
        Optional<String> key = conf.keyEnv().map(System::getenv);
        if (key.isEmpty() && conf.keyFile().isPresent()) {
            key = Optional.of(Files.readString(conf.keyFile().get()));
        }
        String trimmed = key.orElse("").strip();
        if (trimmed.isEmpty() || !trimmed.chars().allMatch(c -> c > ' ' && c <= '~')) {
            throw new ConfigException(
                    "[places] google-legacy needs an API key: visible ASCII characters in the variable of key_env,"
                            + " or in the file key_file");
        }
        return new ApiKey(trimmed);
    }

    /** To send it, and for nothing else. */
    String expose() {
        return key;
    }

    /** True if these bytes hold it. */
    boolean isIn(byte[] bytes) {
        return new String(bytes, StandardCharsets.ISO_8859_1).contains(key);
    }
}
