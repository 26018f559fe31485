/* Diagnostics on standard error: text for people, or logfmt for collectors. */
#pragma once
#include <odradek/io.h>

#include "base/diag.h"

enum stderr_format { STDERR_TEXT, STDERR_LOGFMT };

struct stderr_sink {
    struct odk_diag diag; /* hand out &sink.diag */
    struct odk_io *io;    /* for the time of day only; its clock may be read from any thread */
    enum stderr_format format;
};

void stderr_sink_init(struct stderr_sink *sink, struct odk_io *io, enum stderr_format format,
                      enum odk_diag_level least);
