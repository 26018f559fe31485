/*
 * Who uses a name, over all groups of a partition: what becomes of a topic costs what uses it, not what there is.
 *
 * A user is a list node of its own in what uses the name. Adding, removing and finding cost O(1).
 */
#pragma once
#include <stdbool.h>
#include <odradek/bytes.h>

#include "base/hash_table.h"
#include "base/list.h"

struct name_entry {
    struct list users;   /* in no particular order; never empty */
    struct list retired; /* linked: nobody finds it by its name any more */
    UT_hash_handle by_name;
    char name[];
};

struct name_index {
    struct name_entry *by_name;
    struct list retired;
};

void name_index_init(struct name_index *index);

static inline struct odk_str name_entry_text(const struct name_entry *entry)
{
    return (struct odk_str){ .data = entry->name, .len = entry->by_name.keylen };
}

/* NULL: nobody uses it. */
struct name_entry *name_index_find(const struct name_index *index, struct odk_str name);
/* The user joins those of this name, of which a copy is kept as long as there are any. */
struct name_entry *name_index_add(struct name_index *index, struct odk_str name, struct list *user);
/* The user is none any more; the entry may be freed by that, and its name with it. */
void name_index_remove(struct name_index *index, struct name_entry *entry, struct list *user);
/* The name begins anew: its users stay together in the entry, which is the last of index->retired now. */
void name_index_retire(struct name_index *index, struct name_entry *entry);
