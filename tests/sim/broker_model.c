#include "broker_model.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"

#define TIME_ORIGIN INT64_C(1600000000000)
#define RECORDS_MAX 5
#define CHECKED_FROM                                                                                                   \
    16u /* of a batch; base offset, length and leader epoch before it are the broker's or checked apart */

void violation_set(struct violation *violation, const char *format, ...)
{
    if (violation->found)
        return;
    violation->found = true;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(violation->text, sizeof(violation->text), format, args);
    va_end(args);
}

void model_init(struct model *model, struct violation *violation)
{
    *model = (struct model){ .violation = violation, .moment = 1 };
}

void model_deinit(struct model *model)
{
    for (uint32_t i = 0; i < model->topic_count; i++) {
        for (int32_t p = 0; p < model->topics[i]->part_count; p++)
            free(model->topics[i]->parts[p].places);
        free(model->topics[i]);
    }
    free(model->topics);
    for (uint64_t i = 0; i < model->batch_count; i++) {
        free(model->batches[i]->bytes);
        free(model->batches[i]);
    }
    free(model->batches);
    free(model->stream_next);
    *model = (struct model){ 0 };
}

static void fold(struct model *model, uint64_t value)
{
    model->fold = (model->fold ^ value) * UINT64_C(0x9fb21c651e98df25);
    model->fold ^= model->fold >> 29;
}

/* -- topics ------------------------------------------------------------------------------------------------------- */

struct model_topic *model_topic_named(const struct model *model, const char *name)
{
    for (uint32_t i = model->topic_count; i-- > 0;) {
        struct model_topic *topic = model->topics[i];
        if (topic->state != TOPIC_GONE && strcmp(topic->name, name) == 0)
            return topic;
    }
    return NULL;
}

struct model_topic *model_topic_by_id(const struct model *model, struct odk_uuid id)
{
    for (uint32_t i = 0; i < model->topic_count; i++) {
        if (odk_uuid_eq(model->topics[i]->id, id))
            return model->topics[i];
    }
    return NULL;
}

static struct model_topic *topic_add(struct model *model, struct odk_str name, struct odk_uuid id, int32_t part_count)
{
    struct model_topic *topic = xcalloc(1, sizeof(*topic));
    ASSERT(name.len < sizeof(topic->name));
    memcpy(topic->name, name.data, name.len);
    topic->id = id;
    topic->short_lived = name.data[0] == 's';
    topic->live_moment = ++model->moment;
    topic->part_count = part_count;
    for (int32_t i = 0; i < MODEL_PARTS_MAX; i++)
        topic->parts[i] = (struct model_part){ .topic = topic, .index = i };
    model->topics = xrealloc(model->topics, (model->topic_count + 1) * sizeof(struct model_topic *));
    model->topics[model->topic_count++] = topic;
    return topic;
}

struct model_topic *model_topic_seen(struct model *model, struct odk_str name, struct odk_uuid id, int32_t part_count,
                                     uint64_t sent)
{
    struct model_topic *topic = model_topic_by_id(model, id);
    fold(model, (uint64_t)part_count);
    if (part_count < 1 || part_count > MODEL_PARTS_MAX || name.len >= sizeof(topic->name)) {
        violation_set(model->violation, "topic %.*s has %d partitions", ODK_STR_FMT(name), part_count);
        return NULL;
    }
    if (topic == NULL) {
        for (uint32_t i = 0; i < model->topic_count; i++) {
            struct model_topic *other = model->topics[i];
            if (odk_str_eq(odk_str_from(other->name), name) && other->state == TOPIC_LIVE) {
                violation_set(model->violation, "topic %s has another id than before", other->name);
                return NULL;
            }
        }
        return topic_add(model, name, id, part_count);
    }
    if (topic->state == TOPIC_GONE && topic->gone_moment < sent)
        violation_set(model->violation, "topic %s is back after its deletion was acknowledged", topic->name);
    if (part_count > topic->part_count && part_count <= topic->asked_count)
        model_topic_grown(model, topic, part_count);
    bool older = part_count < topic->part_count && sent < topic->grown_moment; /* asked before it was known to grow */
    if (!odk_str_eq(odk_str_from(topic->name), name) || (topic->part_count != part_count && !older))
        violation_set(model->violation, "topic %s had %d partitions, now %.*s has %d", topic->name, topic->part_count,
                      ODK_STR_FMT(name), part_count);
    return model->violation->found ? NULL : topic;
}

