/*
 * Attributes, assertions and small conversions that every file may use.
 *
 * ASSERT stays on in release builds: it states what must hold if our own code is right, and stops the
 * process when it does not. Errors of the world are values (odradek/err.h), never assertions.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include <odradek/err.h>

#define MUST_USE ODK_MUST_USE
#define COLD __attribute__((cold))
#define UNUSED __attribute__((unused))
#define PRINTF(fmt_idx, args_idx) __attribute__((format(printf, fmt_idx, args_idx)))

#define countof(array) (sizeof(array) / sizeof((array)[0]))
#define container_of(ptr, type, member) \
    ((type *)(void *)((char *)(1 ? (ptr) : &((type *)0)->member) - offsetof(type, member)))

/* Stops the process with file, line and the broken condition on stderr. */
COLD _Noreturn void assert_failed(const char *file, int line, const char *text);

#define ASSERT(condition) \
    (__builtin_expect(!(condition), 0) ? assert_failed(__FILE__, __LINE__, #condition) : (void)0)
#define UNREACHABLE() assert_failed(__FILE__, __LINE__, "unreachable")

/* VERIFY: checks of O(n) cost, compiled into test and debug builds only. */
#ifdef ODK_VERIFY
#define VERIFY(condition) ASSERT(condition)
#else
#define VERIFY(condition) ((void)sizeof(condition))
#endif

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* Rounds up and down to a power of two. */
static inline uint64_t align_up(uint64_t value, uint64_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}

static inline uint64_t align_down(uint64_t value, uint64_t alignment)
{
    return value & ~(alignment - 1);
}

/* Memory that the control plane needs: the process stops when there is none. */
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *old, size_t size);
char *xstrndup(const char *text, size_t len);
