/*
 * A blocking connection to one broker, for commands that run for a moment: requests and their answers, with a deadline.
 *
 * Everything that a call returns lives until client_close. What went wrong is kept as one sentence for people; results
 * are the exit codes that a command ends with.
 */
#pragma once
#include <stdint.h>

#include <odradek/err.h>

#include "base/arena.h"
#include "client/args.h"
#include "wire/errors.h"
#include "wire/messages.h"

struct client;

struct client_options {
    const char *brokers;   /* "host:port,host:port": the first that answers is used; the port may be left out */
    const char *client_id; /* as the broker's lines show it */
    int64_t timeout_ms;    /* of connecting, and of each call */
};

/*
 * Connects and asks for the versions that both sides speak. ret_client is the caller's (client_close), also when this
 * fails: client_why says what happened then.
 *
 * EXIT_CODE_UNREACHABLE  nobody there, or somebody who does not speak the protocol
 * EXIT_CODE_TIMEOUT, EXIT_CODE_FAILURE
 */
ODK_MUST_USE enum exit_code client_open(const struct client_options *options, struct client **ret_client);
/* NULL is harmless. */
void client_close(struct client *client);

/* The latest sentence about a failure; "" when nothing has failed. */
const char *client_why(const struct client *client);
/* The address in use, "127.0.0.1:9092". */
const char *client_address(const struct client *client);
/* Memory for building requests; freed at close. Never NULL. */
void *client_alloc(struct client *client, size_t count, size_t size);
struct arena *client_arena(struct client *client);
#define client_new(client, type, count) ((type *)client_alloc((client), (count), sizeof(type)))

/* The highest version of an API that both sides speak, at most version_max; -1: there is none. */
int16_t client_version(const struct client *client, int16_t key, int16_t version_max);

/* What a call is about. Request and response are the generated structs of key. */
struct client_call {
    int16_t key;
    int16_t version; /* from client_version */
    const void *request;
    void *response; /* decoded into */
};
/* EXIT_CODE_OK: the response is there; its own error codes are the caller's. */
ODK_MUST_USE enum exit_code client_call(struct client *client, const struct client_call *call);
/* Several, sent in one piece before the first answer is waited for: the broker takes them one after the other, with
 * nothing of this connection in between. */
ODK_MUST_USE enum exit_code client_calls(struct client *client, const struct client_call *calls, size_t count);

/* The exit code that an error code of the protocol stands for. */
enum exit_code client_exit_code(int16_t error_code);

/* Waits, before something is asked again. */
void client_pause(struct client *client, int64_t ms);
/* A clock that never steps; origin arbitrary. */
int64_t client_mono_ms(const struct client *client);
/* The time, ms since 1970; 0 when there is no clock to be had. */
int64_t client_wall_ms(void);
