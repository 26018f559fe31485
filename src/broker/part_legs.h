/*
 * A request about many partitions, taken to their owners: one leg per shard that owns some of them.
 *
 *   home: part_legs_add ... part_legs_go  ->  owner: look at each part; some take their time  ->  home: done
 *
 * An owner looks at a few parts per turn of the loop, because the first use of a log after a crash reads from the disk.
 * Nothing is parked for long, so nothing can be cancelled. Parts and legs are in the request's arena; a part is touched
 * by one shard at a time, by home before go and in done.
 */
#pragma once
#include <odradek/bytes.h>

#include "base/timer.h"
#include "broker/broker.h"
#include "broker/request.h"
#include "broker/topics.h"

struct part_leg;
struct part_legs;

/* One partition; embedded in what a handler knows of it. */
struct part {
    struct part *next; /* in its leg, in the order of adding */
    struct part_leg *leg;
    struct odk_uuid topic_id;
    int32_t index;
};

struct part_leg {
    struct task task;
    struct part_legs *legs;
    struct broker *at; /* the owner's, while it is there */
    struct timer turn; /* the owner's: goes on in the next turn */
    struct part *first;
    struct part *last;
    struct part *next; /* to be looked at */
    uint32_t waiting;  /* parts that part_wait was called for */
};

struct part_legs {
    struct request *request;
    struct part_leg *by_shard;
    uint32_t away;
    /* On the owner. partition is NULL when its topic has gone meanwhile. */
    void (*look)(struct part *part, struct partition *partition, struct broker *at);
    /* At home, once, perhaps inside part_legs_go. */
    void (*done)(struct part_legs *legs);
};

/* False: no memory. */
MUST_USE bool part_legs_init(struct part_legs *legs, struct request *request);
/* Gives the part to the leg of its partition's owner. */
void part_legs_add(struct part_legs *legs, struct part *part, const struct topic *topic,
                   const struct partition *partition);
void part_legs_go(struct part_legs *legs);

/* Inside look: why this partition cannot be asked, as Kafka's code; KAFKA_NONE when it can. leader_epoch is the one that the
 * client believes in, -1 when it does not say. Its log may still turn out to be unreadable. */
int16_t part_check(const struct partition *partition, int32_t leader_epoch, struct broker *at);
/* Inside look: the part is not looked at to the end yet; part_end follows on the same shard, perhaps at once. */
void part_wait(struct part *part);
void part_end(struct part *part);
