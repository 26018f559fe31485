#include "harness.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/crc32c.h"
#include "base/prng.h"
#include "wire/frame.h"

#define PATIENCE_NS   (UINT64_C(20) * 1000000000)
#define TURNS_PATIENT 2000

/* -- what the surrounding program gives ---------------------------------------------------------------------------- */

static void line_write(void *context, enum odk_diag_level level, const char *line)
{
    struct harness *harness = context;
    (void)level;
    int len = snprintf(harness->lines + harness->lines_len, HARNESS_LINES_BYTES - harness->lines_len, "%s\n", line);
    harness->lines_len = MIN(harness->lines_len + (size_t)len, (size_t)HARNESS_LINES_BYTES - 1);
}

static void task_post(void *context, uint32_t shard, struct task *task)
{
    struct harness_shard *from = context;
    struct harness_shard *to = &from->harness->shards[shard];
    task->next = NULL;
    *to->inbox_end = task;
    to->inbox_end = &task->next;
}

static void random_fill(void *context, void *dst, size_t len)
{
    struct harness_shard *shard = context;
    struct prng prng = { .state = shard->harness->random };
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)dst)[i] = (uint8_t)prng_next(&prng);
    shard->harness->random = prng.state;
}

/* -- turning ------------------------------------------------------------------------------------------------------ */

static void shard_turn(struct harness_shard *shard)
{
    struct odk_io *io = shard->io;
    broker_tick(shard->broker, io->ops->mono_ns(io), shard->harness->wall_ms);
    io->ops->run(io, 0);
    struct task *task = shard->inbox;
    shard->inbox = NULL;
    shard->inbox_end = &shard->inbox;
    while (task) {
        struct task *next = task->next;
        task->run(task, shard->broker);
        task = next;
    }
    timers_fire(&shard->timers, io->ops->mono_ns(io));
    broker_flush(shard->broker);
    (void)odk_store_tick(shard->store, io->ops->mono_ns(io));
}

void harness_turn(struct harness *harness)
{
    for (uint32_t i = 0; i < harness->shard_count; i++)
        shard_turn(&harness->shards[i]);
}

static void turn_until(struct harness *harness, const bool *ready)
{
    struct odk_io *io = harness->shards[0].io;
    uint64_t end_ns = io->ops->mono_ns(io) + PATIENCE_NS;
    while (!*ready) { /* in turns that would be a matter of how fast the machine is */
        assert_true(io->ops->mono_ns(io) < end_ns);
        harness_turn(harness);
    }
}

/* -- life --------------------------------------------------------------------------------------------------------- */

struct waiting {
    bool ready;
    enum odk_err err;
};

static void waiting_on_done(void *context, enum odk_err err)
{
    struct waiting *waiting = context;
    waiting->ready = true;
    waiting->err = err;
}

static void shard_open(struct harness *harness, uint32_t number)
{
    struct harness_shard *shard = &harness->shards[number];
    char why[256] = "";
    *shard = (struct harness_shard){ .harness = harness };
    shard->inbox_end = &shard->inbox;
    assert_int_equal(odk_io_open(&(struct odk_io_options){ .kind = ODK_IO_POSIX }, &shard->io, why, sizeof(why)),
                     ODK_OK);
    if (number == 0)
        assert_int_equal(odk_boot_open(&(struct odk_boot_options){ .dir = harness->dir,
                                                                   .io = shard->io,
                                                                   .diag = &harness->diag,
                                                                   .node_id = harness->config.node_id },
                                       &harness->boot),
                         ODK_OK);
    struct odk_store_options options = { .boot = harness->boot,
                                         .io = shard->io,
                                         .diag = &harness->diag,
                                         .shard = number,
                                         .shard_count = harness->shard_count,
                                         .journal_bytes_max = MIB(64),
                                         .tail_bytes_max = MIB(16),
                                         .journal_file_bytes = (uint32_t)MIB(4) };
    assert_int_equal(odk_store_open(&options, &shard->store), ODK_OK);
    struct broker_env env = { .context = shard,
                              .post = task_post,
                              .random = random_fill,
                              .diag = &harness->diag,
                              .timers = &shard->timers,
                              .config = &harness->config,
                              .shard = number,
                              .shard_count = harness->shard_count };
    odk_boot_info(harness->boot, &env.identity);
    shard->broker = broker_new(&env, shard->store);
    broker_tick(shard->broker, shard->io->ops->mono_ns(shard->io), harness->wall_ms);
}

