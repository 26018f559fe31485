#include "coordinator/offsets.h"

#include <stdlib.h>

#include "base/base.h"
#include "base/limits.h"

/* What an allocation takes besides its bytes. */
#define ALLOC_BYTES 16u
/* A topic, and the name that it may be the only one to use. */
#define TOPIC_BYTES (sizeof(struct offsets_topic) + sizeof(struct name_entry) + 4 * ALLOC_BYTES)

struct offsets_topic *offsets_topic_find(const struct offsets *offsets, struct odk_str name)
{
    struct offsets_topic *topic = NULL;
    HASH_FIND(by_name, offsets->by_name, name.len ? name.data : "", name.len, topic);
    return topic;
}

/* The page and the bit of a partition; page NULL: there is none. */
static struct offsets_page *page_of(const struct offsets_topic *topic, int32_t partition, uint32_t *ret_bit)
{
    *ret_bit = (uint32_t)partition % OFFSETS_PAGE;
    int32_t page = partition / OFFSETS_PAGE;
    return partition >= 0 && page < topic->page_count ? topic->pages[page] : NULL;
}

const struct offset_fact *offsets_topic_fact(const struct offsets_topic *topic, int32_t partition)
{
    uint32_t bit;
    const struct offsets_page *page = page_of(topic, partition, &bit);
    return page && (page->present & 1u << bit) ? &page->facts[bit] : NULL;
}

int32_t offsets_topic_next(const struct offsets_topic *topic, int32_t partition)
{
    while (partition / OFFSETS_PAGE < topic->page_count) {
        uint32_t bit;
        const struct offsets_page *page = page_of(topic, partition, &bit);
        uint32_t rest = page ? (uint32_t)page->present >> bit : 0;
        if (rest != 0)
            return partition + __builtin_ctz(rest);
        partition = (partition / OFFSETS_PAGE + 1) * OFFSETS_PAGE;
    }
    return -1;
}

/* -- changes ------------------------------------------------------------------------------------------------------ */

static size_t metadata_weight(struct odk_str metadata)
{
    return metadata.len > 0 ? metadata.len + ALLOC_BYTES : 0;
}

static void fact_free(struct offsets *offsets, struct offset_fact *fact)
{
    offsets->metadata_bytes -= fact->metadata.len;
    offsets->bytes -= metadata_weight(fact->metadata);
    if (fact->metadata.len > 0)
        free((char *)(uintptr_t)fact->metadata.data);
    *fact = (struct offset_fact){ 0 };
}

static struct offsets_topic *topic_take(struct offsets *offsets, struct odk_str name)
{
    struct offsets_topic *topic = offsets_topic_find(offsets, name);
    if (topic)
        return topic;
    topic = xcalloc(1, sizeof(*topic));
    topic->of = offsets;
    topic->name = name_index_add(offsets->index, name, &topic->same_name);
    HASH_ADD_KEYPTR(by_name, offsets->by_name, topic->name->name, name.len, topic);
    offsets->bytes += TOPIC_BYTES + name.len;
    return topic;
}

static void topic_free(struct offsets *offsets, struct offsets_topic *topic)
{
    HASH_DELETE(by_name, offsets->by_name, topic);
    offsets->bytes -= TOPIC_BYTES + offsets_topic_name(topic).len + (size_t)topic->page_count * sizeof(*topic->pages);
    name_index_remove(offsets->index, topic->name, &topic->same_name);
    for (int32_t i = 0; i < topic->page_count; i++) {
        offsets->bytes -= topic->pages[i] ? sizeof(*topic->pages[i]) + ALLOC_BYTES : 0;
        free(topic->pages[i]);
    }
    free(topic->pages);
    free(topic);
}

static struct offsets_page *page_take(struct offsets_topic *topic, int32_t page)
{
    if (page >= topic->page_count) {
        size_t old = (size_t)topic->page_count, count = (size_t)page + 1;
        topic->pages = xrealloc(topic->pages, count * sizeof(*topic->pages));
        memset(topic->pages + old, 0, (count - old) * sizeof(*topic->pages));
        topic->page_count = page + 1;
        topic->of->bytes += (count - old) * sizeof(*topic->pages);
    }
    if (!topic->pages[page]) {
        topic->pages[page] = xcalloc(1, sizeof(*topic->pages[page]));
        topic->of->bytes += sizeof(*topic->pages[page]) + ALLOC_BYTES;
    }
    return topic->pages[page];
}

static void fact_set(struct offsets *offsets, struct odk_str name, int32_t partition, const struct offset_fact *fact)
{
    struct offsets_topic *topic = topic_take(offsets, name);
    struct offsets_page *page = page_take(topic, partition / OFFSETS_PAGE);
    uint32_t bit = (uint32_t)partition % OFFSETS_PAGE;
    struct offset_fact *slot = &page->facts[bit];
    struct odk_str metadata = ODK_STR("");
    if (fact->metadata.len > 0)
        metadata = (struct odk_str){ xstrndup(fact->metadata.data, fact->metadata.len), fact->metadata.len };
    if (page->present & 1u << bit) {
        fact_free(offsets, slot);
    } else {
        page->present = (uint16_t)(page->present | 1u << bit);
        topic->count++;
        offsets->count++;
    }
    *slot = *fact;
    slot->metadata = metadata;
    offsets->metadata_bytes += metadata.len;
    offsets->bytes += metadata_weight(metadata);
}

static void fact_forget(struct offsets *offsets, struct odk_str name, int32_t partition)
{
    struct offsets_topic *topic = offsets_topic_find(offsets, name);
    uint32_t bit;
    struct offsets_page *page = topic ? page_of(topic, partition, &bit) : NULL;
    if (!page || !(page->present & 1u << bit))
        return;
    fact_free(offsets, &page->facts[bit]);
    page->present = (uint16_t)(page->present & ~(1u << bit));
    offsets->count--;
    if (--topic->count == 0)
        topic_free(offsets, topic);
}

void offsets_apply(struct offsets *offsets, struct odk_str topic, int32_t partition, const struct offset_fact *fact)
{
    ASSERT(partition >= 0 && partition < PARTITIONS_PER_TOPIC_MAX);
    if (fact)
        fact_set(offsets, topic, partition, fact);
    else
        fact_forget(offsets, topic, partition);
}

void offsets_clear(struct offsets *offsets)
{
    struct offsets_topic *topic, *next;
    HASH_ITER(by_name, offsets->by_name, topic, next)
    {
        int32_t after;
        for (int32_t partition = offsets_topic_next(topic, 0); partition >= 0; partition = after) {
            after = offsets_topic_next(topic, partition + 1);
            fact_forget(offsets, offsets_topic_name(topic), partition);
        }
    }
    ASSERT(offsets->count == 0);
    ASSERT(offsets->metadata_bytes == 0);
    ASSERT(offsets->bytes == 0);
}
