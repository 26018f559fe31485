/*
 * Prints golden_kafka.h: bytes that Apache Kafka's own code writes, for the unit tests of this folder. Run once per
 * change of the wanted cases, with the jars that tests/e2e/java/pom.xml names:
 *
 *   java -cp 'build-java/jars/*' tests/unit/store/GoldenStore.java > tests/unit/store/golden_kafka.h
 */
import java.io.File;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.*;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.storage.internals.checkpoint.LeaderEpochCheckpointFile;
import org.apache.kafka.storage.internals.log.*;

public class GoldenStore {
    static final StringBuilder out = new StringBuilder();

    static void print(String name, byte[] bytes) {
        out.append("\nstatic const uint8_t ").append(name).append("[").append(bytes.length).append("] = {");
        for (int i = 0; i < bytes.length; i++)
            out.append(i % 20 == 0 ? "\n    " : " ").append(String.format("0x%02x,", bytes[i] & 0xff));
        out.append("\n};\n");
    }

    static byte[] bytes(MemoryRecords records) {
        ByteBuffer buffer = records.buffer().duplicate();
        byte[] copy = new byte[buffer.remaining()];
        buffer.get(copy);
        return copy;
    }

    static byte[] text(String s) {
        return s.getBytes(StandardCharsets.UTF_8);
    }

    static SimpleRecord[] three() {
        Header[] headers = { new RecordHeader("trace", text("abc")), new RecordHeader("none", null) };
        return new SimpleRecord[] {
            new SimpleRecord(1700000000000L, text("key-0"), text("value-0")),
            new SimpleRecord(1700000000005L, null, text("value-1"), headers),
            new SimpleRecord(1699999999990L, text("key-2"), (byte[]) null),
        };
    }

    /* What the builder of this project can say: no headers. */
    static SimpleRecord[] bare() {
        return new SimpleRecord[] {
            new SimpleRecord(1700000000000L, text("key-0"), text("value-0")),
            new SimpleRecord(1700000000300L, null, text("")),
            new SimpleRecord(1699999999990L, text("key-2"), (byte[]) null),
        };
    }

    static byte[] appendTime() {
        MemoryRecordsBuilder builder = MemoryRecords.builder(ByteBuffer.allocate(1024), RecordBatch.MAGIC_VALUE_V2,
            Compression.NONE, TimestampType.LOG_APPEND_TIME, 100L, 1700000000777L);
        for (SimpleRecord record : three())
            builder.append(record);
        return bytes(builder.build());
    }

    /* 40,000 bytes that compress and are easy to make again: two chunks of snappy's framing. */
    static byte[] large() {
        byte[] value = new byte[40000];
        for (int i = 0; i < value.length; i++)
            value[i] = (byte) ('a' + (i / 1000) % 26);
        return value;
    }

    static void batches() {
        print("golden_plain", bytes(MemoryRecords.withRecords(Compression.NONE, three())));
        print("golden_gzip", bytes(MemoryRecords.withRecords(Compression.gzip().build(), three())));
        print("golden_snappy", bytes(MemoryRecords.withRecords(Compression.snappy().build(), three())));
        print("golden_lz4", bytes(MemoryRecords.withRecords(Compression.lz4().build(), three())));
        print("golden_zstd", bytes(MemoryRecords.withRecords(Compression.zstd().build(), three())));
        print("golden_zstd_22", bytes(MemoryRecords.withRecords(Compression.zstd().level(22).build(), three())));
        SimpleRecord big = new SimpleRecord(1700000000000L, null, large());
        print("golden_snappy_large", bytes(MemoryRecords.withRecords(Compression.snappy().build(), big)));
        print("golden_lz4_large", bytes(MemoryRecords.withRecords(Compression.lz4().build(), big)));
        print("golden_idempotent", bytes(MemoryRecords.withIdempotentRecords(RecordBatch.MAGIC_VALUE_V2, 0L,
            Compression.NONE, 4711L, (short) 3, 2147483646, 7, three())));
        print("golden_built", bytes(MemoryRecords.withIdempotentRecords(RecordBatch.MAGIC_VALUE_V2, 5000000000L,
            Compression.NONE, 4711L, (short) 3, 100, 7, bare())));
        print("golden_append_time", appendTime());
        print("golden_transactional", bytes(MemoryRecords.withTransactionalRecords(RecordBatch.MAGIC_VALUE_V2, 40L,
            Compression.NONE, 4711L, (short) 3, 0, 7, three())));
        print("golden_commit", bytes(MemoryRecords.withEndTransactionMarker(43L, 1700000000100L, 7, 4711L, (short) 3,
            new EndTransactionMarker(ControlRecordType.COMMIT, 9))));
    }