static void harness_open(struct harness *harness)
{
    struct waiting waiting = { 0 };
    for (uint32_t i = 0; i < harness->shard_count; i++)
        shard_open(harness, i);
    broker_start(harness->shards[0].broker, waiting_on_done, &waiting);
    turn_until(harness, &waiting.ready);
    assert_int_equal(waiting.err, ODK_OK);
}

enum stop { STOP_CLEAN, STOP_CRASH };

static void harness_close(struct harness *harness, enum stop stop)
{
    for (uint32_t i = 0; i < harness->shard_count && stop == STOP_CLEAN; i++) {
        struct waiting waiting = { 0 };
        odk_store_close(harness->shards[i].store, waiting_on_done, &waiting);
        turn_until(harness, &waiting.ready);
        assert_int_equal(waiting.err, ODK_OK);
    }
    for (uint32_t i = 0; i < harness->shard_count; i++) {
        struct harness_shard *shard = &harness->shards[i];
        broker_free(shard->broker);
        odk_store_free(shard->store);
        timers_deinit(&shard->timers);
    }
    enum odk_err err = odk_boot_close(harness->boot, stop == STOP_CLEAN);
    assert_int_equal(err, ODK_OK);
    for (uint32_t i = 0; i < harness->shard_count; i++)
        harness->shards[i].io->ops->free(harness->shards[i].io);
}

void harness_restart(struct harness *harness)
{
    harness_close(harness, STOP_CLEAN);
    harness_open(harness);
}

void harness_crash(struct harness *harness)
{
    harness_close(harness, STOP_CRASH);
    harness_open(harness);
}

void harness_edit(struct harness *harness, void (*edit)(const struct harness *harness, void *context), void *context)
{
    harness_close(harness, STOP_CLEAN);
    edit(harness, context);
    harness_open(harness);
}

void harness_reshard(struct harness *harness, uint32_t shard_count)
{
    harness_close(harness, STOP_CLEAN);
    harness->shard_count = shard_count;
    harness_open(harness);
}

