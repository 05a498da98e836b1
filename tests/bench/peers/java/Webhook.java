import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.util.ByteArrayBuilder;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.util.Base64;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/** What both peers do with a record: read what they need of it by streaming, render the body, sign it. */
final class Webhook {
    /** An event, of which only what filter and body name is kept. */
    record Event(String id, String name, String user, String amount) {}

    private static final JsonFactory JSON = new JsonFactory();
    private static final byte[] SECRET =
            Base64.getDecoder().decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    private final Mac mac;

    Webhook() {
        try {
            mac = Mac.getInstance("HmacSHA256");
            mac.init(new SecretKeySpec(SECRET, "HmacSHA256"));
        } catch (GeneralSecurityException wrong) {
            throw new IllegalStateException(wrong);
        }
    }

    /** Returns an event; numbers stay as they were written. */
    static Event event(byte[] line) throws IOException {
        String id = null, name = null, user = null, amount = null;
        try (JsonParser parser = JSON.createParser(line)) {
            parser.nextToken();
            for (String field; (field = parser.nextFieldName()) != null; ) {
                JsonToken value = parser.nextToken();
                switch (field) {
                    case "id" -> id = parser.getText();
                    case "name" -> name = parser.getText();
                    case "user_id" -> user = parser.getText();
                    case "properties" -> amount = text(parser, "amount");
                    default -> parser.skipChildren();
                }
            }
        }
        return new Event(id, name, user, amount);
    }

    /** Returns the text of a field of the properties that an update of a user sets, or null. */
    static String property(byte[] update, String name) throws IOException {
        try (JsonParser parser = JSON.createParser(update)) {
            parser.nextToken();
            for (String field; (field = parser.nextFieldName()) != null; ) {
                parser.nextToken();
                if (field.equals("set")) {
                    return text(parser, name);
                }
                parser.skipChildren();
            }
        }
        return null;
    }

    private static String text(JsonParser parser, String name) throws IOException {
        String found = null;
        for (String field; (field = parser.nextFieldName()) != null; ) {
            parser.nextToken();
            if (field.equals(name)) {
                found = parser.getText();
            } else {
                parser.skipChildren();
            }
        }
        return found;
    }

    /** Returns the body of the request. */
    static byte[] body(Event event, String plan) throws IOException {
        ByteArrayBuilder out = new ByteArrayBuilder(128);
        try (JsonGenerator json = JSON.createGenerator(out)) {
            json.writeStartObject();
            json.writeStringField("f0", event.user());
            json.writeStringField("f1", plan);
            json.writeFieldName("f2");
            json.writeNumber(event.amount());
            json.writeEndObject();
        }
        return out.toByteArray();
    }

    /** Returns the signature of Standard Webhooks. Not for several threads at once. */
    String signature(String id, String stamp, byte[] body) {
        mac.update(id.getBytes(StandardCharsets.ISO_8859_1));
        mac.update((byte) '.');
        mac.update(stamp.getBytes(StandardCharsets.ISO_8859_1));
        mac.update((byte) '.');
        return "v1," + Base64.getEncoder().encodeToString(mac.doFinal(body));
    }
}
