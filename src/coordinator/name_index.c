#include "coordinator/name_index.h"

#include <stdlib.h>

#include "base/base.h"

void name_index_init(struct name_index *index)
{
    *index = (struct name_index){ 0 };
    list_init(&index->retired);
}

struct name_entry *name_index_find(const struct name_index *index, struct odk_str name)
{
    struct name_entry *entry = NULL;
    HASH_FIND(by_name, index->by_name, name.len ? name.data : "", name.len, entry);
    return entry;
}

struct name_entry *name_index_add(struct name_index *index, struct odk_str name, struct list *user)
{
    struct name_entry *entry = name_index_find(index, name);
    if (!entry) {
        entry = xcalloc(1, sizeof(*entry) + name.len + 1);
        list_init(&entry->users);
        if (name.len > 0)
            memcpy(entry->name, name.data, name.len);
        HASH_ADD_KEYPTR(by_name, index->by_name, entry->name, name.len, entry);
    }
    list_push_back(&entry->users, user);
    return entry;
}

void name_index_remove(struct name_index *index, struct name_entry *entry, struct list *user)
{
    list_remove(user);
    if (!list_empty(&entry->users))
        return;
    if (list_linked(&entry->retired))
        list_remove(&entry->retired);
    else
        HASH_DELETE(by_name, index->by_name, entry);
    free(entry);
}

void name_index_retire(struct name_index *index, struct name_entry *entry)
{
    HASH_DELETE(by_name, index->by_name, entry);
    list_push_back(&index->retired, &entry->retired);
}
