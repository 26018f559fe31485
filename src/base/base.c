#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void assert_failed(const char *file, int line, const char *text)
{
    fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, text);
    abort();
}

void *xcalloc(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    ASSERT(memory != NULL);
    return memory;
}

void *xrealloc(void *old, size_t size)
{
    void *memory = realloc(old, size);
    ASSERT(memory != NULL);
    return memory;
}

char *xstrndup(const char *text, size_t len)
{
    char *copy = xcalloc(len + 1, 1);
    memcpy(copy, text, len);
    return copy;
}
