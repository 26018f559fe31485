#include "broker/topics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/diag.h"
#include "broker/broker_internal.h"
#include "broker/compaction.h"
#include "broker/group_host.h"
#include "broker/metadata_records.h"
#include "broker/purgatory.h"
#include "broker/retention.h"

struct topic *topics_by_name(const struct topics *topics, struct odk_str name)
{
    struct topic *topic = NULL;
    if (name.data)
        HASH_FIND(by_name, topics->by_name, name.data, name.len, topic);
    return topic;
}

struct topic *topics_by_id(const struct topics *topics, struct odk_uuid id)
{
    struct topic *topic = NULL;
    HASH_FIND(by_id, topics->by_id, id.b, sizeof(id.b), topic);
    return topic;
}

static void plain_print(struct odk_str name, char dst[TOPIC_NAME_BYTES_MAX + 1])
{
    ASSERT(name.len <= TOPIC_NAME_BYTES_MAX);
    for (size_t i = 0; i < name.len; i++)
        dst[i] = name.data[i] == '.' ? '_' : name.data[i];
    dst[name.len] = '\0';
}

struct topic *topics_colliding(const struct topics *topics, struct odk_str name)
{
    char plain[TOPIC_NAME_BYTES_MAX + 1];
    struct topic *topic = NULL;
    plain_print(name, plain);
    HASH_FIND(by_plain, topics->by_plain, plain, name.len, topic);
    return topic;
}

struct partition *topic_partition(struct topic *topic, int32_t index)
{
    return index >= 0 && index < topic->partition_count ? topic->partitions[index] : NULL;
}

struct odk_str topic_name(const struct topic *topic)
{
    return (struct odk_str){ .data = topic->name, .len = topic->by_name.keylen };
}

/* -- names -------------------------------------------------------------------------------------------------------- */

static bool name_char_ok(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
}

const char *topic_name_check(struct odk_str name)
{
    if (name.len == 0)
        return "the topic name is empty";
    if (name.len > TOPIC_NAME_BYTES_MAX)
        return "the topic name is longer than 249 characters";
    if (odk_str_eq(name, ODK_STR(".")) || odk_str_eq(name, ODK_STR("..")))
        return "the topic name cannot be \".\" or \"..\"";
    for (size_t i = 0; i < name.len; i++) {
        if (!name_char_ok(name.data[i]))
            return "a topic name has only ASCII letters, digits, '.', '_' and '-'";
    }
    return NULL;
}

bool topic_names_collide(struct odk_str a, struct odk_str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        char x = a.data[i] == '.' ? '_' : a.data[i];
        char y = b.data[i] == '.' ? '_' : b.data[i];
        if (x != y)
            return false;
    }
    return true;
}

static bool internal_any(struct odk_str name, bool (*same)(struct odk_str a, struct odk_str b))
{
    static const char *const internal[] = { "__consumer_offsets", "__transaction_state", "__share_group_state",
                                            METADATA_TOPIC_NAME, "__cluster_metadata" };
    for (uint32_t i = 0; i < countof(internal); i++) {
        if (same(name, odk_str_from(internal[i])))
            return true;
    }
    return false;
}

bool topic_name_is_internal(struct odk_str name)
{
    return internal_any(name, odk_str_eq);
}

bool topic_name_is_reserved(struct odk_str name)
{
    return internal_any(name, topic_names_collide);
}

