/*
 * The admin: topics come, grow and go, beginnings of logs are deleted, settings are altered and described, all topics are listed, offsets are looked up.
 * One request at a time.
 */
#include "broker_fleet.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/units.h"
#include "wire/messages.h"

enum { OFFSET_LATEST = -1, OFFSET_EARLIEST = -2, OFFSET_MAX_TIME = -3 };

/* One of each kind of thing that has settings. The keys have no effect, whatever their value. */
static const struct {
    int8_t type, source; /* the protocol's numbers */
    const char *name, *key;
} targets[] = {
    { 2, 1, "l-0", "flush.ms" },
    { 2, 1, "l-1", "flush.ms" },
    { 4, 3, "", "log.flush.interval.ms" },
    { 32, 8, "group", "errors.deadletterqueue.topic.name" },
};

struct admin {
    struct actor actor;
    struct model_setting settings[countof(targets)];
    /* of the request in the air */
    uint32_t target;
    uint64_t value;
    struct model_topic *growing;
    int32_t part_count;
    int32_t asked_before;
    uint32_t short_name;
    struct model_topic *doomed;
    bool doomed_before;
    struct model_part *part;
    int64_t wanted;
    int64_t end_known;
    int64_t start_known;
};

static struct admin *admin_of(struct actor *actor)
{
    return container_of(actor, struct admin, actor);
}

static void ask(struct admin *admin, enum fleet_key key, int16_t least, const void *message, uint64_t now_ns)
{
    struct actor *actor = &admin->actor;
    int16_t version = kclient_version(&actor->client, (int16_t)key, least, INT16_MAX);
    if (version < 0) {
        violation_set(actor->fleet->violation, "no common version of api %d", key);
        return;
    }
    actor->asking = true;
    kclient_send(&actor->client, (int16_t)key, version, message, KCLIENT_ANSWER, NULL, now_ns);
}

/* -- CreateTopics ---------------------------------------------------------------------------------------------------
 */

static void create(struct admin *admin, uint64_t now_ns)
{
    struct prng *rng = &admin->actor.rng;
    struct create_topics_request request;
    struct create_topics_request_topic topic;
    struct create_topics_request_config config = { .name = ODK_STR("segment.bytes") };
    char name[16], value[16];
    admin->short_name = (uint32_t)prng_below(rng, SHORT_NAMES);
    (void)snprintf(name, sizeof(name), "s-%u", admin->short_name);
    (void)snprintf(value, sizeof(value), "%u", (unsigned)(KIB(16) << prng_below(rng, 3)));
    const struct model_topic *known = model_topic_named(&admin->actor.fleet->model, name);
    if (known && known->state == TOPIC_LIVE)
        return;
    create_topics_request_init(&request);
    create_topics_request_topic_init(&topic);
    config.value = odk_str_from(value);
    topic.name = odk_str_from(name);
    topic.num_partitions = (int32_t)prng_between(rng, 1, 3);
    topic.replication_factor = 1;
    topic.configs = &config;
    topic.configs_count = 1;
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = 30000;
    ask(admin, KEY_CREATE_TOPICS, 0, &request, now_ns);
}

static void created(struct admin *admin, const struct kcall *call, const struct create_topics_response *reply)
{
    struct fleet *fleet = admin->actor.fleet;
    char name[16];
    (void)snprintf(name, sizeof(name), "s-%u", admin->short_name);
    if (reply->topics_count != 1) {
        violation_set(fleet->violation, "CreateTopics: %d answers", reply->topics_count);
        return;
    }
    const struct create_topics_response_topic *topic = &reply->topics[0];
    if (topic->error_code == 0) {
        fleet->tally->created++;
        if (call->version >= 7)
            (void)model_topic_seen(&fleet->model, topic->name, topic->topic_id, topic->num_partitions, call->moment);
        else
            fleet->create_lost[admin->short_name] = true; /* it is there, but its id is still to be learnt */
        return;
    }
    if (topic->error_code == ERROR_TIMED_OUT || topic->error_code == ERROR_STORAGE)
        fleet->create_lost[admin->short_name] = true;
    if (topic->error_code == ERROR_TIMED_OUT)
        return;
    bool may_exist = fleet->create_lost[admin->short_name] || model_topic_named(&fleet->model, name) != NULL;
    if (topic->error_code == ERROR_TOPIC_EXISTS && may_exist)
        return;
    (void)fleet_excuses(fleet, topic->error_code, "CreateTopics", NULL);
}

