/*
 * Damaged records of groups: they are refused, or what is read can be used, written and read again to the same.
 *
 * An input is a log: for each record the lengths of key and value in two bytes (0xffff for no value), then both.
 */
#include "mutate.h"
#include "unit/coordinator/kit.h"

#define NO_VALUE 0xffffu
#define LOG_MAX  65536u

static struct odk_bytes part(const uint8_t *data, size_t left, size_t len)
{
    return (struct odk_bytes){ data, MIN(left, len) };
}

/* False: a record was refused. */
static bool replayed(struct groups *groups, const uint8_t *data, size_t len)
{
    for (size_t at = 0; at + 4 <= len;) {
        size_t key_len = (size_t)data[at] << 8 | data[at + 1], value_len = (size_t)data[at + 2] << 8 | data[at + 3];
        bool gone = value_len == NO_VALUE;
        at += 4;
        struct odk_bytes key = part(data + at, len - at, key_len);
        at += key.len;
        struct odk_bytes value = gone ? (struct odk_bytes){ 0 } : part(data + at, len - at, value_len);
        at += value.len;
        enum odk_err err = groups_replay(groups, key, value);
        ASSERT(err == ODK_OK || err == ODK_ERR_CORRUPT || err == ODK_ERR_VERSION);
        if (err != ODK_OK)
            return false;
    }
    return true;
}

static void ask_around(struct rig *rig)
{
    struct list_groups_request list = { 0 };
    rig_call_free(rig_call(rig, GROUP_CALL_LIST, 5, &list));
    static const char *const names[] = { "g", "h", "m" };
    for (size_t i = 0; i < countof(names); i++) {
        struct odk_str id = odk_str_from(names[i]);
        struct offset_fetch_request_group fetch = { .group_id = id, .member_epoch = -1, .topics_count = -1 };
        rig_call_free(rig_call(rig, GROUP_CALL_FETCH, 8, &fetch));
        rig_call_free(rig_call(rig, GROUP_CALL_DESCRIBE, 6, &id));
        rig_call_free(rig_call(rig, GROUP_CALL_CONSUMER_DESCRIBE, 1, &id));
        (void)kit_commit(rig, 9, names[i], "", -1, "t", 0, 5);
        rig_call_free(kit_join(rig, 3, names[i], "", NULL, "x"));
    }
    rig_advance(rig, 700000); /* sessions end, offsets expire */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct rig rig;
    rig_init(&rig);
    rig.prng.state = 99; /* other ids than those in the log */
    rig_topic(&rig, "t", 4);
    groups_free(rig.groups);
    rig.groups = rig_groups(&rig);
    if (replayed(rig.groups, data, len)) {
        (void)groups_fact_count(rig.groups); /* as a host does before it lets them go */
        groups_loaded(rig.groups);
        rig_compact(&rig); /* the log is what the groups say that it is */
        ASSERT(rig_replays(&rig));
        ask_around(&rig);
        ASSERT(rig_replays(&rig));
    }
    rig_deinit(&rig);
    return 0;
}

#ifndef ODK_LIBFUZZER
static void modern_member(struct rig *rig)
{
    struct odk_str topic = ODK_STR("t");
    struct consumer_group_heartbeat_request request = { .group_id = ODK_STR("m"),
                                                        .member_id = ODK_STR("AAAAAAAAAAAAAAAAAAAAAA"),
                                                        .rebalance_timeout_ms = 60000,
                                                        .subscribed_topic_names = &topic,
                                                        .subscribed_topic_names_count = 1 };
    rig_call_free(rig_call(rig, GROUP_CALL_CONSUMER_HEARTBEAT, 1, &request));
}

/* The log of a few groups of all kinds, one member of each. */
static struct odk_bytes log_make(uint8_t *dst)
{
    struct rig rig;
    size_t len = 0;
    rig_init(&rig);
    rig_topic(&rig, "t", 4);
    (void)kit_alone(&rig, "g", NULL, "x");
    struct kit_member s = kit_alone(&rig, "h", "instance", "x");
    (void)kit_commit(&rig, 9, "h", s.id, 1, "t", 1, 77);
    (void)kit_leave(&rig, "h", s.id, NULL);
    modern_member(&rig);
    for (size_t i = 0; i < rig.log.count; i++) {
        const struct rig_record *record = &rig.log.records[i];
        size_t value_len = record->value ? record->value_len : 0;
        size_t said = record->value ? value_len : NO_VALUE;
        ASSERT(len + 4 + record->key_len + value_len <= LOG_MAX);
        dst[len++] = (uint8_t)(record->key_len >> 8);
        dst[len++] = (uint8_t)record->key_len;
        dst[len++] = (uint8_t)(said >> 8);
        dst[len++] = (uint8_t)said;
        memcpy(dst + len, record->key, record->key_len);
        len += record->key_len;
        if (value_len > 0)
            memcpy(dst + len, record->value, value_len);
        len += value_len;
    }
    rig_deinit(&rig);
    return (struct odk_bytes){ dst, len };
}

int main(int argc, char **argv)
{
    static uint8_t room[LOG_MAX];
    const struct odk_bytes corpus[] = { log_make(room) };
    return fuzz_main(argc, argv, corpus, countof(corpus), NULL);
}
#endif