struct harness *harness_new(uint32_t shard_count, const char *settings)
{
    struct harness *harness = xcalloc(1, sizeof(*harness));
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(harness->dir, sizeof(harness->dir), "%s/odk-broker-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(harness->dir));
    harness->shard_count = shard_count;
    harness->wall_ms = 1700000000000;
    harness->random = 42;
    harness->diag = (struct odk_diag){ .write = line_write, .context = harness };
    harness->peer = (struct request_peer){ .client_host = "127.0.0.1", .listener = "PLAINTEXT" };
    assert_int_equal(odk_addr_parse("127.0.0.1:9092", &harness->peer.local), ODK_OK);
    broker_config_init(&harness->config);
    struct config_why why;
    if (settings)
        assert_int_equal(
            broker_config_load(&harness->config, odk_str_from(settings), CONFIG_FROM_FILE, &harness->diag, &why),
            ODK_OK);
    harness_open(harness);
    return harness;
}

static int entry_remove(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info;
    (void)type;
    (void)ftw;
    return remove(path);
}

void harness_free(struct harness *harness)
{
    harness_close(harness, STOP_CLEAN);
    assert_int_equal(nftw(harness->dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
    broker_config_deinit(&harness->config);
    arena_deinit(&harness->arena);
    free(harness);
}

void harness_forget(struct harness *harness)
{
    arena_reset(&harness->arena);
}

/* -- requests ----------------------------------------------------------------------------------------------------- */

static void call_on_done(struct request *request, enum request_end end)
{
    struct call *call = container_of(request, struct call, request);
    assert_false(call->ended);
    call->ended = true;
    call->end = end;
}

static uint8_t *out_flatten(struct out *out, size_t *ret_len)
{
    const struct iovec *parts;
    uint32_t count;
    assert_true(out_iov(out, &parts, &count));
    size_t len = 0, pos = 0;
    for (uint32_t i = 0; i < count; i++)
        len += parts[i].iov_len;
    uint8_t *bytes = xcalloc(len + 1, 1);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(bytes + pos, parts[i].iov_base, parts[i].iov_len);
        pos += parts[i].iov_len;
    }
    *ret_len = len;
    return bytes;
}

static struct call *frame_send(struct harness *harness, uint32_t shard, const void *frame, size_t len)
{
    struct call *call = xcalloc(1, sizeof(*call));
    call->harness = harness;
    call->shard = shard;
    call->frame = xcalloc(len + 1, 1);
    memcpy(call->frame, frame, len);
    request_init(&call->request, call->frame, len, &harness->peer, call_on_done);
    broker_request(harness->shards[shard].broker, &call->request);
    return call;
}

struct call *call_begin(struct harness *harness, uint32_t shard, int16_t key, int16_t version, const void *request)
{
    struct arena arena = { 0 };
    struct out out;
    size_t len;
    struct request_header header = {
        .key = key, .version = version, .correlation_id = 77, .client_id = ODK_STR("unit")
    };
    out_init(&out, &arena);
    request_begin(&out, &header);
    assert_true(wire_apis[key].request->encode(request, &out, version));
    assert_true(request_end(&out));
    uint8_t *frame = out_flatten(&out, &len);
    struct call *call = frame_send(harness, shard, frame + FRAME_LENGTH_BYTES, len - FRAME_LENGTH_BYTES);
    call->key = key;
    call->version = version;
    free(frame);
    arena_deinit(&arena);
    return call;
}

static void call_free(struct call *call)
{
    request_release(&call->request);
    request_deinit(&call->request);
    free(call->frame);
    free(call);
}

enum request_end call_end(struct call *call, void *response)
{
    struct harness *harness = call->harness;
    turn_until(harness, &call->ended);
    enum request_end end = call->end;
    if (end == REQUEST_REPLY) {
        size_t len;
        int32_t correlation_id = 0;
        uint8_t *frame = out_flatten(&call->request.out, &len);
        uint8_t *kept = arena_new(&harness->arena, uint8_t, len);
        memcpy(kept, frame, len);
        free(frame);
        struct rd r = rd_init(kept, len);
        assert_int_equal(rd_i32(&r), len - FRAME_LENGTH_BYTES);
        assert_true(response_header_decode(&r, call->key, call->version, &correlation_id));
        assert_int_equal(correlation_id, 77);
        assert_true(wire_apis[call->key].response->decode(response, &r, &harness->arena, call->version));
        assert_int_equal(rd_left(&r), 0);
    }
    call_free(call);
    return end;
}

enum request_end harness_call(struct harness *harness, uint32_t shard, int16_t key, int16_t version,
                              const void *request, void *response)
{
    return call_end(call_begin(harness, shard, key, version, request), response);
}

enum request_end harness_raw(struct harness *harness, const void *frame, size_t len, uint8_t **ret_reply,
                             size_t *ret_len)
{
    struct call *call = frame_send(harness, 0, frame, len);
    for (int turns = 0; turns < TURNS_PATIENT && !call->ended; turns++)
        harness_turn(harness);
    if (!call->ended) /* a fetch that is content to wait: as when its connection goes */
        broker_cancel(harness->shards[0].broker, &call->request);
    turn_until(harness, &call->ended);
    enum request_end end = call->end;
    if (end == REQUEST_REPLY) {
        size_t reply_len;
        uint8_t *reply = out_flatten(&call->request.out, &reply_len);
        memmove(reply, reply + FRAME_LENGTH_BYTES, reply_len - FRAME_LENGTH_BYTES);
        *ret_reply = reply;
        *ret_len = reply_len - FRAME_LENGTH_BYTES;
    }
    call_free(call);
    return end;
}

/* -- shortcuts ---------------------------------------------------------------------------------------------------- */

void make_topic(struct harness *harness, const char *name, int32_t partitions, const char *settings)
{
    struct create_topics_request_config configs[8];
    struct create_topics_request_topic topic = {
        .name = odk_str_from(name), .num_partitions = partitions, .replication_factor = 1, .configs = configs
    };
    struct create_topics_request request = { .topics = &topic, .topics_count = 1, .timeout_ms = 1000 };
    struct create_topics_response response;
    const char *at = settings ? settings : "";
    while (*at != '\0') {
        const char *equals = strchr(at, '=');
        size_t value_len = strcspn(equals + 1, ";");
        configs[topic.configs_count++] =
            (struct create_topics_request_config){ .name = { .data = at, .len = (size_t)(equals - at) },
                                                   .value = { .data = equals + 1, .len = value_len } };
        at = equals + 1 + value_len + (equals[1 + value_len] == ';');
    }
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_CREATE_TOPICS, 7, &request, &response), REQUEST_REPLY);
    assert_int_equal(response.topics_count, 1);
    assert_int_equal(response.topics[0].error_code, KAFKA_NONE);
}

