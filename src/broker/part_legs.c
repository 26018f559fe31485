#include "broker/part_legs.h"

#include "broker/broker_internal.h"

/* Parts that one leg looks at in one turn of the loop: some milliseconds, if each log has to be read in. */
#define PARTS_PER_TURN 64u

bool part_legs_init(struct part_legs *legs, struct request *request)
{
    legs->request = request;
    legs->by_shard = arena_new(&request->arena, struct part_leg, request->broker->env.shard_count);
    return legs->by_shard != NULL;
}

void part_legs_add(struct part_legs *legs, struct part *part, const struct topic *topic,
                   const struct partition *partition)
{
    struct part_leg *leg = &legs->by_shard[partition->shard];
    part->leg = leg;
    part->topic_id = topic->id;
    part->index = partition->index;
    if (leg->last)
        leg->last->next = part;
    else
        leg->first = part;
    leg->last = part;
}

/* -- home --------------------------------------------------------------------------------------------------------- */

static void legs_check(struct part_legs *legs)
{
    ASSERT(legs->away > 0);
    if (--legs->away == 0)
        legs->done(legs);
}

static void leg_on_home(struct task *task, struct broker *home)
{
    (void)home;
    legs_check(container_of(task, struct part_leg, task)->legs);
}

static void leg_run(struct task *task, struct broker *at);

void part_legs_go(struct part_legs *legs)
{
    struct broker *home = legs->request->broker;
    legs->away = 1; /* legs that are home at once must not end the request */
    for (uint32_t shard = 0; shard < home->env.shard_count; shard++) {
        struct part_leg *leg = &legs->by_shard[shard];
        if (!leg->first)
            continue;
        leg->legs = legs;
        leg->task.run = leg_run;
        legs->away++;
        broker_post(home, shard, &leg->task);
    }
    legs_check(legs);
}

/* -- owner -------------------------------------------------------------------------------------------------------- */

static void leg_return(struct part_leg *leg)
{
    leg->task.run = leg_on_home;
    broker_post(leg->at, leg->legs->request->broker->env.shard, &leg->task);
}

static void part_look(struct part *part, struct broker *at)
{
    struct topic *topic = topics_by_id(&at->topics, part->topic_id);
    struct partition *partition = topic ? topic_partition(topic, part->index) : NULL;
    ASSERT(!partition || partition->shard == at->env.shard);
    part->leg->legs->look(part, partition, at);
}

/* The leg goes home when it waits for nothing; until it has seen its parts it waits for itself. */
static void leg_release(struct part_leg *leg)
{
    ASSERT(leg->waiting > 0);
    if (--leg->waiting == 0)
        leg_return(leg);
}

static void leg_step(struct part_leg *leg)
{
    for (uint32_t i = 0; i < PARTS_PER_TURN && leg->next; i++) {
        struct part *part = leg->next;
        leg->next = part->next;
        part_look(part, leg->at);
    }
    if (leg->next)
        timer_arm(leg->at->env.timers, &leg->turn, leg->at->now_ns);
    else
        leg_release(leg);
}

static void leg_on_turn(struct timer *timer, uint64_t now_ns)
{
    (void)now_ns;
    leg_step(container_of(timer, struct part_leg, turn));
}

static void leg_run(struct task *task, struct broker *at)
{
    struct part_leg *leg = container_of(task, struct part_leg, task);
    leg->at = at;
    leg->turn = (struct timer){ .fire = leg_on_turn };
    leg->next = leg->first;
    leg->waiting = 1;
    leg_step(leg);
}

int16_t part_check(const struct partition *partition, int32_t leader_epoch, struct broker *at)
{
    int32_t known = broker_leader_epoch(at);
    if (!partition)
        return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    if (leader_epoch >= 0 && leader_epoch != known)
        return leader_epoch < known ? KAFKA_FENCED_LEADER_EPOCH : KAFKA_UNKNOWN_LEADER_EPOCH;
    return partition->log ? KAFKA_NONE : (int16_t)kafka_error_of(partition->fault);
}

void part_wait(struct part *part)
{
    part->leg->waiting++;
}

void part_end(struct part *part)
{
    leg_release(part->leg);
}