/* -- DeleteTopics ---------------------------------------------------------------------------------------------------
 */

/* By id only: a request by name that was delayed on a lost connection could hit the next topic of that name. */
static void delete (struct admin *admin, uint64_t now_ns)
{
    struct fleet *fleet = admin->actor.fleet;
    struct delete_topics_request request;
    struct delete_topics_request_topic topic;
    struct model_topic *doomed = NULL;
    for (uint32_t i = 0; i < fleet->model.topic_count; i++) {
        struct model_topic *known = fleet->model.topics[i];
        if (known->short_lived && known->state != TOPIC_GONE)
            doomed = known;
    }
    if (doomed == NULL)
        return;
    delete_topics_request_init(&request);
    delete_topics_request_topic_init(&topic);
    topic.topic_id = doomed->id;
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = 30000;
    admin->doomed = doomed;
    admin->doomed_before = doomed->state == TOPIC_DOOMED;
    model_topic_doom(&fleet->model, doomed);
    ask(admin, KEY_DELETE_TOPICS, 6, &request, now_ns);
}

static void deleted(struct admin *admin, const struct delete_topics_response *reply)
{
    struct fleet *fleet = admin->actor.fleet;
    int16_t error = reply->responses_count == 1 ? reply->responses[0].error_code : -1;
    if (error == 0 || (error == ERROR_UNKNOWN_ID && admin->doomed_before)) {
        fleet->tally->deleted++;
        model_topic_gone(&fleet->model, admin->doomed);
        return;
    }
    if (error != ERROR_TIMED_OUT)
        (void)fleet_excuses(fleet, error, "DeleteTopics", admin->doomed);
}

/* -- ListOffsets ----------------------------------------------------------------------------------------------------
 */

static int64_t wanted_drawn(struct admin *admin)
{
    struct prng *rng = &admin->actor.rng;
    uint64_t dice = prng_below(rng, 10);
    if (dice < 4)
        return OFFSET_LATEST;
    if (dice < 5)
        return OFFSET_EARLIEST;
    if (dice < 6)
        return OFFSET_MAX_TIME;
    return model_timestamp(prng_below(rng, admin->actor.fleet->model.batch_count + 2));
}

static void look_up(struct admin *admin, uint64_t now_ns)
{
    struct fleet *fleet = admin->actor.fleet;
    struct list_offsets_request request;
    struct list_offsets_request_topic topic;
    struct list_offsets_request_partition part;
    struct model_topic *known = fleet_live_topic(fleet, &admin->actor.rng, false);
    if (known == NULL)
        return;
    admin->part = &known->parts[prng_below(&admin->actor.rng, (uint64_t)known->part_count)];
    admin->wanted = wanted_drawn(admin);
    admin->end_known = admin->part->shown_end;
    admin->start_known = admin->part->start_acked;
    list_offsets_request_init(&request);
    list_offsets_request_topic_init(&topic);
    list_offsets_request_partition_init(&part);
    part.partition_index = admin->part->index;
    part.timestamp = admin->wanted;
    topic.name = odk_str_from(known->name);
    topic.partitions = &part;
    topic.partitions_count = 1;
    request.replica_id = -1;
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = 30000;
    fleet->tally->lookups++;
    ask(admin, KEY_LIST_OFFSETS, admin->wanted == OFFSET_MAX_TIME ? 7 : 1, &request, now_ns);
}

