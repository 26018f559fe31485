/*
 * One client connection: frames in, replies out in the order of the requests, bounded memory, two-phase close.
 *
 *   bytes -> frame (own buffer) -> slot (queued) -> broker -> slot (ended) -> sent -> slot free
 *
 * (C1) Replies leave in the order in which requests arrived.
 * (C2) A request is handed to the broker when all earlier ones of the connection have ended, or when it and they may
 *      overlap (broker_may_overlap: produces), so that pipelined producers are not slowed to one in flight.
 * (C3) At most CONN_SLOTS_MAX requests are held; then the socket is not read. None is handed to the broker while more than
 *      CONN_UNSENT_BYTES_MAX of replies have not left: who does not read gets no more memory.
 * (C4) The object is freed when the socket is closed, no operation is in flight and every request has come back.
 *
 * Callbacks of the io only note what happened; all work is done in conn_step, after the reactor has read the clock.
 */
#pragma once
#include "base/list.h"
#include "base/timer.h"
#include "broker/request.h"
#include "server/buffers.h"

struct reactor;

#define CONN_SLOTS_MAX 16u
#define CONN_HOST_BYTES 64u
#define CONN_UNSENT_BYTES_MAX (1u << 20)

enum slot_state { SLOT_QUEUED, SLOT_RUNNING, SLOT_ENDED };

struct slot {
    struct request request; /* first: the done callback finds the slot by it */
    struct conn *conn;
    struct list node;       /* conn->slots, or the reactor's free ones */
    struct buffer body;
    uint32_t body_len;
    size_t reply_bytes;     /* once ended */
    enum slot_state state;
    enum request_end end;
    bool may_overlap;
};

struct conn {
    uint32_t magic;
    struct reactor *reactor;
    struct list node;         /* reactor->conns */
    struct list ready_node;   /* reactor->ready: conn_step is due */
    struct list starved_node; /* reactor->starved: waits for budget */
    int32_t sock;
    struct request_peer peer;
    char host[CONN_HOST_BYTES];
    uint16_t port;
    struct timer timer;
    uint64_t active_ns;       /* last byte in or out, last request answered */
    uint64_t frame_start_ns;  /* 0: no partial frame */

    /* in */
    struct odk_io_op recv_op;
    uint8_t *chunk;           /* received bytes not consumed yet: a provided buffer of the io, or held */
    uint32_t chunk_len;
    uint32_t chunk_pos;
    struct buffer held;       /* a copy of such bytes while the connection is blocked */
    uint8_t prefix[4];
    uint32_t prefix_len;
    struct buffer body;       /* of the frame that is arriving */
    uint32_t body_len;
    uint32_t body_have;
    int32_t recv_result;

    /* out */
    struct list slots;        /* oldest first */
    uint32_t slot_count;
    uint32_t running_count;
    size_t unsent_bytes;      /* of replies that have not left */
    struct odk_io_op send_op;
    uint32_t sending_count;   /* slots whose replies are being sent */
    size_t sending_bytes;
    int32_t send_result;

    bool receiving, received; /* an operation is in flight; its result waits for conn_step */
    bool sending, sent;
    bool peer_done;           /* the peer has finished sending */
    bool draining;            /* the server stops: nothing new is read */
    bool closing;             /* socket shut down */
    bool privileged;          /* may exceed the budget for the frame that is arriving */
};

/* An accepted socket. */
struct arrival {
    int32_t sock;
    uint16_t port;              /* the client's */
    char host[CONN_HOST_BYTES]; /* its address, as it was counted */
    const char *listener;       /* the name of the one it came through; alive as long as the server */
};

/* Takes over a socket, or closes it at once when the reactor does not run any more. */
void conn_open(struct reactor *reactor, const struct arrival *arrival);
/* Ends the waiting of all requests that wait: nobody wants to hear of them later. They are answered as they stand. */
void conn_cancel(struct conn *conn);
/* Reads nothing more; closes when everything that was asked is answered. */
void conn_drain(struct conn *conn);
/* Closes now; replies that have not left are dropped. Safe to repeat. */
void conn_close(struct conn *conn);
/* Does what is due: consumes input, starts requests, sends replies, frees itself. The object may be gone afterwards. */
void conn_step(struct conn *conn);
/* Makes conn_step run in this tick. */
void conn_ready(struct conn *conn);
