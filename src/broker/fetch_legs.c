#include "broker/fetch_legs.h"

#include "broker/broker_internal.h"

struct fetch_slot {
    struct fetch_slot *next; /* in the leg's free ones */
    struct odk_read read;
    struct fetch_leg *leg;
    struct fetch_part *part;
};

static void leg_read(struct task *task, struct broker *at);
static void leg_park(struct task *task, struct broker *at);
static void leg_stop(struct task *task, struct broker *at);
static void leg_unpin(struct task *task, struct broker *at);
static void leg_on_home(struct task *task, struct broker *home);
static void leg_on_stop_home(struct task *task, struct broker *home);
static void leg_release(struct fetch_leg *leg);

static void slot_give(struct fetch_leg *leg, struct fetch_slot *slot)
{
    slot->next = leg->free;
    leg->free = slot;
}

/* -- home -----------------------------------------------------------------------------------------------------------
 */

bool fetch_legs_init(struct fetch_legs *legs, struct broker *home, struct arena *arena, uint32_t part_count)
{
    legs->broker = home;
    legs->arena = arena;
    legs->part_count = part_count;
    legs->parts = arena_new(arena, struct fetch_part, part_count);
    legs->by_shard = arena_new(arena, struct fetch_leg, home->env.shard_count);
    if (!legs->parts || !legs->by_shard)
        return false;
    for (uint32_t shard = 0; shard < home->env.shard_count; shard++) {
        legs->by_shard[shard].legs = legs;
        legs->by_shard[shard].shard = shard;
        legs->by_shard[shard].home = true;
        legs->by_shard[shard].fresh = true;
    }
    return true;
}

void fetch_legs_assign(struct fetch_legs *legs, struct fetch_part *part, uint32_t shard)
{
    ASSERT(shard < legs->broker->env.shard_count);
    struct fetch_leg *leg = &legs->by_shard[shard];
    part->leg = leg;
    if (leg->last)
        leg->last->next = part;
    else
        leg->first = part;
    leg->last = part;
}

static void leg_go(struct fetch_leg *leg, void (*run)(struct task *task, struct broker *at))
{
    ASSERT(leg->home);
    leg->home = false;
    leg->legs->away++;
    leg->go.run = run;
    broker_post(leg->legs->broker, leg->shard, &leg->go);
}

/* The owner's last act on a task: from here on it is not touched there. */
static void task_return(struct fetch_leg *leg, struct task *task, void (*run)(struct task *task, struct broker *home))
{
    uint32_t home = leg->legs->broker->env.shard;
    task->run = run;
    broker_post(leg->at, home, task);
}

static bool leg_has_work(const struct fetch_leg *leg)
{
    return leg->first && (leg->fresh || leg->starved > 0);
}

/* Memory for the reads of one more turn. The home leg takes its own as it goes. */
static bool slots_give(struct fetch_legs *legs, struct fetch_leg *leg)
{
    uint32_t want = leg->starved ? leg->starved : FETCH_LEG_READS;
    want = MIN(want, FETCH_READS_MAX - legs->reads);
    if (leg->shard == legs->broker->env.shard || leg->free || want == 0)
        return true;
    struct fetch_slot *slots = arena_new(legs->arena, struct fetch_slot, want);
    if (!slots)
        return false;
    for (uint32_t i = 0; i < want; i++)
        slot_give(leg, &slots[i]);
    legs->reads += want;
    return true;
}

bool fetch_legs_starved(const struct fetch_legs *legs)
{
    if (legs->reads >= FETCH_READS_MAX)
        return false;
    for (uint32_t shard = 0; shard < legs->broker->env.shard_count; shard++)
        if (legs->by_shard[shard].starved > 0)
            return true;
    return false;
}

enum fetch_trip fetch_legs_read(struct fetch_legs *legs)
{
    uint32_t count = legs->broker->env.shard_count;
    ASSERT(legs->away == 0);
    for (uint32_t shard = 0; shard < count; shard++)
        if (leg_has_work(&legs->by_shard[shard]) && !slots_give(legs, &legs->by_shard[shard]))
            return FETCH_TRIP_FULL;
    legs->away = 1; /* legs that are home at once must not end the trip */
    for (uint32_t shard = 0; shard < count; shard++)
        if (leg_has_work(&legs->by_shard[shard]))
            leg_go(&legs->by_shard[shard], leg_read);
    legs->away--;
    return legs->away == 0 ? FETCH_TRIP_HOME : FETCH_TRIP_AWAY;
}

