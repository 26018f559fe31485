/*
 * One request in flight: from a whole frame to a reply that has left.
 *
 *   connection: request_init -> broker_request -> (handler replies, or parks and replies later) -> done
 *   connection: sends request->out, then request_release, then reuses the object
 *
 * A handler ends its request exactly once with request_done. Parked state lives in the arena; nothing is allocated
 * elsewhere. Memory that the reply points to (pinned batches) is given back in release.
 */
#pragma once
#include <odradek/bytes.h>
#include <odradek/io.h>

#include "base/arena.h"
#include "base/cursor.h"
#include "base/timer.h"
#include "broker/broker.h"
#include "wire/out.h"

enum request_end {
    REQUEST_REPLY,    /* out holds the whole response frame, length prefix included */
    REQUEST_NO_REPLY, /* acks=0 */
    REQUEST_CLOSE,    /* the connection must be closed without an answer */
};

/* What a handler may know of the connection. Stays alive while the request does. */
struct request_peer {
    struct odk_addr local;   /* the address that the client reached: what Metadata answers by default */
    const char *client_host; /* numeric */
    const char *listener;    /* its name in listeners, e.g. "PLAINTEXT" */
};

struct request {
    /* set by the connection */
    uint8_t *frame; /* behind the length prefix; writable (batches are patched in place); alive until done */
    size_t frame_len;
    const struct request_peer *peer;
    void (*done)(struct request *request, enum request_end end);
    void (*went_on)(struct request *request); /* NULL, or called when holds has become false */

    /* set by broker_request */
    struct broker *broker;
    struct rd body; /* behind the header */
    int16_t api_key;
    int16_t version;
    int32_t correlation_id;
    struct odk_str client_id;
    struct out out;
    bool ended;
    bool holds; /* works in steps: later requests of the connection must not start, even if they may overlap */

    /* the handler's */
    struct arena arena;
    void *state;
    void (*release)(struct request *request); /* NULL, or gives pinned memory back; runs once, on this shard */
    void (*cancel)(struct request *request);  /* NULL unless parked */
    struct timer deadline;
};

/* Prepares a zeroed or released request for a new frame; keeps its arena's block. */
void request_init(struct request *request, uint8_t *frame, size_t frame_len, const struct request_peer *peer,
                  void (*done)(struct request *request, enum request_end end));
/* Ends the request. The handler must not touch it afterwards. */
void request_done(struct request *request, enum request_end end);
/* After the reply has left or was dropped: gives pins back, resets the arena. */
void request_release(struct request *request);
/* Frees the arena. */
void request_deinit(struct request *request);

/* -- for handlers -------------------------------------------------------------------------------------------------- */

/* To be given the result of a decoder. False: the body is malformed or has bytes behind it; the request is ended then
 * and must not be touched. */
bool request_decoded(struct request *request, bool decoded);
/* Starts the response frame (length, correlation id, header tags) and returns where to encode the body. */
struct out *request_reply_begin(struct request *request);
/* To be given the result of an encoder: ends the request with the reply, or with REQUEST_CLOSE when it did not fit. */
void request_reply(struct request *request, bool encoded);
/* Ends the request without an answer, for the sake of a client that cannot be answered. */
void request_close(struct request *request);
/* Memory of the request's arena was refused: ends it with REQUEST_CLOSE and one rate-limited line. */
void request_too_large(struct request *request);