static void looked_up(struct admin *admin, const struct list_offsets_response *reply)
{
    struct fleet *fleet = admin->actor.fleet;
    if (reply->topics_count != 1 || reply->topics[0].partitions_count != 1) {
        violation_set(fleet->violation, "ListOffsets: not one answer");
        return;
    }
    const struct list_offsets_response_partition *part = &reply->topics[0].partitions[0];
    const struct model_topic *topic = admin->part->topic;
    if (part->error_code == ERROR_UNKNOWN_TOPIC)
        (void)fleet_excuses_absence(fleet, topic, "ListOffsets");
    else if (part->error_code != 0)
        (void)fleet_excuses(fleet, part->error_code, "ListOffsets", topic);
    else if (admin->wanted == OFFSET_LATEST)
        model_show_end(&fleet->model, admin->part, part->offset, admin->end_known);
    else if (admin->wanted == OFFSET_EARLIEST)
        model_show_start(&fleet->model, admin->part, part->offset, admin->start_known);
    else if (admin->wanted == OFFSET_MAX_TIME)
        model_found_max_time(&fleet->model, admin->part, part->offset, part->timestamp, admin->end_known);
    else if (admin->wanted >= 0)
        model_found_time(&fleet->model, admin->part, admin->wanted, part->offset, part->timestamp, admin->end_known);
}

/* -- DeleteRecords --------------------------------------------------------------------------------------------------
 */

/* Of topics that live for ever only, because a topic is named by its name here. */
static void cut(struct admin *admin, uint64_t now_ns)
{
    struct prng *rng = &admin->actor.rng;
    struct model_topic *known = fleet_live_topic(admin->actor.fleet, rng, false);
    if (known == NULL || known->short_lived)
        return;
    admin->part = &known->parts[prng_below(rng, (uint64_t)known->part_count)];
    /* Mostly a little; what is cut away tells nothing any more. */
    int64_t most = prng_chance(rng, 200000) ? admin->part->shown_end
                                            : MIN(admin->part->shown_end, admin->part->start_asked + 20);
    admin->wanted = (int64_t)prng_below(rng, (uint64_t)most + 1);
    model_start_ask(admin->part, admin->wanted);
    struct delete_records_request_partition part = { .partition_index = admin->part->index, .offset = admin->wanted };
    struct delete_records_request_topic topic = { .name = odk_str_from(known->name),
                                                  .partitions = &part,
                                                  .partitions_count = 1 };
    struct delete_records_request request = { .topics = &topic, .topics_count = 1, .timeout_ms = 30000 };
    ask(admin, KEY_DELETE_RECORDS, 0, &request, now_ns);
}

static void was_cut(struct admin *admin, const struct delete_records_response *reply)
{
    struct fleet *fleet = admin->actor.fleet;
    bool one = reply->topics_count == 1 && reply->topics[0].partitions_count == 1;
    int16_t error = one ? reply->topics[0].partitions[0].error_code : -1;
    const struct model_topic *topic = admin->part->topic;
    if (error == 0) {
        fleet->tally->cut++;
        model_start_acked(&fleet->model, admin->part, reply->topics[0].partitions[0].low_watermark, admin->wanted);
    } else if (error == ERROR_UNKNOWN_TOPIC) {
        (void)fleet_excuses_absence(fleet, topic, "DeleteRecords");
    } else if (error != ERROR_TIMED_OUT) {
        (void)fleet_excuses(fleet, error, "DeleteRecords", topic);
    }
}

/* -- CreatePartitions -----------------------------------------------------------------------------------------------
 */

/* Of topics that live for ever only, because a topic is named by its name here. */
static void grow(struct admin *admin, uint64_t now_ns)
{
    struct fleet *fleet = admin->actor.fleet;
    struct create_partitions_request request;
    struct create_partitions_request_topic topic;
    struct model_topic *known = fleet_live_topic(fleet, &admin->actor.rng, false);
    if (known == NULL || known->short_lived)
        return;
    admin->growing = known;
    admin->part_count = (int32_t)prng_between(&admin->actor.rng, 1, MODEL_PARTS_MAX);
    admin->asked_before = known->asked_count;
    model_topic_grow(&fleet->model, known, admin->part_count);
    create_partitions_request_init(&request);
    create_partitions_request_topic_init(&topic);
    topic.name = odk_str_from(known->name);
    topic.count = admin->part_count;
    topic.assignments_count = -1;
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = 30000;
    ask(admin, KEY_CREATE_PARTITIONS, 0, &request, now_ns);
}