void model_topics_all(struct model *model, uint64_t sent, bool (*seen)(void *context, const struct model_topic *topic),
                      void *context)
{
    for (uint32_t i = 0; i < model->topic_count; i++) {
        const struct model_topic *topic = model->topics[i];
        bool shown = seen(context, topic);
        if (topic->state == TOPIC_LIVE && topic->live_moment < sent && !shown)
            violation_set(model->violation, "topic %s is missing", topic->name);
    }
}

void model_topic_doom(struct model *model, struct model_topic *topic)
{
    model->moment++;
    if (topic->state == TOPIC_LIVE)
        topic->state = TOPIC_DOOMED;
}

void model_topic_gone(struct model *model, struct model_topic *topic)
{
    fold(model, 0xde1e);
    if (topic->state == TOPIC_GONE)
        return;
    topic->state = TOPIC_GONE;
    topic->gone_moment = ++model->moment;
}

void model_topic_grow(struct model *model, struct model_topic *topic, int32_t part_count)
{
    model->moment++;
    topic->asked_count = MAX(topic->asked_count, part_count);
}

void model_topic_grown(struct model *model, struct model_topic *topic, int32_t part_count)
{
    fold(model, 0x960 + (uint64_t)part_count);
    if (part_count <= topic->part_count)
        return;
    topic->part_count = part_count;
    topic->grown_moment = ++model->moment;
}

/* -- settings ----------------------------------------------------------------------------------------------------- */

uint64_t model_setting_next(struct model_setting *setting)
{
    setting->last++;
    setting->open = xrealloc(setting->open, (setting->last + 1) * sizeof(*setting->open));
    setting->open[0] = false;
    setting->open[setting->last] = true;
    return setting->last;
}

void model_setting_acked(struct model *model, struct model_setting *setting, uint64_t value)
{
    fold(model, value);
    setting->acked = value;
    setting->open[value] = false;
}

void model_setting_refused(struct model_setting *setting, uint64_t value)
{
    setting->open[value] = false;
}

void model_setting_seen(struct model *model, const struct model_setting *setting, uint64_t value)
{
    fold(model, value);
    if (value != setting->acked && (value > setting->last || !setting->open[value]))
        violation_set(model->violation, "setting of %s is %llu, was acknowledged as %llu", setting->name,
                      (unsigned long long)value, (unsigned long long)setting->acked);
}

/* -- batches ------------------------------------------------------------------------------------------------------ */

int64_t model_timestamp(uint64_t id)
{
    return TIME_ORIGIN + (int64_t)id;
}

uint32_t model_stream_new(struct model *model)
{
    return model->stream_count++;
}

static size_t value_most(struct prng *rng, bool fat)
{
    if (prng_chance(rng, fat ? 400000 : 20000))
        return 3000;
    return prng_chance(rng, 300000) ? 800 : 120;
}

static struct model_batch *batch_add(struct model *model)
{
    if (model->batch_count == model->batch_cap) {
        model->batch_cap = MAX(UINT64_C(64), model->batch_cap * 2);
        model->batches = xrealloc(model->batches, model->batch_cap * sizeof(struct model_batch *));
    }
    struct model_batch *batch = xcalloc(1, sizeof(*batch));
    batch->id = model->batch_count;
    model->batches[model->batch_count++] = batch;
    return batch;
}

