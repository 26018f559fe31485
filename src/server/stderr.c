#include "server/stderr.h"

#include <stdio.h>
#include <time.h>

static const char *const level_names[] = { "debug", "info", "warn", "error" };

static void time_print(struct odk_io *io, char *dst, size_t len)
{
    int64_t wall_ms = io->ops->wall_ms(io);
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    (void)snprintf(dst, len, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                   parts.tm_hour, parts.tm_min, parts.tm_sec, (int)(wall_ms % 1000));
}

static void logfmt_quote(char *dst, size_t len, const char *text)
{
    size_t used = 0;
    for (; *text && used + 3 < len; text++) {
        if (*text == '"' || *text == '\\')
            dst[used++] = '\\';
        dst[used++] = *text;
    }
    dst[used] = '\0';
}

static void stderr_write(void *context, enum odk_diag_level level, const char *line)
{
    struct stderr_sink *sink = context;
    char when[48];
    time_print(sink->io, when, sizeof(when));
    if (sink->format == STDERR_TEXT) {
        fprintf(stderr, "%s %-5s %s\n", when, level_names[level], line);
        return;
    }
    char quoted[2048];
    logfmt_quote(quoted, sizeof(quoted), line);
    fprintf(stderr, "ts=%s level=%s msg=\"%s\"\n", when, level_names[level], quoted);
}

void stderr_sink_init(struct stderr_sink *sink, struct odk_io *io, enum stderr_format format,
                      enum odk_diag_level least)
{
    *sink = (struct stderr_sink){ .io = io, .format = format };
    sink->diag = (struct odk_diag){ .write = stderr_write, .context = sink, .least = least };
}
