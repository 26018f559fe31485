#include "client/lines.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"

#define BUF_BYTES_MIN ((size_t)64 * 1024)

void lines_init(struct lines *lines, int fd, int stop_fd)
{
    *lines = (struct lines){ .fd = fd, .stop_fd = stop_fd };
}

void lines_deinit(struct lines *lines)
{
    free(lines->buf);
    *lines = (struct lines){ .fd = -1, .stop_fd = -1 };
}

static void room_make(struct lines *lines)
{
    if (lines->begin > 0) {
        memmove(lines->buf, lines->buf + lines->begin, lines->end - lines->begin);
        lines->end -= lines->begin;
        lines->scanned -= lines->begin;
        lines->begin = 0;
    }
    if (lines->end < lines->capacity)
        return;
    lines->capacity = MAX(lines->capacity * 2, BUF_BYTES_MIN);
    lines->buf = xrealloc(lines->buf, lines->capacity);
}

static enum lines_result fill(struct lines *lines)
{
    struct pollfd fds[] = { { .fd = lines->fd, .events = POLLIN }, { .fd = lines->stop_fd, .events = POLLIN } };
    room_make(lines);
    int ready = poll(fds, countof(fds), -1);
    if (ready < 0)
        return errno == EINTR ? LINES_LINE : LINES_FAILED;
    if (fds[1].revents)
        return LINES_STOPPED;
    ssize_t got = read(lines->fd, lines->buf + lines->end, lines->capacity - lines->end);
    if (got < 0)
        return errno == EINTR || errno == EAGAIN ? LINES_LINE : LINES_FAILED;
    lines->ended = got == 0;
    lines->end += (size_t)got;
    return LINES_LINE;
}

enum lines_result lines_next(struct lines *lines, const char **ret_line, size_t *ret_len)
{
    for (;;) {
        char *from = lines->buf + lines->scanned;
        char *newline = lines->end > lines->scanned ? memchr(from, '\n', lines->end - lines->scanned) : NULL;
        bool rest = lines->ended && lines->end > lines->begin;
        lines->scanned = lines->end;
        if (newline || rest) {
            char *line = lines->buf + lines->begin;
            char *end = newline ? newline : lines->buf + lines->end;
            lines->begin = (size_t)(end - lines->buf) + (newline != NULL);
            lines->scanned = lines->begin;
            *ret_line = line;
            *ret_len = (size_t)(end - line);
            return LINES_LINE;
        }
        if (lines->ended)
            return LINES_END;
        enum lines_result result = fill(lines);
        if (result != LINES_LINE)
            return result;
    }
}
