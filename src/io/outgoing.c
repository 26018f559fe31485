#include "io/outgoing.h"

#include <errno.h>
#include <limits.h>

#include "base/base.h"

void outgoing_next(struct outgoing *out, struct msghdr *ret_msg)
{
    *ret_msg = (struct msghdr){ 0 };
    if (out->head.iov_len > 0) {
        ret_msg->msg_iov = &out->head;
        ret_msg->msg_iovlen = 1;
        return;
    }
    union {
        const struct iovec *given;
        struct iovec *wanted;
    } iov = { .given = out->iov }; /* the system call's type says it may write; it does not */
    ret_msg->msg_iov = iov.wanted;
    ret_msg->msg_iovlen = MIN(out->count, (uint32_t)IOV_MAX);
}

static void outgoing_drop(struct outgoing *out, size_t bytes)
{
    if (out->head.iov_len > 0) {
        ASSERT(bytes <= out->head.iov_len);
        out->head.iov_base = (char *)out->head.iov_base + bytes;
        out->head.iov_len -= bytes;
        if (out->head.iov_len > 0)
            return;
        bytes = out->iov->iov_len; /* that vector is through now */
    }
    while (out->count > 0 && bytes >= out->iov->iov_len) {
        bytes -= out->iov->iov_len;
        out->iov++;
        out->count--;
    }
    if (bytes == 0)
        return;
    ASSERT(out->count > 0);
    out->head.iov_base = (char *)out->iov->iov_base + bytes;
    out->head.iov_len = out->iov->iov_len - bytes;
}

bool outgoing_advance(struct outgoing *out, int32_t result, int32_t *ret_result)
{
    if (result < 0) {
        *ret_result = result;
        return true;
    }
    uint32_t before = out->count;
    outgoing_drop(out, (size_t)result);
    out->sent += (uint32_t)result;
    if (out->count == 0) {
        *ret_result = (int32_t)MIN(out->sent, (uint32_t)INT32_MAX);
        return true;
    }
    if (result == 0 && out->count == before) { /* must not go round for ever */
        *ret_result = -EIO;
        return true;
    }
    return false;
}
