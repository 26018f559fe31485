/*
 * Where a send stands in the caller's vectors, which are never modified. After a short send inside a vector the rest
 * of that vector goes out alone (from head), then the untouched ones follow.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct outgoing {
    struct iovec head;       /* iov_len > 0: the rest of iov[0] */
    const struct iovec *iov; /* what has not been sent whole */
    uint32_t count;
    uint32_t sent; /* bytes */
};

/* What to send next, at most what one system call takes. */
void outgoing_next(struct outgoing *out, struct msghdr *ret_msg);
/* Takes the result of that send. True when nothing is left or it failed; ret_result is then the result of it all. */
bool outgoing_advance(struct outgoing *out, int32_t result, int32_t *ret_result);
