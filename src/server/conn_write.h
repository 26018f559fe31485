/* The way out: ended slots -> one gathered send -> free slots. Part of conn.h; see there. */
#pragma once

struct conn;

/* Takes over the result of a finished send. */
void conn_write_finish(struct conn *conn);
/* Sends the replies at the head of the queue that are ready (C1). */
void conn_write_start(struct conn *conn);
/* Drops every slot; at the end of the connection. */
void conn_write_drop_all(struct conn *conn);
