/*
 * The ACL operations that exist for a kind of resource, as a bit set: what clients are told that they may do. Nobody is
 * refused anything here, so they may do all of it. Source: KIP-430.
 *
 * Read 3, write 4, create 5, delete 6, alter 7, describe 8, cluster action 9, describe configs 10, alter configs 11,
 * idempotent write 12.
 */
#pragma once

#define OPERATIONS_OF_TOPICS   (1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11)
#define OPERATIONS_OF_CLUSTERS (1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12)
#define OPERATIONS_OF_GROUPS   (1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11)

