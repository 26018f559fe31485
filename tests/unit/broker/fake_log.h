/*
 * An engine in memory behind <odradek/store.h> and <odradek/log.h>: batches in an array, appends visible at the next
 * tick.
 *
 * It takes the real engine's place at link time, for tests that need what a real one does only by luck: reads that stay
 * pending until the test lets them go, reads that fail, and the number of pins that are out.
 */
#pragma once
#include <odradek/log.h>

/* Reads and searches that start from now on stay pending until fake_go. */
void fake_hold(struct odk_store *store);
/* Lets everything that is held complete at the next tick. */
void fake_go(struct odk_store *store);
/* How many reads and searches are held. */
uint32_t fake_held(const struct odk_store *store);
/* The next read ends with err. */
void fake_fail_next_read(struct odk_store *store, enum odk_err err);
/* Reads that were not released; batches are pinned as long. */
uint32_t fake_pins(const struct odk_store *store);
/* Reads that were ever started. */
uint32_t fake_reads(const struct odk_store *store);
/* Cuts the parts of every read to this many. 0: as many as there are. */
void fake_parts_max(struct odk_store *store, uint32_t parts);
/* Moves the start of a log. */
void fake_set_start(struct odk_log *log, int64_t offset);