void make_group_topic(struct harness *harness)
{
    struct find_coordinator_request request;
    struct find_coordinator_response response;
    find_coordinator_request_init(&request);
    request.key = ODK_STR("group");
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_FIND_COORDINATOR, 2, &request, &response), REQUEST_REPLY);
    assert_int_equal(response.error_code, KAFKA_NONE);
}

struct topic *harness_topic(struct harness *harness, uint32_t shard, const char *name)
{
    return topics_by_name(&harness->shards[shard].broker->topics, odk_str_from(name));
}

struct odk_bytes make_batch(const struct batch_options *options)
{
    int32_t count = options->count ? options->count : 1;
    struct odk_record_new *records = xcalloc((size_t)count, sizeof(*records));
    uint8_t *value = xcalloc(options->value_bytes + 16, 1);
    memset(value, 'v', options->value_bytes + 16);
    for (int32_t i = 0; i < count; i++) {
        records[i] = (struct odk_record_new){ .timestamp = options->timestamp,
                                              .key = { .data = (const uint8_t *)"k", .len = 1 },
                                              .value = { .data = value, .len = options->value_bytes + 2 } };
        if (options->no_key)
            records[i].key = (struct odk_bytes){ 0 };
    }
    struct odk_batch_new batch = {
        .producer_id = -1, .producer_epoch = -1, .base_sequence = -1, .records = records, .record_count = count
    };
    if (options->idempotent) {
        batch.producer_id = options->producer_id;
        batch.producer_epoch = options->producer_epoch;
        batch.base_sequence = options->base_sequence;
    }
    uint8_t *data;
    size_t len;
    assert_int_equal(odk_batch_build(&batch, &data, &len), ODK_OK);
    free(value);
    free(records);
    return (struct odk_bytes){ .data = data, .len = len };
}

void batch_set_attributes(struct odk_bytes batch, int16_t attributes)
{
    uint8_t *data = (uint8_t *)(uintptr_t)batch.data;
    data[21] = (uint8_t)(attributes >> 8);
    data[22] = (uint8_t)attributes;
    uint32_t crc = crc32c(0, data + 21, batch.len - 21);
    for (int i = 0; i < 4; i++)
        data[17 + i] = (uint8_t)(crc >> (24 - 8 * i));
}

struct produce_response_partition produce(struct harness *harness, int16_t version, const char *topic,
                                          int32_t partition, struct odk_bytes records)
{
    struct iovec part = { .iov_base = (void *)(uintptr_t)records.data, .iov_len = records.len };
    struct produce_request_partition asked = {
        .index = partition, .records = { .parts = &part, .part_count = records.len > 0, .len = records.len }
    };
    struct topic *known = harness_topic(harness, 0, topic);
    struct produce_request_topic data = { .name = odk_str_from(topic),
                                          .partition_data = &asked,
                                          .partition_data_count = 1 };
    if (known)
        data.topic_id = known->id;
    struct produce_request request = { .acks = -1, .timeout_ms = 1000, .topic_data = &data, .topic_data_count = 1 };
    struct produce_response response;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_PRODUCE, version, &request, &response), REQUEST_REPLY);
    assert_int_equal(response.responses_count, 1);
    assert_int_equal(response.responses[0].partition_responses_count, 1);
    free((void *)(uintptr_t)records.data);
    return response.responses[0].partition_responses[0];
}