static int name_order(struct odk_str a, struct odk_str b)
{
    int order = memcmp(a.data, b.data, MIN(a.len, b.len));
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

struct topic *topics_after(const struct topics *topics, struct odk_str after, bool inclusive)
{
    struct topic *best = NULL;
    for (struct topic *topic = topics->by_name; topic; topic = topic->by_name.next) {
        int order = after.data ? name_order(topic_name(topic), after) : 1;
        if (order < 0 || (order == 0 && !inclusive))
            continue;
        if (!best || name_order(topic_name(topic), topic_name(best)) < 0)
            best = topic;
    }
    return best;
}

/* -- logs of partitions ------------------------------------------------------------------------------------------- */

uint32_t partition_shard(struct odk_str topic, int32_t index, uint32_t shard_count)
{
    char name[TOPIC_NAME_BYTES_MAX + 16];
    int len = snprintf(name, sizeof(name), "%.*s-%d", ODK_STR_FMT(topic), index);
    ASSERT(len > 0 && (size_t)len < sizeof(name));
    return (uint32_t)(XXH3_64bits(name, (size_t)len) % shard_count);
}

void partition_wake(struct partition *partition)
{
    purgatory_wake(&partition->waiters);
}

static void partition_on_moved(void *context)
{
    partition_wake(context);
}

static enum odk_err partition_open(struct broker *broker, struct partition *partition)
{
    const struct topic *topic = partition->topic;
    char name[TOPIC_NAME_BYTES_MAX + 16];
    int len = snprintf(name, sizeof(name), "%s-%d", topic->name, partition->index);
    struct odk_log_spec spec = {
        .name = { .data = name, .len = (size_t)len },
        .id = topic->id,
        .config = topic_config_for_log(&topic->config),
    };
    partition->fault = odk_log_open(broker->store, &spec, &partition->log);
    if (partition->fault != ODK_OK)
        partition->log = NULL;
    return partition->fault;
}

static void partition_serve(struct broker *broker, struct partition *partition)
{
    enum odk_err err = partition_open(broker, partition);
    if (err == ODK_OK) {
        odk_log_observe(partition->log, partition_on_moved, partition);
        retention_know(broker, partition);
        compaction_know(broker, partition);
    } else {
        DIAG_ERROR(broker->env.diag, "partition %s-%d cannot be opened: %s", partition->topic->name, partition->index,
                   odk_err_text(err));
    }
}

/* Memory for partitions up to count. */
static void partitions_add(struct broker *broker, struct topic *topic, int32_t count)
{
    int32_t first = topic->partition_count;
    struct partition_block *block =
        xcalloc(1, sizeof(*block) + (size_t)(count - first) * sizeof(block->partitions[0]));
    block->next = topic->blocks;
    topic->blocks = block;
    topic->partitions = xrealloc(topic->partitions, (size_t)count * sizeof(struct partition *));
    for (int32_t i = first; i < count; i++) {
        struct partition *partition = &block->partitions[i - first];
        *partition = (struct partition){ .topic = topic, .index = i };
        partition->shard = partition_shard(odk_str_from(topic->name), i, broker->env.shard_count);
        list_init(&partition->waiters);
        topic->partitions[i] = partition;
    }
    topic->partition_count = count;
}

/* Opens the logs of this shard's partitions from first on. */
static void partitions_serve(struct broker *broker, struct topic *topic, int32_t first)
{
    for (int32_t i = first; i < topic->partition_count; i++) {
        if (topic->partitions[i]->shard == broker->env.shard)
            partition_serve(broker, topic->partitions[i]);
    }
}

static struct topic *topic_make(struct broker *broker, const struct topic_new *spec, const struct topic_config *config)
{
    struct topic *topic = xcalloc(1, sizeof(*topic));
    char plain[TOPIC_NAME_BYTES_MAX + 1];
    plain_print(spec->name, plain);
    topic->name = xstrndup(spec->name.data, spec->name.len);
    topic->plain = xstrndup(plain, spec->name.len);
    topic->id = spec->id;
    topic->internal = spec->internal;
    topic_config_copy(&topic->config, config);
    partitions_add(broker, topic, spec->partition_count);
    return topic;
}

void topics_apply_created(struct broker *broker, const struct topic_new *spec)
{
    struct topics *topics = &broker->topics;
    ASSERT(!topics_by_name(topics, spec->name));
    ASSERT(!topics_by_id(topics, spec->id));
    struct topic *topic = topic_make(broker, spec, spec->config);
    partitions_serve(broker, topic, 0);
    HASH_ADD_KEYPTR(by_name, topics->by_name, topic->name, spec->name.len, topic);
    HASH_ADD_KEYPTR(by_plain, topics->by_plain, topic->plain, spec->name.len, topic);
    HASH_ADD(by_id, topics->by_id, id, sizeof(topic->id), topic);
    topics->topic_count++;
    topics->partition_count += (uint32_t)topic->partition_count;
    group_host_topic_changed(broker->groups, topic);
}

/* -- changes ------------------------------------------------------------------------------------------------------ */

void topics_apply_grown(struct broker *broker, struct odk_uuid id, int32_t partition_count)
{
    struct topic *topic = topics_by_id(&broker->topics, id);
    ASSERT(topic);
    int32_t first = topic->partition_count;
    ASSERT(partition_count > first);
    partitions_add(broker, topic, partition_count);
    partitions_serve(broker, topic, first);
    broker->topics.partition_count += (uint32_t)(partition_count - first);
    group_host_topic_changed(broker->groups, topic);
}

/* Tells the logs of this shard what the topic's settings are now. */
static void logs_configure(struct broker *broker, struct topic *topic)
{
    struct odk_log_config config = topic_config_for_log(&topic->config);
    for (int32_t i = 0; i < topic->partition_count; i++) {
        if (topic->partitions[i]->log)
            odk_log_configure(topic->partitions[i]->log, &config);
    }
    group_host_topic_configured(broker->groups, topic);
}

void topics_apply_configured(struct broker *broker, struct odk_uuid id, const struct metadata_setting *settings,
                             uint32_t count)
{
    struct topic *topic = topics_by_id(&broker->topics, id);
    ASSERT(topic);
    topic_config_deinit(&topic->config);
    topic_config_init(&topic->config, broker->env.config);
    for (uint32_t i = 0; i < count; i++) {
        struct config_why why;
        if (topic_config_set(&topic->config, settings[i].key, settings[i].value, &why) != ODK_OK)
            DIAG_WARN(broker->env.diag, "topic %s: setting ignored: %s", topic->name, why.text);
    }
    logs_configure(broker, topic);
}

void topics_refresh(struct broker *broker)
{
    for (struct topic *topic = broker->topics.by_name; topic; topic = topic->by_name.next) {
        config_own_refresh(&topic_config_table, &topic->config, broker->env.config);
        logs_configure(broker, topic);
    }
}

/* -- deletion ----------------------------------------------------------------------------------------------------- */

static void topic_free(struct topic *topic)
{
    topic_config_deinit(&topic->config);
    for (struct partition_block *block = topic->blocks, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    free(topic->partitions);
    free(topic->plain);
    free(topic->name);
    free(topic);
}

/* A topic whose logs are on their way out. The registry has forgotten it. */
struct deletion {
    struct list node; /* broker->deletions */
    struct topic *topic;
    uint32_t left;
    enum odk_err err;
    void (*deleted)(void *context, enum odk_err err);
    void *context;
};

static void deletion_step(struct deletion *deletion)
{
    if (--deletion->left > 0)
        return;
    void (*deleted)(void *, enum odk_err) = deletion->deleted;
    void *context = deletion->context;
    enum odk_err err = deletion->err;
    list_remove(&deletion->node);
    topic_free(deletion->topic);
    free(deletion);
    if (deleted)
        deleted(context, err);
}

static void deletion_on_log_deleted(void *context, enum odk_err err)
{
    struct deletion *deletion = context;
    if (err != ODK_OK)
        deletion->err = err;
    deletion_step(deletion);
}

/* Ends the logs of a topic that is in no registry any more, then frees it. */
static void topic_remove(struct broker *broker, struct topic *topic, void (*deleted)(void *context, enum odk_err err),
                         void *context)
{
    struct deletion *deletion = xcalloc(1, sizeof(*deletion));
    *deletion = (struct deletion){ .topic = topic, .left = 1, .deleted = deleted, .context = context };
    list_push_back(&broker->deletions, &deletion->node);
    for (int32_t i = 0; i < topic->partition_count; i++) {
        struct partition *partition = topic->partitions[i];
        struct odk_log *log = partition->log;
        if (!log)
            continue;
        partition->log = NULL;
        partition->fault = ODK_ERR_CLOSED;
        deletion->left++;
        retention_forget(partition);
        compaction_forget(partition);
        odk_log_observe(log, NULL, NULL);
        partition_wake(partition);
        odk_log_delete(log, deletion_on_log_deleted, deletion);
    }
    deletion_step(deletion);
}

void topics_apply_deleted(struct broker *broker, struct odk_uuid id, void (*deleted)(void *context, enum odk_err err),
                          void *context)
{
    struct topics *topics = &broker->topics;
    struct topic *topic = topics_by_id(topics, id);
    ASSERT(topic);
    HASH_DELETE(by_name, topics->by_name, topic);
    HASH_DELETE(by_plain, topics->by_plain, topic);
    HASH_DELETE(by_id, topics->by_id, topic);
    topics->topic_count--;
    topics->partition_count -= (uint32_t)topic->partition_count;
    group_host_topic_gone(broker->groups, topic);
    topic_remove(broker, topic, deleted, context);
}

void topics_apply_swept(struct broker *broker, const struct topic_new *spec,
                        void (*deleted)(void *context, enum odk_err err), void *context)
{
    struct topic_config config;
    topic_config_init(&config, broker->env.config);
    struct topic *topic = topic_make(broker, spec, &config);
    for (int32_t i = 0; i < topic->partition_count; i++) {
        /* A folder that belongs to somebody else by now, or is damaged, stays. */
        if (topic->partitions[i]->shard == broker->env.shard)
            (void)partition_open(broker, topic->partitions[i]);
    }
    topic_remove(broker, topic, deleted, context);
}

void topics_deinit(struct broker *broker)
{
    struct topics *topics = &broker->topics;
    struct topic *topic, *next;
    HASH_ITER(by_name, topics->by_name, topic, next)
    {
        HASH_DELETE(by_name, topics->by_name, topic);
        HASH_DELETE(by_plain, topics->by_plain, topic);
        HASH_DELETE(by_id, topics->by_id, topic);
        topic_free(topic);
    }
    while (!list_empty(&broker->deletions)) { /* the store will not call back any more */
        struct deletion *deletion = list_entry(list_pop_front(&broker->deletions), struct deletion, node);
        topic_free(deletion->topic);
        free(deletion);
    }
    *topics = (struct topics){ 0 };
}