static void grown(struct admin *admin, const struct create_partitions_response *reply)
{
    struct fleet *fleet = admin->actor.fleet;
    struct model_topic *topic = admin->growing;
    int16_t error = reply->results_count == 1 ? reply->results[0].error_code : -1;
    if (error == 0) {
        fleet->tally->grown++;
        model_topic_grown(&fleet->model, topic, admin->part_count);
    } else if (error == ERROR_UNKNOWN_TOPIC) {
        (void)fleet_excuses_absence(fleet, topic, "CreatePartitions");
    } else if (error == ERROR_PARTITIONS) { /* it has so many already: by what was acknowledged, or asked for */
        if (admin->part_count > topic->part_count && admin->part_count > admin->asked_before)
            violation_set(fleet->violation, "%s does not grow to %d", topic->name, admin->part_count);
    } else if (error != ERROR_TIMED_OUT) {
        (void)fleet_excuses(fleet, error, "CreatePartitions", topic);
    }
}

/* -- settings -------------------------------------------------------------------------------------------------------
 */

/* A topic must have been seen before it can be altered. */
static bool target_drawn(struct admin *admin)
{
    admin->target = (uint32_t)prng_below(&admin->actor.rng, countof(targets));
    return targets[admin->target].type != 2 ||
           model_topic_named(&admin->actor.fleet->model, targets[admin->target].name) != NULL;
}

static void alter(struct admin *admin, uint64_t now_ns)
{
    char text[24];
    struct incremental_alter_configs_request request;
    struct incremental_alter_configs_request_config config = { .value = { .data = text } };
    struct incremental_alter_configs_request_resource resource = { .configs = &config, .configs_count = 1 };
    if (!target_drawn(admin))
        return;
    admin->value = model_setting_next(&admin->settings[admin->target]);
    config.name = odk_str_from(targets[admin->target].key);
    config.value.len = (size_t)snprintf(text, sizeof(text), "%" PRIu64, admin->value);
    resource.resource_type = targets[admin->target].type;
    resource.resource_name = odk_str_from(targets[admin->target].name);
    incremental_alter_configs_request_init(&request);
    request.resources = &resource;
    request.resources_count = 1;
    ask(admin, KEY_ALTER_CONFIGS, 0, &request, now_ns);
}

static void altered(struct admin *admin, const struct incremental_alter_configs_response *reply)
{
    struct fleet *fleet = admin->actor.fleet;
    struct model_setting *setting = &admin->settings[admin->target];
    int16_t error = reply->responses_count == 1 ? reply->responses[0].error_code : -1;
    if (error == 0) {
        fleet->tally->altered++;
        model_setting_acked(&fleet->model, setting, admin->value);
    } else if (error == ERROR_UNKNOWN_TOPIC) {
        model_setting_refused(setting, admin->value);
        (void)fleet_excuses_absence(fleet, model_topic_named(&fleet->model, setting->name), "AlterConfigs");
    } else {
        (void)fleet_excuses(fleet, error, "AlterConfigs", NULL);
    }
}

static void describe(struct admin *admin, uint64_t now_ns)
{
    struct odk_str key;
    struct describe_configs_request request;
    struct describe_configs_request_resource resource = { .configuration_keys = &key, .configuration_keys_count = 1 };
    if (!target_drawn(admin))
        return;
    key = odk_str_from(targets[admin->target].key);
    resource.resource_type = targets[admin->target].type;
    resource.resource_name = odk_str_from(targets[admin->target].name);
    describe_configs_request_init(&request);
    request.resources = &resource;
    request.resources_count = 1;
    ask(admin, KEY_DESCRIBE_CONFIGS, 1, &request, now_ns);
}

