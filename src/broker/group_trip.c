#include "broker/group_trip.h"

#include "broker/broker_internal.h"

#define PARTITION_OF_GROUP (-1) /* not known before the topic is there */

/* One call. */
struct group_step {
    struct group_errand errand;
    struct group_step *next; /* of the trip, then of the leg */
    struct group_leg *leg;
    struct odk_str group_id;
};

struct group_leg {
    struct task go;
    struct task stop;
    struct group_trip *trip;
    struct group_step *first;
    struct arena arena; /* answers, when there are more legs than one */
    struct broker *at;  /* the owner, while there */
    uint32_t left;      /* the owner's: calls without an answer */
    uint32_t shard;
    bool home; /* home's: go is here */
};

static void leg_on_home(struct task *task, struct broker *home);
static void leg_on_stop_home(struct task *task, struct broker *home);

/* -- owner -----------------------------------------------------------------------------------------------------------
 */

static void leg_count_down(struct group_leg *leg)
{
    if (--leg->left > 0)
        return;
    leg->go.run = leg_on_home;
    broker_post(leg->at, leg->trip->request->broker->env.shard, &leg->go);
}

static void step_on_finished(struct group_errand *errand)
{
    leg_count_down(container_of(errand, struct group_step, errand)->leg);
}

static void leg_run(struct task *task, struct broker *at)
{
    struct group_leg *leg = container_of(task, struct group_leg, go);
    leg->at = at;
    leg->left = 1; /* until all are handed over: an answer may come inside the call */
    for (const struct group_step *step = leg->first; step; step = step->next)
        leg->left++;
    for (struct group_step *step = leg->first, *next; step; step = next) {
        next = step->next;
        group_host_take(at->groups, &step->errand);
    }
    leg_count_down(leg);
}

static void leg_stop(struct task *task, struct broker *at)
{
    struct group_leg *leg = container_of(task, struct group_leg, stop);
    for (struct group_step *step = leg->first; step; step = step->next)
        group_host_cancel(at->groups, &step->errand);
    leg->stop.run = leg_on_stop_home;
    broker_post(at, leg->trip->request->broker->env.shard, &leg->stop);
}

/* -- home -----------------------------------------------------------------------------------------------------------
 */

static void trip_count_down(struct group_trip *trip)
{
    ASSERT(trip->away > 0);
    if (--trip->away > 0)
        return;
    trip->request->cancel = NULL;
    trip->home(trip);
}

static void leg_on_home(struct task *task, struct broker *home)
{
    struct group_leg *leg = container_of(task, struct group_leg, go);
    (void)home;
    leg->home = true;
    trip_count_down(leg->trip);
}

static void leg_on_stop_home(struct task *task, struct broker *home)
{
    (void)home;
    trip_count_down(container_of(task, struct group_leg, stop)->trip);
}

static void trip_cancel(struct request *request)
{
    struct group_trip *trip = request->state;
    if (trip->cancelled)
        return;
    trip->cancelled = true;
    if (trip->away == 0) /* waits for the topic, and goes home from there */
        return;
    trip->away++;
    for (uint32_t shard = 0; shard < request->broker->env.shard_count; shard++) {
        struct group_leg *leg = &trip->legs[shard];
        if (!leg->first || leg->home)
            continue;
        trip->away++;
        leg->stop.run = leg_stop;
        broker_post(request->broker, shard, &leg->stop);
    }
    trip_count_down(trip);
}

static void trip_release(struct request *request)
{
    struct group_trip *trip = request->state;
    for (uint32_t shard = 0; shard < request->broker->env.shard_count; shard++)
        arena_deinit(&trip->legs[shard].arena);
}

static void trip_refuse(struct group_trip *trip, enum kafka_error error)
{
    for (struct group_step *step = trip->steps; step; step = step->next) {
        step->errand.call.arena = &trip->request->arena;
        group_call_refuse(&step->errand.call, error);
    }
    trip->request->cancel = NULL;
    trip->home(trip);
}

/* Gives every step to the leg of its owner, in the order in which they were added. Returns how many legs have to go. */
static uint32_t legs_fill(struct group_trip *trip, struct topic *topic)
{
    uint32_t count = 0;
    for (struct group_step *step = trip->steps, *next; step; step = next) {
        next = step->next;
        struct group_errand *errand = &step->errand;
        if (errand->partition == PARTITION_OF_GROUP)
            errand->partition = groups_partition_of(step->group_id, topic->partition_count);
        struct group_leg *leg = &trip->legs[topic_partition(topic, errand->partition)->shard];
        count += leg->first == NULL;
        step->leg = leg;
        step->next = leg->first;
        leg->first = step;
    }
    trip->steps = NULL;
    return count;
}