    /* One entry per 100 bytes of batches; timestamps go up and down. */
    static void indexes(File dir) throws Exception {
        LogConfig config = new LogConfig(Map.of("index.interval.bytes", 100, "segment.index.bytes", 1 << 20));
        LogSegment segment = LogSegment.open(dir, 1000L, config, Time.SYSTEM, 1 << 20, false);
        long[] steps = { 0, 10, 5, 30, 20, 20, 31, 50, 40, 60 };
        for (int i = 0; i < steps.length; i++) {
            long base = 1000L + 2L * i;
            long timestamp = 1700000000000L + steps[i];
            segment.append(base + 1, MemoryRecords.withRecords(base, Compression.NONE,
                new SimpleRecord(timestamp - 1, null, text("a")), new SimpleRecord(timestamp, null, text("b"))));
        }
        segment.onBecomeInactiveSegment();
        segment.close();
        print("golden_segment_log", Files.readAllBytes(new File(dir, "00000000000000001000.log").toPath()));
        print("golden_segment_index", Files.readAllBytes(new File(dir, "00000000000000001000.index").toPath()));
        print("golden_segment_timeindex", Files.readAllBytes(new File(dir, "00000000000000001000.timeindex").toPath()));
    }

    static ProducerStateEntry producer(long id, int epoch, int coordinatorEpoch, int lastSequence, long first,
                                       long last, long timestamp, boolean transactional) {
        ProducerStateEntry empty =
            new ProducerStateEntry(id, (short) -1, coordinatorEpoch, -1L, OptionalLong.empty());
        ProducerAppendInfo info = new ProducerAppendInfo(new TopicPartition("t", 0), id, empty,
            AppendOrigin.REPLICATION, null);
        info.appendDataBatch((short) epoch, lastSequence - (int) (last - first), lastSequence, timestamp,
            new LogOffsetMetadata(first), last, transactional);
        return info.toEntry();
    }

    static void snapshot(File dir) throws Exception {
        File file = new File(dir, "00000000000000000100.snapshot");
        Map<Long, ProducerStateEntry> entries = new java.util.LinkedHashMap<>();
        entries.put(4711L, producer(4711L, 3, -1, 41, 90L, 99L, 1700000000000L, false));
        entries.put(12L, producer(12L, 0, 8, 4, 60L, 64L, 1700000000050L, true));
        entries.put(77L, new ProducerStateEntry(77L, (short) 5, 2, 1700000000060L, OptionalLong.empty()));
        ProducerStateManager.writeSnapshot(file, entries, false);
        print("golden_snapshot", Files.readAllBytes(file.toPath()));
    }

    static void epochs(File dir) throws Exception {
        File file = new File(dir, "leader-epoch-checkpoint");
        LeaderEpochCheckpointFile checkpoint = new LeaderEpochCheckpointFile(file, null);
        checkpoint.write(List.of(new EpochEntry(0, 0L), new EpochEntry(2, 17L), new EpochEntry(5, 9000000000L)));
        print("golden_epochs", Files.readAllBytes(file.toPath()));
    }

    public static void main(String[] args) throws Exception {
        File dir = Files.createTempDirectory("golden").toFile();
        File partition = new File(dir, "t-0");
        partition.mkdir();
        out.append("/* Bytes that Apache Kafka 4.3.1 writes; made by GoldenStore.java. */\n#pragma once\n#include <stdint.h>\n");
        batches();
        indexes(partition);
        snapshot(partition);
        epochs(partition);
        System.out.print(out);
    }
}
