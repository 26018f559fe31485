/* Lines from a file descriptor, waiting for either more input or a second descriptor that says stop. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct lines {
    char *buf;
    size_t capacity;
    size_t begin;   /* of what was not returned yet */
    size_t scanned; /* no newline in [begin, scanned) */
    size_t end;
    int fd;
    int stop_fd; /* readable: stop; -1: none */
    bool ended;
};

enum lines_result {
    LINES_LINE,
    LINES_END,
    LINES_STOPPED, /* stop_fd became readable first */
    LINES_FAILED,  /* errno says why */
};

/* Owns nothing but its buffer. */
void lines_init(struct lines *lines, int fd, int stop_fd);
void lines_deinit(struct lines *lines);
/* The next line without its newline, a view good until the next call; the last one need not have a newline. */
enum lines_result lines_next(struct lines *lines, const char **ret_line, size_t *ret_len);