static void legs_send(struct group_trip *trip, uint32_t count)
{
    struct request *request = trip->request;
    trip->away = 1 + count;
    for (uint32_t shard = 0; shard < request->broker->env.shard_count; shard++) {
        struct group_leg *leg = &trip->legs[shard];
        if (!leg->first)
            continue;
        for (struct group_step *step = leg->first; step; step = step->next)
            step->errand.call.arena = count == 1 ? &request->arena : &leg->arena;
    }
    for (uint32_t shard = 0; shard < request->broker->env.shard_count; shard++) {
        if (trip->legs[shard].first)
            broker_post(request->broker, shard, &trip->legs[shard].go);
    }
    trip_count_down(trip);
}

static void trip_on_topic(struct group_topic_waiter *waiter, enum kafka_error error)
{
    struct group_trip *trip = container_of(waiter, struct group_trip, waiter);
    if (error != KAFKA_NONE || trip->cancelled) {
        trip_refuse(trip, error != KAFKA_NONE ? error : KAFKA_COORDINATOR_NOT_AVAILABLE);
        return;
    }
    struct topic *topic = topics_by_name(&trip->request->broker->topics, ODK_STR(GROUP_TOPIC_NAME));
    legs_send(trip, legs_fill(trip, topic));
}

void group_trip_go(struct group_trip *trip)
{
    struct request *request = trip->request;
    request->state = trip;
    request->cancel = trip_cancel;
    request->release = trip_release;
    if (!trip->steps) {
        trip_refuse(trip, KAFKA_NONE);
        return;
    }
    trip->waiter.ready = trip_on_topic;
    group_host_need_topic(request->broker->groups, &trip->waiter);
}

/* -- making ---------------------------------------------------------------------------------------------------------- */

/* As Kafka shows addresses. */
static bool client_host_print(struct group_trip *trip)
{
    struct request *request = trip->request;
    size_t len = strlen(request->peer->client_host);
    char *text = arena_new(&request->arena, char, len + 1);
    if (!text)
        return false;
    text[0] = '/';
    memcpy(text + 1, request->peer->client_host, len);
    trip->client_host = (struct odk_str){ .data = text, .len = len + 1 };
    return true;
}

bool group_trip_init(struct group_trip *trip, struct request *request, void (*home)(struct group_trip *trip))
{
    uint32_t shard_count = request->broker->env.shard_count;
    *trip = (struct group_trip){ .request = request, .home = home };
    trip->legs = arena_new(&request->arena, struct group_leg, shard_count);
    for (uint32_t shard = 0; trip->legs && shard < shard_count; shard++)
        trip->legs[shard] = (struct group_leg){ .trip = trip,
                                                .shard = shard,
                                                .go.run = leg_run,
                                                .arena.limit = REQUEST_ARENA_BYTES_MAX };
    return trip->legs && client_host_print(trip);
}

static struct group_step *step_add(struct group_trip *trip, enum group_call_kind kind, const void *in, void *out)
{
    struct request *request = trip->request;
    struct group_step *step = arena_new(&request->arena, struct group_step, 1);
    if (!step)
        return NULL;
    step->errand.call = (struct group_call){ .kind = kind,
                                             .version = request->version,
                                             .client_id = request->client_id,
                                             .client_host = trip->client_host,
                                             .in = in,
                                             .out = out };
    step->errand.finished = step_on_finished;
    step->next = trip->steps;
    trip->steps = step;
    return step;
}

bool group_trip_add(struct group_trip *trip, enum group_call_kind kind, struct odk_str group_id, const void *in,
                    void *out)
{
    struct group_step *step = step_add(trip, kind, in, out);
    if (!step)
        return false;
    step->errand.partition = PARTITION_OF_GROUP;
    step->group_id = group_id;
    return true;
}

bool group_trip_add_partition(struct group_trip *trip, enum group_call_kind kind, int32_t partition, const void *in,
                              void *out)
{
    struct group_step *step = step_add(trip, kind, in, out);
    if (!step)
        return false;
    step->errand.partition = partition;
    return true;
}
