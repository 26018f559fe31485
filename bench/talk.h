/*
 * Connections to one broker for load programs: many of them in one thread, speaking the generated codec, so that
 * figures are the server's and not a client library's. Requests may be pipelined; answers come in their order.
 *
 * A connection that fails, or an answer that cannot be read, ends the program with a line: a figure of a run with
 * failures is worth nothing. Error codes inside answers are the caller's.
 */
#pragma once
#include <stdint.h>

#include "base/base.h"
#include "wire/errors.h"
#include "wire/messages.h"

struct talk_loop; /* all connections of a program, to one broker */
struct talk;      /* one connection */

struct talk_call {
    int16_t key, version;
    const void *request; /* the generated struct; encoded before talk_send returns */
    /* response: the generated struct, good until the next answer on this connection. May send and close nothing. */
    void (*answer)(void *context, const void *response, uint64_t took_ns);
    void *context;
};

/* broker: "127.0.0.1:9092". */
struct talk_loop *talk_loop_new(const char *broker);
void talk_loop_free(struct talk_loop *loop);

/* Connects. Closed with the loop, or before. */
struct talk *talk_open(struct talk_loop *loop);
void talk_close(struct talk *talk);

void talk_send(struct talk *talk, const struct talk_call *call);
/* Sends, and turns the loop until the answer is there; it is good until the next one on this connection. */
const void *talk_ask(struct talk *talk, int16_t key, int16_t version, const void *request);
/* Sends what waits, reads what came, at most timeout_ms of waiting. */
void talk_turn(struct talk_loop *loop, int timeout_ms);

uint64_t talk_now_ns(void);
/* Ends the program. */
PRINTF(1, 2) _Noreturn void talk_fatal(const char *format, ...);