struct model_batch *model_batch_new(struct model *model, struct prng *rng, const struct model_batch_spec *spec)
{
    struct odk_record_new records[RECORDS_MAX];
    uint8_t value[3000];
    struct model_batch *batch = batch_add(model);
    size_t most = value_most(rng, spec->fat);
    for (size_t i = 0; i < most; i += 8) {
        uint64_t word = prng_next(rng);
        memcpy(value + i, &word, MIN(sizeof(word), most - i));
    }
    batch->record_count = (int32_t)prng_between(rng, 1, RECORDS_MAX);
    for (int32_t i = 0; i < batch->record_count; i++)
        records[i] = (struct odk_record_new){ .timestamp = model_timestamp(batch->id),
                                              .value = { .data = value, .len = prng_below(rng, most) } };
    struct odk_batch_new build = { .producer_id = spec->producer_id,
                                   .producer_epoch = spec->producer_epoch,
                                   .base_sequence = spec->sequence,
                                   .records = records,
                                   .record_count = batch->record_count };
    enum odk_err err = odk_batch_build(&build, &batch->bytes, &batch->len);
    ASSERT(err == ODK_OK);
    batch->part = spec->part;
    batch->stream = spec->stream;
    batch->sequence = spec->sequence;
    batch->producer_id = spec->producer_id;
    return batch;
}

