/*
 * One Kafka connection as a client library keeps it: connects, asks for the versions, pairs answers with requests,
 * notices silence, connects again.
 *
 * (K1) answers come in the order of the requests; anything else is a violation.
 * (K2) every request ends in exactly one of: answered, lost (the connection is gone), nothing (acks=0).
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include <odradek/io.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/prng.h"
#include "broker_model.h"
#include "sim_client.h"
#include "wire/table.h"

#define KCLIENT_KEYS 128

struct kclient;

/* One request that waits for its answer. The context is the caller's. */
struct kcall {
    struct list in_client;
    int16_t key, version;
    int32_t correlation_id;
    uint64_t sent_ns;
    uint64_t moment; /* of the model, when it was sent */
    void *context;
};

struct kclient_options {
    struct odk_io *io;
    struct odk_addr to;
    struct model *model;
    uint64_t seed;
    void *owner;
    /* Exactly one of these per request; body is the decoded response, valid during the call. */
    void (*answered)(void *owner, const struct kcall *call, const void *body);
    void (*lost)(void *owner, const struct kcall *call);
};

/* How patient clients are, and what they may hold against the broker; the same for all. */
struct kclient_mood {
    uint64_t timeout_ns; /* a request unanswered for so long: the connection is given up */
    bool calm;           /* there are no faults, so giving up is a violation; counts for connections made since */
    uint32_t calm_count; /* rises when calm begins */
    uint32_t life;       /* of the broker */
    bool unforgiving;    /* nothing explains silence on any connection made in this life */
    bool restless;       /* clients read slowly and hang up now and then */
};

enum kclient_state { KCLIENT_WAITING, KCLIENT_CONNECTING, KCLIENT_GREETING, KCLIENT_READY };

struct kclient {
    struct kclient_options options;
    const struct kclient_mood *mood;
    struct sim_client *client;
    enum kclient_state state;
    struct prng rng;
    struct arena arena;
    struct list calls; /* oldest first */
    uint32_t call_count;
    int32_t next_correlation_id;
    uint64_t next_try_ns;
    uint64_t began_ns;       /* connecting, or greeting */
    uint32_t failures;       /* since the last answer */
    uint32_t serial;         /* of the connection */
    uint32_t life;           /* of the broker, when the connection was begun */
    uint64_t pause_until_ns; /* it reads nothing until then; 0: it reads */
    uint32_t calm_born;      /* mood->calm_count when the connection was begun in calm; 0: not in calm */
    bool careless;           /* it sent what the broker may answer by closing (acks=0) */
    int16_t version_min[KCLIENT_KEYS], version_max[KCLIENT_KEYS]; /* as the broker said; max < min: unknown */
};

void kclient_init(struct kclient *k, const struct kclient_options *options, const struct kclient_mood *mood);
/* The owner hears of no lost requests. */
void kclient_deinit(struct kclient *k);
/* Does what is due. True when requests may be sent. */
bool kclient_step(struct kclient *k, uint64_t now_ns);
/* The connection was made in calm that lasts: the broker owes it everything it promises. */
bool kclient_promised(const struct kclient *k);
/* When step wants to be called although nothing arrives. */
uint64_t kclient_next_ns(const struct kclient *k);
/* Gives the connection up; the requests in the air are lost. */
void kclient_drop(struct kclient *k, uint64_t now_ns);
/* A drawn version that both sides speak, within [least, most]; -1 when there is none. */
int16_t kclient_version(struct kclient *k, int16_t key, int16_t least, int16_t most);
enum kclient_expect { KCLIENT_ANSWER, KCLIENT_NO_ANSWER };
/* Encodes and sends. */
void kclient_send(struct kclient *k, int16_t key, int16_t version, const void *message, enum kclient_expect expect,
                  void *context, uint64_t now_ns);
