package places;

import java.math.BigDecimal;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

import config.Config;
import config.ConfigException;
import protocol.Locations;

/** Google's legacy Nearby Search, whose answers have the shape of ours: they are passed on as they came. */
final class GoogleLegacy implements Provider {
    private static final String PUBLIC_URL = "https://maps.googleapis.com";
    private static final int MAX_BODY_BYTES = 4 << 20;
    private static final int METERS_PER_KM_DIGITS = 3;

    private final HttpClient client;
    private final String baseUrl;
    private final ApiKey key;
    private final Duration timeout;

    GoogleLegacy(Config.Places conf, ApiKey key) throws ConfigException {
        this.baseUrl = checked(conf.baseUrl().orElse(PUBLIC_URL));
        this.key = key;
        this.timeout = conf.timeout();
        // A redirect is not followed: it could carry the key elsewhere.
        this.client =
                HttpClient.newBuilder()
                        .version(HttpClient.Version.HTTP_1_1)
                        .followRedirects(HttpClient.Redirect.NEVER)
                        .connectTimeout(timeout.dividedBy(2))
                        .build();
    }

    @Override
    public byte[] near(byte[] location, byte[] radiusKm, int bound)
            throws PlacesException, InterruptedException {
        HttpRequest request = HttpRequest.newBuilder(uri(location, radiusKm)).timeout(timeout).build();
        HttpResponse<byte[]> response = call(request);
        checkStatus(response.statusCode());
        byte[] body = response.body();
        if (key.isIn(body)) {
            throw new PlacesException(
                    Status.UNKNOWN_ERROR, "the places service answered with the API key in its answer");
        }
        return Answer.cut(body, bound);
    }

    private URI uri(byte[] location, byte[] radiusKm) {
        BigDecimal kilometers = new BigDecimal(new String(radiusKm, StandardCharsets.US_ASCII));
        String meters = Locations.plain(kilometers.movePointRight(METERS_PER_KM_DIGITS), METERS_PER_KM_DIGITS);
        return URI.create(
                baseUrl
                        + "/maps/api/place/nearbysearch/json?location="
                        + Locations.forUrl(location)
                        + "&radius="
                        + meters
                        + "&key="
                        + URLEncoder.encode(key.expose(), StandardCharsets.US_ASCII));
    }

    /** The client's own timeout ends with the headers; this one is for the body, too. */
    private HttpResponse<byte[]> call(HttpRequest request) throws PlacesException, InterruptedException {
        CompletableFuture<HttpResponse<byte[]>> call =
                client.sendAsync(request, info -> new BoundedBody(MAX_BODY_BYTES));
        try {
            return call.get(timeout.toNanos(), TimeUnit.NANOSECONDS);
        } catch (TimeoutException e) {
            throw new PlacesException(
                    Status.UNKNOWN_ERROR,
                    "the places service did not answer within " + timeout.toMillis() + " ms");
        } catch (ExecutionException e) {
            // What went wrong may hold the URL, and so the key.
            throw new PlacesException(Status.UNKNOWN_ERROR, "the places service could not be asked");
        } finally {
            call.cancel(true);
        }
    }

    private static void checkStatus(int status) throws PlacesException {
        switch (status) {
            case 200 -> {}
            case 400 -> throw failed(Status.INVALID_REQUEST, "did not understand the request", status);
            case 401, 403 -> throw failed(
                    Status.REQUEST_DENIED, "refused the request: is its API key right?", status);
            case 429 -> throw failed(
                    Status.OVER_QUERY_LIMIT, "has been asked too often: try again later", status);
            default -> throw failed(Status.UNKNOWN_ERROR, "failed: try again later", status);
        }
    }

    private static PlacesException failed(Status word, String what, int status) {
        return new PlacesException(word, "the places service " + what + " (HTTP " + status + ")");
    }

    private static String checked(String baseUrl) throws ConfigException {
        try {
            URI uri = URI.create(baseUrl);
            if (uri.getHost() != null && (baseUrl.startsWith("http://") || baseUrl.startsWith("https://"))) {
                return baseUrl.replaceAll("/+$", "");
            }
        } catch (IllegalArgumentException e) {
            // Said below with all else that is no address of a service.
        }
        throw new ConfigException("[places] base_url has to be http:// or https:// and a host, and is " + baseUrl);
    }
}
