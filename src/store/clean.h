/* Compaction inside a store; see clean.c. */
#pragma once
#include "store/log.h"

/* A slice of work; true while there is more to do at once. */
bool clean_run(struct odk_store *store);
/* Finishes a swap that an earlier life began: segment stands in its .swap file. */
void clean_resume(struct odk_log *log, struct segment *segment);
/* True if an operation is in flight. */
bool clean_in_flight(const struct odk_store *store);
void clean_abandon(struct odk_store *store);