/* First place whose end lies behind offset. */
static uint32_t place_find(const struct model_part *part, int64_t offset)
{
    uint32_t low = 0, high = part->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (part->places[middle].next > offset)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void place_insert(struct model_part *part, uint32_t at, struct model_place place)
{
    if (part->count == part->cap) {
        part->cap = MAX(16u, part->cap * 2);
        part->places = xrealloc(part->places, part->cap * sizeof(struct model_place));
    }
    memmove(part->places + at + 1, part->places + at, (part->count - at) * sizeof(struct model_place));
    part->places[at] = place;
    part->count++;
}

/* The batch stands at base: new, or known already, or a contradiction. */
static void place_note(struct model *model, struct model_part *part, struct model_batch *batch, int64_t base,
                       const char *how)
{
    struct model_place place = { .base = base, .next = base + batch->record_count, .batch = batch };
    uint32_t at = place_find(part, base);
    const struct model_place *there = at < part->count ? &part->places[at] : NULL;
    fold(model, (uint64_t)base << 20 ^ batch->id);
    if (there && there->base == base && there->batch == batch)
        return;
    if (there && there->base < place.next) {
        violation_set(model->violation,
                      "%s-%d: batch %" PRIu64 " is %s at %" PRId64 "..%" PRId64 ", but batch %" PRIu64
                      " (%s) stood at %" PRId64 "..%" PRId64,
                      part->topic->name, part->index, batch->id, how, base, place.next - 1, there->batch->id,
                      there->batch->acked ? "acknowledged" : "read", there->base, there->next - 1);
        return;
    }
    batch->places++;
    if (batch->places > (batch->sequence >= 0 ? 1 : batch->sends))
        violation_set(model->violation,
                      "%s-%d: batch %" PRIu64 ", sent %u times%s, is %s at %" PRId64 " as its place %u",
                      part->topic->name, part->index, batch->id, batch->sends,
                      batch->sequence >= 0 ? " by an idempotent producer" : "", how, base, batch->places);
    place_insert(part, at, place);
}

void model_acked(struct model *model, struct model_batch *batch, int64_t base)
{
    struct model_part *part = batch->part;
    model->moment++;
    if (base < 0) {
        violation_set(model->violation, "%s-%d: batch %" PRIu64 " is acknowledged at %" PRId64, part->topic->name,
                      part->index, batch->id, base);
        return;
    }
    place_note(model, part, batch, base, "acknowledged");
    batch->acked = true;
    part->shown_end = MAX(part->shown_end, base + batch->record_count);
}

void model_show_end(struct model *model, struct model_part *part, int64_t end, int64_t end_known)
{
    fold(model, (uint64_t)end);
    if (end < end_known)
        violation_set(model->violation, "%s-%d: the end is %" PRId64 " after %" PRId64 " was shown", part->topic->name,
                      part->index, end, end_known);
    part->shown_end = MAX(part->shown_end, end);
}

/* Which batch these bytes are; NULL after a violation. */
static struct model_batch *batch_recognise(struct model *model, const struct model_part *part,
                                           const struct odk_batch *header, const uint8_t *bytes)
{
    uint64_t id = (uint64_t)(header->base_timestamp - TIME_ORIGIN);
    if (header->base_timestamp < TIME_ORIGIN || id >= model->batch_count) {
        violation_set(model->violation, "%s-%d: at %" PRId64 " stands a batch that nobody made", part->topic->name,
                      part->index, header->base_offset);
        return NULL;
    }
    struct model_batch *batch = model->batches[id];
    if (batch->part != part || batch->sends == 0) {
        violation_set(model->violation, "%s-%d: at %" PRId64 " stands batch %" PRIu64 ", which was %s",
                      part->topic->name, part->index, header->base_offset, id,
                      batch->sends ? "sent to another partition" : "never sent");
        return NULL;
    }
    if (odk_batch_bytes(header) != batch->len ||
        memcmp(bytes + CHECKED_FROM, batch->bytes + CHECKED_FROM, batch->len - CHECKED_FROM) != 0) {
        violation_set(model->violation, "%s-%d: at %" PRId64 " batch %" PRIu64 " has other bytes than were sent",
                      part->topic->name, part->index, header->base_offset, id);
        return NULL;
    }
    return batch;
}

int64_t model_read(struct model *model, struct model_part *part, int64_t offset, struct odk_bytes bytes)
{
    int64_t next = offset;
    bool first = true;
    for (size_t at = 0; at < bytes.len;) {
        struct odk_batch header;
        enum odk_err err = odk_batch_decode(bytes.data + at, bytes.len - at, &header);
        if (err != ODK_OK || odk_batch_bytes(&header) > bytes.len - at) {
            violation_set(model->violation,
                          "%s-%d: a fetch from %" PRId64 " delivers no whole batch at byte %zu of %zu",
                          part->topic->name, part->index, offset, at, bytes.len);
            return -1;
        }
        bool fits = first ? header.base_offset <= offset && odk_batch_next_offset(&header) > offset
                          : header.base_offset == next;
        if (!fits)
            violation_set(
                model->violation,
                "%s-%d: a fetch from %" PRId64 " delivers %" PRId64 "..%" PRId64 " where %" PRId64 " must stand",
                part->topic->name, part->index, offset, header.base_offset, odk_batch_last_offset(&header), next);
        struct model_batch *batch = batch_recognise(model, part, &header, bytes.data + at);
        if (batch != NULL)
            place_note(model, part, batch, header.base_offset, "read");
        if (model->violation->found)
            return -1;
        next = odk_batch_next_offset(&header);
        first = false;
        at += odk_batch_bytes(&header);
    }
    part->shown_end = MAX(part->shown_end, next);
    return next;
}

void model_found_time(struct model *model, struct model_part *part, int64_t wanted, int64_t offset, int64_t timestamp,
                      int64_t end_known)
{
    fold(model, (uint64_t)offset);
    for (uint32_t i = 0; i < part->count; i++) {
        const struct model_place *place = &part->places[i];
        if (offset >= 0 && place->base >= offset)
            break;
        bool inside = offset >= 0 && place->next > offset;
        int64_t stamp = model_timestamp(place->batch->id);
        if (!inside && place->next <= end_known && stamp >= wanted && place->base >= part->start_asked)
            violation_set(model->violation,
                          "%s-%d: asked for time %" PRId64 ", got offset %" PRId64 ", but %" PRId64
                          " has time %" PRId64,
                          part->topic->name, part->index, wanted, offset, place->base, stamp);
    }
    if (offset < 0)
        return;
    uint32_t at = place_find(part, offset);
    if (timestamp < wanted)
        violation_set(model->violation, "%s-%d: asked for time %" PRId64 ", got offset %" PRId64 " of time %" PRId64,
                      part->topic->name, part->index, wanted, offset, timestamp);
    if (at < part->count && part->places[at].base <= offset && model_timestamp(part->places[at].batch->id) != timestamp)
        violation_set(model->violation, "%s-%d: offset %" PRId64 " is said to have time %" PRId64, part->topic->name,
                      part->index, offset, timestamp);
}

void model_found_max_time(struct model *model, struct model_part *part, int64_t offset, int64_t timestamp,
                          int64_t end_known)
{
    fold(model, (uint64_t)offset);
    for (uint32_t i = 0; i < part->count; i++) {
        const struct model_place *place = &part->places[i];
        int64_t stamp = model_timestamp(place->batch->id);
        bool inside = place->base <= offset && offset < place->next;
        bool there = place->next <= end_known && place->base >= part->start_asked;
        if ((there && stamp > timestamp) || (inside && stamp != timestamp))
            violation_set(model->violation,
                          "%s-%d: the largest time is said to be %" PRId64 " at %" PRId64 ", but %" PRId64
                          " has %" PRId64,
                          part->topic->name, part->index, timestamp, offset, place->base, stamp);
    }
}

/* -- the whole log ------------------------------------------------------------------------------------------------ */

/* In stream_next: the beginning of the stream may be cut off. */
#define STREAM_CUT (-1)

/* B5 for one batch, in the order of offsets. */
static void check_order(struct model *model, const struct model_part *part, const struct model_place *place)
{
    const struct model_batch *batch = place->batch;
    if (batch->stream == MODEL_NO_STREAM)
        return;
    int64_t *next = &model->stream_next[batch->stream];
    if (batch->sequence >= 0) {
        if (batch->sequence != *next && *next != STREAM_CUT)
            violation_set(model->violation,
                          "%s-%d: at %" PRId64 " stands sequence %d of producer %" PRId64 ", where %" PRId64
                          " must follow",
                          part->topic->name, part->index, place->base, batch->sequence, batch->producer_id, *next);
        *next = batch->sequence + batch->record_count;
        return;
    }
    if (batch->sends > 1)
        return;
    if ((int64_t)batch->id < *next)
        violation_set(model->violation,
                      "%s-%d: at %" PRId64 " batch %" PRIu64 " stands behind a later one of its sender",
                      part->topic->name, part->index, place->base, batch->id);
    *next = (int64_t)batch->id;
}

void model_check_part(struct model *model, struct model_part *part, int64_t start, int64_t end)
{
    free(model->stream_next);
    model->stream_next = xcalloc(model->stream_count + 1, sizeof(int64_t));
    for (uint32_t i = 0; start > 0 && i <= model->stream_count; i++)
        model->stream_next[i] = STREAM_CUT;
    int64_t next = start;
    for (uint32_t i = place_find(part, start); i < part->count && !model->violation->found; i++) {
        const struct model_place *place = &part->places[i];
        if (place->base != next && !(next == start && place->base < start)) /* the start may lie within a batch */
            violation_set(model->violation, "%s-%d: nothing stands between %" PRId64 " and %" PRId64, part->topic->name,
                          part->index, next, place->base);
        next = place->next;
        check_order(model, part, place);
    }
    if (next < end)
        violation_set(model->violation, "%s-%d: nothing stands between %" PRId64 " and the end %" PRId64,
                      part->topic->name, part->index, next, end);
    if (end < part->shown_end)
        violation_set(model->violation, "%s-%d: ends at %" PRId64 " after %" PRId64 " was shown", part->topic->name,
                      part->index, end, part->shown_end);
}

/* -- the start of a log -------------------------------------------------------------------------------------------- */

void model_start_ask(struct model_part *part, int64_t start)
{
    part->start_asked = MAX(part->start_asked, start);
}

void model_show_start(struct model *model, const struct model_part *part, int64_t start, int64_t start_known)
{
    fold(model, (uint64_t)start);
    if (start < start_known || start > part->start_asked)
        violation_set(model->violation,
                      "%s-%d: begins at %" PRId64 " after %" PRId64 " was acknowledged and %" PRId64 " asked for",
                      part->topic->name, part->index, start, start_known, part->start_asked);
}

void model_start_acked(struct model *model, struct model_part *part, int64_t start, int64_t wanted)
{
    model_show_start(model, part, start, wanted);
    part->start_acked = MAX(part->start_acked, start);
}
