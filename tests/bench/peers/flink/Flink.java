import java.io.IOException;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.streaming.api.datastream.AsyncDataStream;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.DataStreamUtils;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.async.ResultFuture;
import org.apache.flink.streaming.api.functions.async.RichAsyncFunction;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/**
 * Flink as a peer: users' properties in RocksDB, joined to events as they come, filtered, rendered, signed, posted.
 *
 * <p>Flink STATE-DIR BROKERS EVENTS USERS URL runs until it is ended. One source reads both topics, and one chain of
 * operators does all the work, so that nothing is serialised between them. A checkpoint every second has offsets,
 * properties and what is in flight.
 */
public final class Flink {
    private static final int CONNECTIONS = 64;
    private static final int IN_FLIGHT = 2 * CONNECTIONS;
    private static final TypeInformation<byte[]> BYTES = PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO;
    private static final TypeInformation<Tuple3<Boolean, String, byte[]>> RECORD =
            Types.TUPLE(Types.BOOLEAN, Types.STRING, BYTES);
    private static final TypeInformation<Tuple2<String, byte[]>> REQUEST = Types.TUPLE(Types.STRING, BYTES);

    /** Reads a record as: whether it is an update of a user, the user, the line. */
    private record Reading(String users) implements KafkaRecordDeserializationSchema<Tuple3<Boolean, String, byte[]>> {
        @Override
        public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<Tuple3<Boolean, String, byte[]>> out) {
            out.collect(Tuple3.of(record.topic().equals(users), new String(record.key()), record.value()));
        }

        @Override
        public TypeInformation<Tuple3<Boolean, String, byte[]>> getProducedType() {
            return RECORD;
        }
    }

    /** Keeps the last update of each user, and gives id and body of the request for each event that fires. */
    private static final class Join
            extends KeyedProcessFunction<String, Tuple3<Boolean, String, byte[]>, Tuple2<String, byte[]>> {
        private transient ValueState<byte[]> user;

        @Override
        public void open(OpenContext context) {
            user = getRuntimeContext().getState(new ValueStateDescriptor<>("user", BYTES));
        }

        @Override
        public void processElement(
                Tuple3<Boolean, String, byte[]> record, Context context, Collector<Tuple2<String, byte[]>> out)
                throws IOException {
            if (record.f0) {
                user.update(record.f2);
                return;
            }
            Webhook.Event event = Webhook.event(record.f2);
            if (event.name().equals("Purchase")) {
                byte[] update = user.value();
                String plan = update == null ? null : Webhook.property(update, "plan");
                out.collect(Tuple2.of(event.id(), Webhook.body(event, plan)));
            }
        }
    }

    private static final class Post extends RichAsyncFunction<Tuple2<String, byte[]>, Boolean> {
        private final String url;
        private transient Posts posts;

        Post(String address) {
            url = address;
        }

        @Override
        public void open(OpenContext context) {
            posts = new Posts(url, CONNECTIONS);
        }

        @Override
        public void close() {
            posts.close();
        }

        @Override
        public void asyncInvoke(Tuple2<String, byte[]> request, ResultFuture<Boolean> result) {
            posts.post(request.f0, request.f1, () -> result.complete(List.of()));
        }
    }

    public static void main(String[] arguments) throws Exception {
        Runtime.getRuntime().addShutdownHook(new Thread(() -> Runtime.getRuntime().halt(0)));
        Configuration settings = new Configuration();
        settings.setString("state.backend.type", "rocksdb");
        settings.setString("state.backend.rocksdb.localdir", arguments[0] + "/rocksdb");
        settings.setString("execution.checkpointing.incremental", "true");
        settings.setString("execution.checkpointing.interval", "1s");
        settings.setString("execution.checkpointing.dir", "file://" + arguments[0] + "/checkpoints");
        settings.setString("pipeline.object-reuse", "true");
        settings.setString("taskmanager.memory.managed.size", "64m");
        settings.setString("taskmanager.memory.network.min", "16m");
        settings.setString("taskmanager.memory.network.max", "16m");
        StreamExecutionEnvironment flow = StreamExecutionEnvironment.createLocalEnvironment(1, settings);
        KafkaSource<Tuple3<Boolean, String, byte[]>> source =
                KafkaSource.<Tuple3<Boolean, String, byte[]>>builder()
                        .setBootstrapServers(arguments[1])
                        .setTopics(arguments[2], arguments[3])
                        .setGroupId("flink-" + arguments[2])
                        .setStartingOffsets(OffsetsInitializer.earliest())
                        .setDeserializer(new Reading(arguments[3]))
                        .build();
        DataStream<Tuple3<Boolean, String, byte[]>> records =
                flow.fromSource(source, WatermarkStrategy.noWatermarks(), "topics");
        // One partition of each topic and one task: all of a user's records are in it without being sent anywhere.
        DataStream<Tuple2<String, byte[]>> requests =
                DataStreamUtils.reinterpretAsKeyedStream(records, record -> record.f1, Types.STRING)
                        .process(new Join())
                        .returns(REQUEST);
        AsyncDataStream.unorderedWait(requests, new Post(arguments[4]), 1, TimeUnit.HOURS, IN_FLIGHT)
                .returns(Types.BOOLEAN)
                .sinkTo(new DiscardingSink<>());
        flow.execute("webhooks");
    }
}
