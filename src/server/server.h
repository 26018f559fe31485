/*
 * The running program: boots the data directory, starts one thread per reactor, listens, waits for a signal, and stops in
 * the order that loses nothing.
 *
 *   boot -> reactors open -> metadata replayed, logs opened -> listeners -> ready line
 *   signal -> listeners closed -> connections drained -> stores closed -> clean-shutdown marker
 */
#pragma once
#include <odradek/io.h>

#include "base/diag.h"
#include "broker/config.h"

#define SERVER_REACTORS_MAX 1024u /* num.reactors' own bound */

struct server_options {
    const char *data_dir;
    struct odk_addr listen[LISTENERS_MAX];
    const char *listen_names[LISTENERS_MAX];
    uint32_t listen_count;
    enum odk_io_kind io_kind;
    uint32_t reactor_count;
    const struct broker_config *config;
    const struct odk_diag *diag;
    struct odk_io *io;   /* posix, for the boot and for the time; the main thread's */
    uint64_t started_ns; /* when the process began, for the ready line */
};

/* Runs until SIGTERM or SIGINT. Returns the process's exit code: 0, 1 failure, 6 damaged data. */
int server_run(const struct server_options *options);
