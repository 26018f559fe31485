import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionReplica;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.SecurityDisabledException;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;
import org.apache.kafka.common.quota.ClientQuotaFilter;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/*
 * What two consoles ask of a server, page by page, with the calls and the settings that their sources have, and with the
 * version of Kafka's clients that they are built with: `kafka-ui BOOTSTRAP TOPIC GROUP` or `akhq BOOTSTRAP TOPIC GROUP`.
 * TOPIC and GROUP must not be there. Prints "ok PAGE" or "failed PAGE: why" for each page.
 *
 * kafka-ui: ReactiveAdminClient, ScrapedClusterState, TopicsService, emitter/*, OffsetsResetService of kafbat/kafka-ui.
 * AKHQ: AbstractKafkaWrapper, KafkaModule, RecordRepository, ConsumerGroupRepository of tchiotludo/akhq.
 */
public final class Consoles {
    private interface Page {
        void show() throws Exception;
    }

    private final String bootstrap;
    private final String topic;
    private final String group;
    private final AdminClient admin;
    private Collection<Node> nodes;
    private int node;

    private Consoles(String[] args) {
        bootstrap = args[1];
        topic = args[2];
        group = args[3];
        admin = AdminClient.create(Map.of("bootstrap.servers", bootstrap));
    }

    public static void main(String[] args) {
        Consoles consoles = new Consoles(args);
        if (args[0].equals("kafka-ui"))
            consoles.kafkaUi();
        else
            consoles.akhq();
        consoles.admin.close();
    }

    /* -- what both share ------------------------------------------------------------------------------------------ */

    private void page(String name, Page page) {
        try {
            page.show();
            System.out.println("ok " + name);
        } catch (Exception | AssertionError e) {
            Throwable why = e instanceof ExecutionException ? e.getCause() : e;
            System.out.println("failed " + name + ": " + why);
            e.printStackTrace();
        }
    }

    private static <T> T get(KafkaFuture<T> future) throws Exception {
        return future.get(20, TimeUnit.SECONDS);
    }

    private static void expect(String what, Object actual, Object expected) {
        if (!Objects.equals(actual, expected))
            throw new AssertionError(what + ": " + actual + " is not " + expected);
    }

