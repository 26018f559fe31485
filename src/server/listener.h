/*
 * Accepts connections on one reactor and hands them round-robin to all of them. Above a limit, or when the process is out
 * of descriptors, new connections are refused or left waiting, never the old ones harmed. Limits are those of the
 * reactor's broker at that moment.
 */
#pragma once
#include <odradek/io.h>

#include "base/timer.h"
#include "broker/broker.h"
#include "server/admission.h"

struct reactor;
struct listener;

struct listener_options {
    struct reactor *reactor;   /* where it accepts; calls only from its thread */
    struct reactor *reactors;  /* where connections may go */
    uint32_t reactor_count;
    struct admission *admission; /* the whole server's; entered here, left by whoever sees a connection go */
    struct odk_addr at;
    const char *name;          /* the listener's, as in advertised.listeners; alive as long as the server */
};

/*
 * Binds and starts to accept. ret_bound gets the address with the real port. Message on failure.
 *
 * ODK_ERR_BUSY  the address is in use; no message: a process that was killed may hold it a moment longer
 */
MUST_USE enum odk_err listener_open(const struct listener_options *options, struct listener **ret_listener,
                                    struct odk_addr *ret_bound);
/* Accepts nothing more; frees itself when the operation in flight has come back. */
void listener_close(struct listener *listener);
