/*
 * Keeps the process alive when a mapped page cannot be read (the file was cut, the device failed).
 *
 * The signal handler has nothing but the faulting address, so the mapped ranges stand in one process-wide table, the
 * only mutable file-scope object of this layer. It is lock-free: a slot is reserved by a compare-and-swap on its
 * start, filled, and published by storing the start last; the handler only reads.
 *
 * On a fault inside a known range the handler puts a page of zeros over the faulting page and sets broken in the map,
 * then the access is repeated and succeeds. A fault anywhere else kills the process as if there were no handler.
 */
#pragma once
#include <odradek/io.h>

#define SIGBUS_MAPS_MAX 65536u

/*
 * Returns a slot, or -ENFILE when SIGBUS_MAPS_MAX ranges are watched. map must not move until sigbus_forget.
 * Installs the handler, each time: a program without mappings keeps its own, and one that has replaced ours since
 * the last mapping is safe again.
 */
int32_t sigbus_watch(struct odk_io_map *map);
/* Before the range is unmapped. */
void sigbus_forget(int32_t slot);