static void described(struct admin *admin, const struct describe_configs_response *reply)
{
    struct fleet *fleet = admin->actor.fleet;
    const struct model_setting *setting = &admin->settings[admin->target];
    int16_t error = reply->results_count == 1 ? reply->results[0].error_code : -1;
    uint64_t value = 0;
    if (error == ERROR_UNKNOWN_TOPIC) {
        (void)fleet_excuses_absence(fleet, model_topic_named(&fleet->model, setting->name), "DescribeConfigs");
        return;
    }
    if (error != 0) {
        (void)fleet_excuses(fleet, error, "DescribeConfigs", NULL);
        return;
    }
    if (reply->results[0].configs_count == 1 &&
        reply->results[0].configs[0].config_source == targets[admin->target].source) {
        struct odk_str text = reply->results[0].configs[0].value;
        for (size_t i = 0; i < text.len; i++)
            value = value * 10 + (uint64_t)(text.data[i] - '0');
    }
    fleet->tally->settings_seen++;
    model_setting_seen(&fleet->model, setting, value);
}

/* -- the actor ------------------------------------------------------------------------------------------------------
 */

static void admin_answered(void *owner, const struct kcall *call, const void *body)
{
    struct admin *admin = admin_of(owner);
    admin->actor.asking = false;
    if (call->key == KEY_CREATE_TOPICS)
        created(admin, call, body);
    else if (call->key == KEY_DELETE_TOPICS)
        deleted(admin, body);
    else if (call->key == KEY_LIST_OFFSETS)
        looked_up(admin, body);
    else if (call->key == KEY_DELETE_RECORDS)
        was_cut(admin, body);
    else if (call->key == KEY_CREATE_PARTITIONS)
        grown(admin, body);
    else if (call->key == KEY_ALTER_CONFIGS)
        altered(admin, body);
    else if (call->key == KEY_DESCRIBE_CONFIGS)
        described(admin, body);
    else
        metadata_answered(&admin->actor, call, body);
}

static void admin_lost(void *owner, const struct kcall *call)
{
    struct admin *admin = admin_of(owner);
    admin->actor.asking = false;
    if (call->key == KEY_CREATE_TOPICS)
        admin->actor.fleet->create_lost[admin->short_name] = true;
}

static void admin_step(struct actor *actor, uint64_t now_ns)
{
    struct admin *admin = admin_of(actor);
    if (actor->asking || now_ns < actor->next_ns || actor->fleet->work_left == 0)
        return;
    actor->next_ns = now_ns + prng_below(&actor->rng, 200 * NS_PER_MS);
    actor->fleet->work_left--;
    uint64_t dice = prng_below(&actor->rng, 100);
    if (dice < 25)
        metadata_ask_all(actor, now_ns);
    else if (dice < 45)
        create(admin, now_ns);
    else if (dice < 52)
        delete (admin, now_ns);
    else if (dice < 55)
        grow(admin, now_ns);
    else if (dice < 65)
        alter(admin, now_ns);
    else if (dice < 75)
        describe(admin, now_ns);
    else if (dice < 82)
        cut(admin, now_ns);
    else
        look_up(admin, now_ns);
}

static bool admin_busy(struct actor *actor)
{
    (void)actor;
    return false;
}

static void admin_free(struct actor *actor)
{
    actor_deinit(actor);
    for (uint32_t i = 0; i < countof(targets); i++)
        free(admin_of(actor)->settings[i].open);
    free(admin_of(actor));
}

static const struct actor_kind admin_kind = {
    .step = admin_step, .answered = admin_answered, .lost = admin_lost, .busy = admin_busy, .free = admin_free
};

struct actor *admin_new(struct fleet *fleet)
{
    struct admin *admin = xcalloc(1, sizeof(*admin));
    actor_init(&admin->actor, fleet, &admin_kind);
    for (uint32_t i = 0; i < countof(targets); i++)
        admin->settings[i].name = targets[i].name;
    return &admin->actor;
}
