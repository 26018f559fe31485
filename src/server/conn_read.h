/* The way in: received bytes -> frames -> slots -> broker. Part of conn.h; see there. */
#pragma once

struct conn;
struct slot;

/* Takes over the result of a finished receive. */
void conn_read_finish(struct conn *conn);
/* Cuts frames out of what has arrived, as far as slots and budget allow, and starts requests; drops what has arrived when
 * the connection closes. */
void conn_read_consume(struct conn *conn);
/* Receives more, if there is room for it. */
void conn_read_start(struct conn *conn);
/* Hands queued requests to the broker, as far as (C2) allows. */
void conn_read_dispatch(struct conn *conn);
/* No longer the one that may exceed the budget; harmless when it is not. */
void conn_read_privilege_end(struct conn *conn);
/* Gives up buffers; at the end of the connection. */
void conn_read_drop(struct conn *conn);