static void trip_end_check(struct fetch_legs *legs)
{
    if (legs->away > 0)
        return;
    legs->parked = false;
    legs->all_home(legs);
}

static void leg_on_home(struct task *task, struct broker *home)
{
    (void)home;
    struct fetch_leg *leg = container_of(task, struct fetch_leg, go);
    struct fetch_legs *legs = leg->legs;
    ASSERT(legs->away > 0);
    ASSERT(!leg->watching); /* L3 */
    leg->home = true;
    legs->away--;
    if (legs->parked && !legs->recalled)
        fetch_legs_recall(legs);
    else
        trip_end_check(legs);
}

void fetch_legs_park(struct fetch_legs *legs)
{
    ASSERT(legs->away == 0);
    legs->parked = true;
    legs->recalled = false;
    legs->woken = false;
    legs->away = 1;
    for (uint32_t shard = 0; shard < legs->broker->env.shard_count; shard++)
        if (legs->by_shard[shard].first)
            leg_go(&legs->by_shard[shard], leg_park);
    legs->away--;
    ASSERT(legs->away > 0); /* a leg parks even when its partitions are gone: the wake comes later then */
}

void fetch_legs_recall(struct fetch_legs *legs)
{
    if (!legs->parked || legs->recalled)
        return;
    legs->recalled = true;
    legs->away++;
    for (uint32_t shard = 0; shard < legs->broker->env.shard_count; shard++) {
        struct fetch_leg *leg = &legs->by_shard[shard];
        if (leg->home)
            continue;
        legs->away++;
        leg->stop.run = leg_stop;
        broker_post(legs->broker, shard, &leg->stop);
    }
    legs->away--;
    trip_end_check(legs);
}

static void leg_on_stop_home(struct task *task, struct broker *home)
{
    (void)home;
    struct fetch_legs *legs = container_of(task, struct fetch_leg, stop)->legs;
    ASSERT(legs->away > 0);
    legs->away--;
    trip_end_check(legs);
}

static void unpin_end_check(struct fetch_legs *legs)
{
    ASSERT(legs->away > 0);
    if (--legs->away > 0)
        return;
    struct arena kept = legs->kept; /* legs itself is in there */
    arena_deinit(&kept);
}

static void leg_on_unpin_home(struct task *task, struct broker *home)
{
    (void)home;
    unpin_end_check(container_of(task, struct fetch_leg, go)->legs);
}

void fetch_legs_unpin(struct fetch_legs *legs)
{
    uint32_t home = legs->broker->env.shard;
    uint32_t far = 0;
    ASSERT(legs->away == 0);
    leg_release(&legs->by_shard[home]);
    for (uint32_t shard = 0; shard < legs->broker->env.shard_count; shard++)
        far += legs->by_shard[shard].pinned;
    if (far == 0)
        return;
    legs->kept = *legs->arena;
    *legs->arena = (struct arena){ .limit = legs->kept.limit };
    legs->away = 1;
    for (uint32_t shard = 0; shard < legs->broker->env.shard_count; shard++)
        if (legs->by_shard[shard].pinned)
            leg_go(&legs->by_shard[shard], leg_unpin);
    unpin_end_check(legs);
}

/* -- owner: reading -------------------------------------------------------------------------------------------------
 */

static void part_fail(struct fetch_part *part, int16_t error_code)
{
    part->state = FETCH_PART_DONE;
    part->error_code = error_code;
    part->high_watermark = -1;
    part->log_start_offset = -1;
}

static struct partition *part_partition(const struct fetch_part *part, struct broker *at)
{
    struct topic *topic = topics_by_id(&at->topics, part->topic_id);
    return topic ? topic_partition(topic, part->index) : NULL;
}

static int16_t read_error(enum odk_err err)
{
    if (err == ODK_ERR_RANGE)
        return KAFKA_OFFSET_OUT_OF_RANGE;
    if (err == ODK_ERR_CLOSED)
        return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    return (int16_t)kafka_error_of(err);
}

