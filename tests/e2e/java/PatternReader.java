import java.time.Duration;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.common.errors.InvalidRegularExpression;
import org.apache.kafka.common.serialization.StringDeserializer;

/*
 * Reads what a pattern matches on the server, as no tool of Kafka's does: BOOTSTRAP GROUP PATTERN. Prints a value a line,
 * or "invalid" when the pattern is none.
 */
public final class PatternReader {
    public static void main(String[] args) {
        Map<String, Object> settings = Map.of("bootstrap.servers", args[0], "group.id", args[1], "group.protocol",
            "consumer", "auto.offset.reset", "earliest", "key.deserializer", StringDeserializer.class,
            "value.deserializer", StringDeserializer.class);
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(settings)) {
            consumer.subscribe(new SubscriptionPattern(args[2]));
            while (true) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200)))
                    System.out.println(record.value());
                System.out.flush();
            }
        } catch (InvalidRegularExpression e) {
            System.out.println("invalid");
        }
    }
}
