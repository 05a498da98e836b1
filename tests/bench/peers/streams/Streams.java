import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.Semaphore;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;

/**
 * Kafka Streams as a peer: users' properties in its RocksDB, joined to events, filtered, rendered, signed, posted.
 *
 * <p>Streams STATE-DIR BROKERS EVENTS USERS URL runs until it is ended. Once a second it waits until what is in flight
 * is answered, and commits: what is posted again after a crash is what a second posts.
 */
public final class Streams {
    private static final int CONNECTIONS = 64;
    private static final int IN_FLIGHT = 2 * CONNECTIONS;
    private static final Duration COMMIT_EVERY = Duration.ofSeconds(1);

    private record Request(String id, byte[] body) {}

    /** Hands requests to the client, and waits while too many are in flight. */
    private static final class Post implements Processor<String, Request, Void, Void> {
        private final Posts posts;
        private final Semaphore room = new Semaphore(IN_FLIGHT);

        Post(Posts client) {
            posts = client;
        }

        @Override
        public void init(ProcessorContext<Void, Void> context) {
            // Streams commits right after the timers that were due, before it reads on.
            context.schedule(COMMIT_EVERY, PunctuationType.WALL_CLOCK_TIME, now -> {
                room.acquireUninterruptibly(IN_FLIGHT);
                room.release(IN_FLIGHT);
                context.commit();
            });
        }

        @Override
        public void process(Record<String, Request> record) {
            room.acquireUninterruptibly();
            posts.post(record.value().id(), record.value().body(), room::release);
        }
    }

    private static Webhook.Event event(byte[] line) {
        try {
            return Webhook.event(line);
        } catch (IOException broken) {
            throw new UncheckedIOException(broken);
        }
    }

    private static Request request(Webhook.Event event, byte[] update) {
        try {
            String plan = update == null ? null : Webhook.property(update, "plan");
            return new Request(event.id(), Webhook.body(event, plan));
        } catch (IOException broken) {
            throw new UncheckedIOException(broken);
        }
    }

    public static void main(String[] arguments) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments[0]);
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[1]);
        // A group of its own for each run: another's offsets would end it before it begins.
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[2] + "-" + ProcessHandle.current().pid());
        settings.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        settings.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 3_600_000L);
        // The topic of updates is its own changelog.
        settings.put(StreamsConfig.TOPOLOGY_OPTIMIZATION_CONFIG, StreamsConfig.OPTIMIZE);
        settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        Posts posts = new Posts(arguments[4], CONNECTIONS);
        StreamsBuilder flow = new StreamsBuilder();
        KTable<String, byte[]> users = flow.table(arguments[3]);
        flow.<String, byte[]>stream(arguments[2])
                .mapValues(Streams::event)
                .filter((user, event) -> event.name().equals("Purchase"))
                .leftJoin(users, Streams::request)
                .process(() -> new Post(posts));
        KafkaStreams streams = new KafkaStreams(flow.build(settings), settings);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> Runtime.getRuntime().halt(0)));
        streams.start();
    }
}