/* True if the reader's last epoch ended elsewhere here: it has to cut its view of the log first. Source: KIP-595. */
static bool part_diverges(struct fetch_part *part, struct odk_log *log)
{
    int32_t epoch;
    int64_t end_offset;
    if (part->last_fetched_epoch < 0)
        return false;
    odk_log_epoch_end(log, part->last_fetched_epoch, &epoch, &end_offset);
    if (epoch < 0 || end_offset < 0) {
        part_fail(part, KAFKA_OFFSET_OUT_OF_RANGE);
        return true;
    }
    if (epoch == part->last_fetched_epoch && end_offset >= part->offset)
        return false;
    part->state = FETCH_PART_DONE;
    part->diverging = true;
    part->diverging_epoch = epoch;
    part->diverging_end_offset = end_offset;
    return true;
}

/* Everything but the data. False: the part is done. */
static bool part_look(struct fetch_part *part, struct broker *at)
{
    struct partition *partition = part_partition(part, at);
    int32_t epoch = broker_leader_epoch(at);
    if (!partition) {
        part_fail(part, part->topic.data ? KAFKA_UNKNOWN_TOPIC_OR_PARTITION : KAFKA_UNKNOWN_TOPIC_ID);
        return false;
    }
    ASSERT(partition->shard == at->env.shard);
    if (part->leader_epoch >= 0 && part->leader_epoch != epoch) {
        part_fail(part, part->leader_epoch < epoch ? KAFKA_FENCED_LEADER_EPOCH : KAFKA_UNKNOWN_LEADER_EPOCH);
        return false;
    }
    if (!partition->log) {
        part_fail(part, (int16_t)kafka_error_of(partition->fault));
        return false;
    }
    part->log = partition->log;
    part->high_watermark = odk_log_end_offset(part->log);
    part->log_start_offset = odk_log_start_offset(part->log);
    if (part->high_watermark < 0 || part->log_start_offset < 0) {
        part_fail(part, KAFKA_KAFKA_STORAGE_ERROR);
        return false;
    }
    if (part_diverges(part, part->log))
        return false;
    if (part->offset < part->log_start_offset || part->offset > part->high_watermark) {
        part_fail(part, KAFKA_OFFSET_OUT_OF_RANGE);
        return false;
    }
    if (part->offset == part->high_watermark)
        part->state = FETCH_PART_DONE;
    return part->state != FETCH_PART_DONE;
}

static struct fetch_slot *slot_take(struct fetch_leg *leg)
{
    struct fetch_legs *legs = leg->legs;
    struct fetch_slot *slot = leg->free;
    if (slot) {
        leg->free = slot->next;
        return slot;
    }
    if (leg->at != legs->broker || legs->reads >= FETCH_READS_MAX)
        return NULL;
    slot = arena_new(legs->arena, struct fetch_slot, 1);
    legs->reads += slot != NULL;
    return slot;
}

static void read_account(struct fetch_leg *leg, struct fetch_part *part, struct odk_read *read, enum odk_err err)
{
    part->state = FETCH_PART_DONE;
    if (err != ODK_OK) {
        part_fail(part, read_error(err));
        return;
    }
    part->high_watermark = MAX(part->high_watermark, read->next_offset); /* it may have moved while data was brought in */
    part->more = read->next_offset < part->high_watermark;
    part->read = read;
    leg->pinned = true;
}

static void slot_on_read(struct odk_read *read, enum odk_err err)
{
    struct fetch_slot *slot = container_of(read, struct fetch_slot, read);
    struct fetch_leg *leg = slot->leg;
    ASSERT(leg->pending > 0);
    leg->pending--;
    read_account(leg, slot->part, read, err);
    if (leg->pending == 0 && !leg->walking)
        task_return(leg, &leg->go, leg_on_home);
}