    private KafkaConsumer<byte[], byte[]> consumer(Map<String, Object> more) {
        Map<String, Object> settings = new HashMap<>(more);
        settings.put("bootstrap.servers", bootstrap);
        settings.put("enable.auto.commit", "false");
        return new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private void produce(int partition, byte[] key, byte[] value) throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(Map.of("bootstrap.servers", bootstrap),
                 new ByteArraySerializer(), new ByteArraySerializer())) {
            producer.send(new ProducerRecord<>(topic, partition, key, value)).get(20, TimeUnit.SECONDS);
        }
    }

    private static <T> Map<TopicPartition, T> all(Collection<TopicPartition> parts, T value) {
        return parts.stream().collect(Collectors.toMap(Function.identity(), part -> value));
    }

    private List<TopicPartition> parts(Collection<TopicDescription> descriptions) {
        List<TopicPartition> parts = new ArrayList<>();
        descriptions.forEach(one -> one.partitions().forEach(
            info -> parts.add(new TopicPartition(one.name(), info.partition()))));
        return parts;
    }

    private List<TopicPartition> ours(int partitions) {
        List<TopicPartition> parts = new ArrayList<>();
        for (int i = 0; i < partitions; i++)
            parts.add(new TopicPartition(topic, i));
        return parts;
    }

    private static ConfigResource resource(ConfigResource.Type type, Object name) {
        return new ConfigResource(type, name.toString());
    }

    private Config settingsOf(ConfigResource of) throws Exception {
        return get(admin.describeConfigs(List.of(of)).all()).get(of);
    }

    /* True: the server says that it has no access rules, which both consoles take for an answer. */
    private boolean noAccessRules() throws Exception {
        try {
            get(admin.describeAcls(AclBindingFilter.ANY).values());
            return false;
        } catch (ExecutionException e) {
            return e.getCause() instanceof SecurityDisabledException;
        }
    }

    private void cluster(boolean operations) throws Exception {
        DescribeClusterResult cluster =
            admin.describeCluster(new DescribeClusterOptions().includeAuthorizedOperations(operations));
        get(KafkaFuture.allOf(cluster.controller(), cluster.clusterId(), cluster.nodes(), cluster.authorizedOperations()));
        nodes = get(cluster.nodes());
        node = get(cluster.controller()).id();
        expect("operations are told", cluster.authorizedOperations().get() != null, operations);
    }

    private Collection<Integer> nodeIds() {
        return nodes.stream().map(Node::id).collect(Collectors.toList());
    }

    private Set<String> groups() throws Exception {
        return get(admin.listConsumerGroups().all()).stream().map(ConsumerGroupListing::groupId).collect(Collectors.toSet());
    }

    /* -- kafka-ui ------------------------------------------------------------------------------------------------- */

    private void kafkaUi() {
        page("connecting", this::uiConnects);
        page("new topic", () -> get(admin.createTopics(List.of(new NewTopic(topic, Optional.of(2), Optional.empty())
            .configs(Map.of("retention.ms", "3600000", "cleanup.policy", "delete")))).all()));
        page("new message", () -> {
            for (int i = 0; i < 20; i++)
                produce(i % 2, ("k" + i).getBytes(), ("v" + i).getBytes());
        });
        page("dashboard", this::uiScrapes);
        page("broker", this::uiBroker);
        page("topic settings", this::uiTopicSettings);
        page("topic statistics", this::uiStatistics);
        page("messages, oldest first", () -> uiReads(false));
        page("messages, newest first", () -> uiReads(true));
        page("messages, live", this::uiTails);
        page("consumers", this::uiGroups);
        page("partitions", this::uiPartitions);
        page("rules and quotas", this::uiRules);
        page("deleting", this::uiDeletes);
    }

    private void uiConnects() throws Exception {
        cluster(false);
        ConfigEntry version = settingsOf(resource(ConfigResource.Type.BROKER, node)).get("inter.broker.protocol.version");
        FeatureMetadata features = get(admin.describeFeatures().featureMetadata());
        // One of them tells it the version, and so what it may ask for.
        expect("a version", version != null && version.value() != null ? version.value().split("-")[0].compareTo("2.6") > 0
            : features.finalizedFeatures().get("metadata.version").maxVersionLevel() > 1, true);
        expect("no access rules", noAccessRules(), true);
    }

    /* Every half minute, and the dashboard shows it. */
    private void uiScrapes() throws Exception {
        cluster(true);
        expect("leader", get(admin.describeMetadataQuorum().quorumInfo()).leaderId(), node);
        expect("log directories", get(admin.describeLogDirs(nodeIds()).allDescriptions()).keySet(), new HashSet<>(nodeIds()));
        Set<String> topics = get(admin.listTopics(new ListTopicsOptions().listInternal(true)).names());
        Set<String> groups = groups();
        Map<String, TopicDescription> described = new HashMap<>();
        for (Map.Entry<String, KafkaFuture<TopicDescription>> one : admin.describeTopics(topics).topicNameValues().entrySet())
            described.put(one.getKey(), get(one.getValue()));
        List<ConfigResource> resources = topics.stream().map(name -> resource(ConfigResource.Type.TOPIC, name))
            .collect(Collectors.toList());
        for (KafkaFuture<Config> config : admin.describeConfigs(resources,
                 new DescribeConfigsOptions().includeSynonyms(true).includeDocumentation(false)).values().values())
            get(config);
        List<TopicPartition> parts = parts(described.values());
        Map<TopicPartition, ListOffsetsResult.ListOffsetsResultInfo> ends =
            get(admin.listOffsets(all(parts, OffsetSpec.latest())).all());
        get(admin.listOffsets(all(parts, OffsetSpec.earliest())).all());
        expect("end", ends.get(new TopicPartition(topic, 0)).offset(), 10L);
        get(admin.describeConsumerGroups(groups).all());
        if (!groups.isEmpty())
            get(admin.listConsumerGroupOffsets(groups.stream().collect(Collectors.toMap(Function.identity(),
                name -> new ListConsumerGroupOffsetsSpec().topicPartitions(null)))).all());
    }

    private void uiBroker() throws Exception {
        ConfigResource broker = resource(ConfigResource.Type.BROKER, node);
        get(admin.describeConfigs(List.of(broker)).all());
        get(admin.incrementalAlterConfigs(Map.of(broker, List.of(new AlterConfigOp(
            new ConfigEntry("log.cleaner.threads", "1"), AlterConfigOp.OpType.SET)))).all());
        Map<String, LogDirDescription> folders = get(admin.describeLogDirs(List.of(node)).allDescriptions()).get(node);
        String folder = folders.keySet().iterator().next();
        get(admin.alterReplicaLogDirs(Map.of(new TopicPartitionReplica(topic, 0, node), folder)).all());
    }

    private void uiTopicSettings() throws Exception {
        ConfigResource of = resource(ConfigResource.Type.TOPIC, topic);
        DescribeConfigsOptions full = new DescribeConfigsOptions().includeSynonyms(true).includeDocumentation(true);
        Config settings = get(admin.describeConfigs(List.of(of), full).all()).get(of);
        expect("documented", settings.get("retention.ms").documentation() != null, true);
        List<AlterConfigOp> changes = new ArrayList<>();
        settings.entries().stream().filter(entry -> entry.source() == ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG)
            .filter(entry -> !entry.name().equals("retention.ms"))
            .forEach(entry -> changes.add(new AlterConfigOp(entry, AlterConfigOp.OpType.DELETE)));
        changes.add(new AlterConfigOp(new ConfigEntry("retention.ms", "7200000"), AlterConfigOp.OpType.SET));
        get(admin.incrementalAlterConfigs(Map.of(of, changes)).all());
        expect("retention", settingsOf(of).get("retention.ms").value(), "7200000");
    }

    private Map<TopicPartition, Long> begins(KafkaConsumer<byte[], byte[]> consumer, Collection<TopicPartition> parts) {
        return consumer.offsetsForTimes(all(parts, 0L)).entrySet().stream()
            .collect(Collectors.toMap(Map.Entry::getKey, entry -> entry.getValue().offset()));
    }

    private Map<String, Object> uiConsumer() {
        return Map.of("client.id", "kafbat-ui-consumer", "auto.offset.reset", "earliest", "allow.auto.create.topics",
            "false", "max.poll.records", 100);
    }

    private void uiStatistics() throws Exception {
        get(admin.describeProducers(ours(2)).all());
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(uiConsumer())) {
            List<TopicPartition> parts = consumer.partitionsFor(topic).stream()
                .map(info -> new TopicPartition(topic, info.partition())).collect(Collectors.toList());
            begins(consumer, parts);
            Map<TopicPartition, Long> ends = consumer.endOffsets(parts);
            consumer.assign(parts);
            consumer.beginningOffsets(parts).forEach(consumer::seek);
            int count = 0;
            while (parts.stream().anyMatch(part -> ends.get(part) > consumer.position(part)))
                count += consumer.poll(Duration.ofSeconds(3)).count();
            expect("records", count, 20);
        }
    }

    /* One page of a range in each partition; what has been read to its end is paused. */
    private void uiReads(boolean newest) throws Exception {
        get(admin.describeTopics(List.of(topic)).topicNameValues().get(topic));
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(uiConsumer())) {
            List<TopicPartition> parts = ours(2);
            Map<TopicPartition, Long> from = begins(consumer, parts), to = consumer.endOffsets(parts);
            if (newest)
                to.forEach((part, end) -> from.put(part, Math.max(from.get(part), end - 5)));
            consumer.assign(parts);
            from.forEach(consumer::seek);
            Set<TopicPartition> paused = new HashSet<>();
            int count = 0;
            while (paused.size() < parts.size()) {
                count += consumer.poll(Duration.ofSeconds(1)).count();
                for (TopicPartition part : parts)
                    if (consumer.position(part) >= to.get(part) && paused.add(part))
                        consumer.pause(List.of(part));
            }
            consumer.resume(paused);
            expect("records", count, newest ? 10 : 20);
        }
    }

    private void uiTails() throws Exception {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(uiConsumer())) {
            consumer.assign(ours(2));
            consumer.endOffsets(ours(2)).forEach(consumer::seek);
            expect("nothing yet", consumer.poll(Duration.ofMillis(100)).count(), 0);
            produce(1, null, "live".getBytes());
            int count = 0;
            for (int i = 0; i < 20 && count == 0; i++)
                count = consumer.poll(Duration.ofSeconds(1)).count();
            expect("the new record", count, 1);
        }
    }

    private void uiGroups() throws Exception {
        get(admin.alterConsumerGroupOffsets(group, all(ours(2), new OffsetAndMetadata(3))).all());
        expect("is listed", groups().contains(group), true);
        ConsumerGroupDescription described = get(admin.describeConsumerGroups(List.of(group)).all()).get(group);
        expect("members", described.members().size(), 0);
        List<TopicPartition> parts = ours(2);
        get(admin.listOffsets(all(parts, OffsetSpec.earliest())).all());
        get(admin.listOffsets(all(parts, OffsetSpec.latest())).all());
        Map<TopicPartition, ListOffsetsResult.ListOffsetsResultInfo> first =
            get(admin.listOffsets(all(parts, OffsetSpec.forTimestamp(0))).all());
        get(admin.alterConsumerGroupOffsets(group, first.entrySet().stream().collect(Collectors.toMap(Map.Entry::getKey,
            entry -> new OffsetAndMetadata(entry.getValue().offset())))).all());
        Map<TopicPartition, OffsetAndMetadata> committed = get(admin.listConsumerGroupOffsets(
            Map.of(group, new ListConsumerGroupOffsetsSpec().topicPartitions(null))).all()).get(group);
        expect("committed", committed, all(parts, new OffsetAndMetadata(0)));
        get(admin.deleteConsumerGroupOffsets(group, Set.of(parts.get(0))).all());
        get(admin.deleteConsumerGroups(List.of(group)).all());
        expect("is listed", groups().contains(group), false);
    }

    private void uiPartitions() throws Exception {
        get(admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(3))).all());
        get(admin.alterPartitionReassignments(Map.of(new TopicPartition(topic, 2),
            Optional.of(new NewPartitionReassignment(List.of(node))))).all());
    }

    private void uiRules() throws Exception {
        expect("no access rules", noAccessRules(), true);
        get(admin.describeClientQuotas(ClientQuotaFilter.all()).entities());
        get(admin.alterClientQuotas(List.of(new ClientQuotaAlteration(new ClientQuotaEntity(Map.of("user", group)),
            List.of(new ClientQuotaAlteration.Op("producer_byte_rate", null))))).all());
    }

    private void uiDeletes() throws Exception {
        Map<TopicPartition, RecordsToDelete> ends = get(admin.listOffsets(all(ours(3), OffsetSpec.latest())).all())
            .entrySet().stream().filter(entry -> entry.getValue().offset() > 0).collect(Collectors.toMap(
                Map.Entry::getKey, entry -> RecordsToDelete.beforeOffset(entry.getValue().offset())));
        get(admin.deleteRecords(ends).all());
        get(admin.deleteTopics(List.of(topic)).all());
        expect("is listed", get(admin.listTopics().names()).contains(topic), false);
    }

    /* -- AKHQ ----------------------------------------------------------------------------------------------------- */

    private void akhq() {
        page("nodes", () -> {
            cluster(false);
            get(admin.describeLogDirs(nodeIds()).allDescriptions());
        });
        page("node settings", () -> replaceSettings(resource(ConfigResource.Type.BROKER, node), "log.cleaner.threads", "1"));
        page("new topic", () -> get(admin.createTopics(Set.of(new NewTopic(topic, 2, (short) 1)
            .configs(Map.of("cleanup.policy", "compact,delete", "retention.ms", "86400000")))).all()));
        page("produce", () -> {
            for (int i = 0; i < 20; i++)
                produce(i % 2, ("k" + i).getBytes(), ("v" + i).getBytes());
        });
        page("topics", this::akhqTopics);
        page("topic settings", () -> replaceSettings(resource(ConfigResource.Type.TOPIC, topic), "retention.ms", "7200000"));
        page("data, oldest first", () -> akhqReads(false));
        page("data, newest first", () -> akhqReads(true));
        page("delete record", () -> produce(0, "k0".getBytes(), null));
        page("update offsets", this::akhqUpdatesOffsets);
        page("groups", this::akhqGroups);
        page("access rules", () -> expect("no access rules", noAccessRules(), true));
        page("more partitions", () -> get(admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(4))).all()));
        page("empty topic", this::akhqEmpties);
        page("delete group", this::akhqDeletesGroup);
        page("delete topic", () -> get(admin.deleteTopics(Set.of(topic)).all()));
    }

    /* With AlterConfigs, which replaces everything that is set: it first reads what there is. */
    @SuppressWarnings("deprecation")
    private void replaceSettings(ConfigResource of, String name, String value) throws Exception {
        List<ConfigEntry> entries = settingsOf(of).entries().stream()
            .filter(entry -> entry.source().name().startsWith("DYNAMIC_") && !entry.name().equals(name))
            .map(entry -> new ConfigEntry(entry.name(), entry.value())).collect(Collectors.toList());
        entries.add(new ConfigEntry(name, value));
        get(admin.alterConfigs(Map.of(of, new Config(entries))).all());
        expect(name, settingsOf(of).get(name).value(), value);
    }

    private Map<String, Object> akhqConsumer() {
        return Map.of("isolation.level", "read_committed", "default.api.timeout.ms", "15000", "max.poll.records", 50);
    }

    private void akhqTopics() throws Exception {
        List<String> names = get(admin.listTopics(new ListTopicsOptions().listInternal(true)).listings()).stream()
            .map(TopicListing::name).collect(Collectors.toList());
        List<TopicPartition> parts = parts(get(admin.describeTopics(names).allTopicNames()).values());
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(akhqConsumer())) {
            consumer.offsetsForTimes(all(parts, 0L));
            expect("end", consumer.endOffsets(parts).get(new TopicPartition(topic, 1)), 10L);
            consumer.assign(ours(2));
            consumer.endOffsets(consumer.assignment()).forEach((part, end) -> consumer.seek(part, Math.max(0, end - 2)));
            expect("last records", count(consumer, 4), 4);
        }
        get(admin.describeLogDirs(nodeIds()).allDescriptions());
        get(admin.describeConsumerGroups(groups()).all());
    }

    private int count(KafkaConsumer<byte[], byte[]> consumer, int wanted) {
        int count = 0;
        for (int i = 0; i < 20 && count < wanted; i++)
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(1000)))
                count += record.topic().equals(topic) ? 1 : 0;
        return count;
    }

    private void akhqReads(boolean newest) throws Exception {
        get(admin.describeTopics(List.of(topic)).allTopicNames());
        for (TopicPartition part : ours(2))
            try (KafkaConsumer<byte[], byte[]> consumer = consumer(akhqConsumer())) {
                long begin = consumer.offsetsForTimes(Map.of(part, 0L)).get(part).offset();
                long end = consumer.endOffsets(List.of(part)).get(part);
                consumer.assign(List.of(part));
                consumer.seek(part, newest ? Math.max(begin, end - 5) : begin);
                expect("records of " + part, count(consumer, newest ? 5 : 10), newest ? 5 : 10);
            }
    }

    private void akhqUpdatesOffsets() {
        Map<String, Object> settings = new HashMap<>(akhqConsumer());
        settings.put("group.id", group);
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(settings)) {
            consumer.commitSync(all(ours(2), new OffsetAndMetadata(4)));
        }
    }

    private void akhqGroups() throws Exception {
        expect("is listed", groups().contains(group), true);
        get(admin.describeConsumerGroups(List.of(group)).all());
        expect("committed", get(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata()),
            all(ours(2), new OffsetAndMetadata(4)));
    }

    private void akhqEmpties() throws Exception {
        get(admin.deleteRecords(Map.of(new TopicPartition(topic, 1), RecordsToDelete.beforeOffset(10))).all());
    }

    private void akhqDeletesGroup() throws Exception {
        get(admin.deleteConsumerGroupOffsets(group, Set.copyOf(ours(2))).all());
        if (groups().contains(group))
            get(admin.deleteConsumerGroups(Set.of(group)).all());
    }
}
