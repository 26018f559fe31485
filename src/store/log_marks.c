#include "store/log.h"
#include "store/store.h"

void log_marks_add(struct log_body *body, uint64_t position, uint64_t seq)
{
    if (body->mark_count > 0 && body->marks[body->mark_count - 1].seq == seq)
        return;
    if (body->mark_count == LOG_MARKS) { /* every other one goes: what it covered counts as older, never as newer */
        for (uint32_t i = 0; i < LOG_MARKS / 2; i++)
            body->marks[i] = body->marks[2 * i];
        body->mark_count = LOG_MARKS / 2;
    }
    body->marks[body->mark_count++] = (struct seq_mark){ .position = position, .seq = seq };
}

void log_marks_advance(struct log_body *body, uint64_t position)
{
    uint32_t gone = 0;
    while (gone + 1 < body->mark_count && body->marks[gone + 1].position <= position)
        gone++;
    for (uint32_t i = gone; i < body->mark_count; i++)
        body->marks[i - gone] = body->marks[i];
    body->mark_count -= gone;
    if (body->mark_count > 0)
        body->marks[0].position = MAX(body->marks[0].position, position);
}

uint64_t log_synced_position(const struct log_body *body)
{
    uint32_t first = body->count - 1;
    while (first > 0 && body->segments[first - 1]->synced < body->segments[first - 1]->tail.end)
        first--;
    const struct segment *segment = body->segments[first];
    return segment->begin + segment->synced;
}

/* The oldest journal seq that the log needs; 0 when none. */
static uint64_t oldest_needed(struct log_body *body)
{
    uint64_t position = log_synced_position(body);
    const struct segment *active = log_active(body);
    uint64_t seq = 0;
    if (position < active->begin + active->tail.end) {
        log_marks_advance(body, position);
        ASSERT(body->mark_count > 0);
        seq = body->marks[0].seq;
    } else {
        body->mark_count = 0;
    }
    if (body->trim_seq != 0 && (seq == 0 || body->trim_seq < seq))
        seq = body->trim_seq;
    return seq;
}

/* The heap is ordered by seqs, not by time: nothing in it ever fires. */
static void dirty_on_time(struct timer *timer, uint64_t now_ns)
{
    (void)timer;
    (void)now_ns;
    UNREACHABLE();
}

struct odk_log *log_of_dirty(struct timer *timer)
{
    return timer->fire == dirty_on_time ? container_of(timer, struct odk_log, dirty) : NULL;
}

void log_dirty_update(struct odk_log *log)
{
    struct odk_store *store = log->store;
    if (log->err == ODK_ERR_OFFLINE || log->doomed)
        return; /* the next start needs its entries; or nobody does */
    log->dirty.fire = dirty_on_time;
    uint64_t seq = oldest_needed(log->body);
    if (seq == 0) {
        timer_cancel(&store->dirty, &log->dirty);
        return;
    }
    if (!timer_armed(&log->dirty) || log->dirty.deadline_ns != seq) {
        log->body->dirty_since_ns = store->io->ops->mono_ns(store->io);
        timer_arm(&store->dirty, &log->dirty, seq);
    }
}