static void part_read(struct fetch_leg *leg, struct fetch_part *part)
{
    uint32_t bytes_max = MIN((uint32_t)MAX(part->max_bytes, 0), leg->bytes_left);
    if (leg->got_any && bytes_max < ODK_BATCH_HEADER_BYTES) {
        part->state = FETCH_PART_DONE;
        part->more = true;
        return;
    }
    struct fetch_slot *slot = slot_take(leg);
    if (!slot) {
        part->state = FETCH_PART_STARVED;
        leg->starved++;
        return;
    }
    slot->leg = leg;
    slot->part = part;
    slot->read.offset = part->offset;
    slot->read.bytes_max = bytes_max;
    slot->read.at_least_one = !leg->got_any;
    slot->read.done = slot_on_read;
    enum odk_err err = odk_log_read(part->log, &slot->read);
    if (err == ODK_ERR_PENDING) { /* it will probably use all it may */
        part->state = FETCH_PART_READING;
        leg->pending++;
        leg->bytes_left -= bytes_max;
        leg->got_any = true;
        return;
    }
    read_account(leg, part, &slot->read, err);
    if (!part->read)
        return;
    leg->bytes_left -= MIN(slot->read.bytes, leg->bytes_left);
    leg->got_any |= slot->read.bytes > 0;
}

static void leg_read(struct task *task, struct broker *at)
{
    struct fetch_leg *leg = container_of(task, struct fetch_leg, go);
    leg->at = at;
    if (leg->fresh) {
        leg->bytes_left = leg->legs->bytes_max;
        leg->got_any = false;
        leg->fresh = false;
    }
    leg->walking = true;
    leg->starved = 0;
    for (struct fetch_part *part = leg->first; part; part = part->next)
        if ((part->state == FETCH_PART_NEW || part->state == FETCH_PART_STARVED) && part_look(part, at))
            part_read(leg, part);
    leg->walking = false;
    if (leg->pending == 0)
        task_return(leg, &leg->go, leg_on_home);
}

/* -- owner: pins and waiters ----------------------------------------------------------------------------------------
 */

static void leg_release(struct fetch_leg *leg)
{
    for (struct fetch_part *part = leg->pinned ? leg->first : NULL; part; part = part->next) {
        if (!part->read)
            continue;
        odk_log_read_release(part->log, part->read);
        slot_give(leg, container_of(part->read, struct fetch_slot, read));
        part->read = NULL;
    }
    leg->pinned = false;
}

static void leg_unpin(struct task *task, struct broker *at)
{
    struct fetch_leg *leg = container_of(task, struct fetch_leg, go);
    leg->at = at;
    leg_release(leg);
    task_return(leg, task, leg_on_unpin_home);
}

static void leg_unwatch(struct fetch_leg *leg)
{
    for (struct fetch_part *part = leg->first; part; part = part->next)
        purgatory_unwatch(&part->watch);
    leg->watching = false;
}

/* Runs from the store's callbacks: the request goes on later, never in here. */
static void leg_wake(struct fetch_leg *leg)
{
    struct fetch_legs *legs = leg->legs;
    if (leg->at != legs->broker) {
        leg_unwatch(leg);
        task_return(leg, &leg->go, leg_on_home);
        return;
    }
    if (legs->woken || legs->recalled)
        return;
    legs->woken = true;
    legs->woke(legs);
}

static void part_on_move(struct fetch_watch *watch)
{
    leg_wake(container_of(watch, struct fetch_part, watch)->leg);
}

/* True if the partition is as it was when its end was read; then it is watched. */
static bool part_watch(struct fetch_part *part, struct broker *at)
{
    struct partition *partition = part_partition(part, at);
    bool same = partition && partition->log && odk_log_end_offset(partition->log) == part->high_watermark;
    part->state = FETCH_PART_NEW;
    part->more = false;
    part->withheld = false;
    if (!same)
        return false;
    part->watch.wake = part_on_move;
    purgatory_watch(&partition->waiters, &part->watch);
    return true;
}

static void leg_park(struct task *task, struct broker *at)
{
    struct fetch_leg *leg = container_of(task, struct fetch_leg, go);
    bool moved = false;
    leg->at = at;
    leg_release(leg);
    leg->starved = 0;
    leg->fresh = true;
    leg->watching = true;
    for (struct fetch_part *part = leg->first; part; part = part->next)
        moved |= !part_watch(part, at);
    if (moved)
        leg_wake(leg);
}

static void leg_stop(struct task *task, struct broker *at)
{
    struct fetch_leg *leg = container_of(task, struct fetch_leg, stop);
    if (leg->watching) {
        ASSERT(leg->at == at);
        leg_unwatch(leg);
        task_return(leg, &leg->go, leg_on_home);
    }
    task_return(leg, task, leg_on_stop_home);
}
