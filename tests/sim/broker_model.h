/*
 * What the clients of a broker may believe: the oracle of the broker's simulation. It is told what was sent, what was
 * answered and what was read, and keeps it over all crashes.
 *
 *   (B1) an acknowledged batch stands at its acknowledged offset with its bytes, until its topic's deletion is asked
 * for. (B2) what was read once, or lay below an end that was shown, is never gone or different later. (B3) offsets have
 * no gaps and no overlaps; every batch is one that somebody sent. (B4) a batch stands in the log at most as often as it
 * was sent; one of an idempotent producer at most once. (B5) batches of one stream stand in the order of their sending.
 * A stream is what one idempotent producer sends to one partition under one producer id, or what a plain producer sends
 * to it over one connection without retries. Of an idempotent stream nothing is missing in between. (B6) a topic that
 * was acknowledged, or seen, is there with its id and partitions until its deletion is asked for; one whose deletion
 * was acknowledged is never seen again. (B7) a topic has as many partitions as it was acknowledged, or seen, to have
 * grown to, or more if more were asked for. (B8) a setting has the value that was acknowledged last, or one of a request
 * whose answer was lost.
 * (B9) a log begins where DeleteRecords has acknowledged it to begin, or behind that, but not behind what was asked for;
 * nothing is read from before it. What lies before it is nobody's business any more.
 *
 * Answers may overtake each other on different connections, so a claim about the present is held only against what was
 * known when its request was sent: moments are counted (model->moment).
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <odradek/batch.h>

#include "base/base.h"

#define MODEL_PARTS_MAX 4
#define MODEL_NO_STREAM UINT32_MAX

/* The first violation of a run, in words. */
struct violation {
    bool found;
    char text[600];
};

void violation_set(struct violation *violation, const char *format, ...) PRINTF(2, 3);

struct model_part;

/* One batch that a producer has made. */
struct model_batch {
    uint64_t id;    /* number of the batch in the run; its records' timestamps follow from it */
    uint8_t *bytes; /* as sent */
    size_t len;
    int32_t record_count;
    struct model_part *part;
    uint32_t stream;  /* MODEL_NO_STREAM: its order is nobody's business */
    int32_t sequence; /* of an idempotent producer; -1: none */
    int64_t producer_id;
    uint32_t sends;
    uint32_t places; /* offsets at which it is known to stand */
    bool acked;
};

/* A batch known to stand in a log. */
struct model_place {
    int64_t base, next;
    struct model_batch *batch;
};

struct model_part {
    struct model_topic *topic;
    int32_t index;
    struct model_place *places; /* by offset */
    uint32_t count, cap;
    int64_t shown_end; /* the largest end that any answer has shown */
    int64_t start_acked; /* the largest start that DeleteRecords has acknowledged */
    int64_t start_asked; /* the largest that was asked for */
};

enum topic_state {
    TOPIC_LIVE,
    TOPIC_DOOMED, /* its deletion was asked for */
    TOPIC_GONE,   /* its deletion was acknowledged */
};

/* One incarnation of a topic, known by its id. */
struct model_topic {
    char name[32];
    struct odk_uuid id;
    enum topic_state state;
    bool short_lived; /* may be deleted and made again under the same name */
    uint64_t live_moment;
    uint64_t gone_moment;
    int32_t part_count;
    int32_t asked_count;   /* the most partitions that were ever asked for */
    uint64_t grown_moment; /* of the newest growth */
    struct model_part parts[MODEL_PARTS_MAX];
};

/* Values of one setting: numbers that rise with every request; 0: it is not set. */
struct model_setting {
    const char *name; /* in messages */
    uint64_t last;    /* the newest that was asked for */
    uint64_t acked;
    bool *open; /* by value: may come true at any time */
};

struct model {
    struct violation *violation;
    uint64_t moment; /* rises with every answer taken in and every request sent */
    struct model_topic **topics;
    uint32_t topic_count;
    struct model_batch **batches; /* by id */
    uint64_t batch_count, batch_cap;
    uint32_t stream_count;
    int64_t *stream_next; /* scratch of model_check_part: the sequence or id that must follow, by stream */
    uint64_t fold;        /* every answer that meant something, for comparing two runs of a seed */
};

void model_init(struct model *model, struct violation *violation);
void model_deinit(struct model *model);

/* -- topics ------------------------------------------------------------------------------------------------------- */

/* The newest topic of that name that is not known to be gone; NULL: none. */
struct model_topic *model_topic_named(const struct model *model, const char *name);
struct model_topic *model_topic_by_id(const struct model *model, struct odk_uuid id);
/* An answer to a request of moment sent shows the topic. Adds it when it is new. NULL after a violation. */
struct model_topic *model_topic_seen(struct model *model, struct odk_str name, struct odk_uuid id, int32_t part_count,
                                     uint64_t sent);
/* An answer to a request of moment sent lists all topics, and seen says which: what must be there is there. */
void model_topics_all(struct model *model, uint64_t sent, bool (*seen)(void *context, const struct model_topic *topic),
                      void *context);
void model_topic_doom(struct model *model, struct model_topic *topic);
void model_topic_gone(struct model *model, struct model_topic *topic);
/* More partitions are asked for. */
void model_topic_grow(struct model *model, struct model_topic *topic, int32_t part_count);
/* They were acknowledged. */
void model_topic_grown(struct model *model, struct model_topic *topic, int32_t part_count);

/* -- settings ----------------------------------------------------------------------------------------------------- */

/* The value of the next request. It is open until its answer says more. */
uint64_t model_setting_next(struct model_setting *setting);
void model_setting_acked(struct model *model, struct model_setting *setting, uint64_t value);
/* It was refused: it never comes true. */
void model_setting_refused(struct model_setting *setting, uint64_t value);
/* It was seen. */
void model_setting_seen(struct model *model, const struct model_setting *setting, uint64_t value);

/* -- batches ------------------------------------------------------------------------------------------------------ */

/* What is to be sent. */
struct model_batch_spec {
    struct model_part *part;
    uint32_t stream;
    int64_t producer_id; /* -1: plain */
    int16_t producer_epoch;
    int32_t sequence;
    bool fat; /* large records are frequent */
};

/* Makes a batch with drawn records. Owned by the model. */
struct prng;
struct model_batch *model_batch_new(struct model *model, struct prng *rng, const struct model_batch_spec *spec);
/* The timestamp of all records of the batch with this id. */
int64_t model_timestamp(uint64_t id);
uint32_t model_stream_new(struct model *model);

/* The broker answered that the batch stands at base. */
void model_acked(struct model *model, struct model_batch *batch, int64_t base);
/* An answer shows this end of the log (high watermark, latest offset); end_known was shown_end when its request was
 * sent. */
void model_show_end(struct model *model, struct model_part *part, int64_t end, int64_t end_known);
/* A fetch from offset on delivered these bytes: whole batches. Returns the offset behind them, -1 after a violation. */
int64_t model_read(struct model *model, struct model_part *part, int64_t offset, struct odk_bytes bytes);
/* The answer to a search for the largest time. */
void model_found_max_time(struct model *model, struct model_part *part, int64_t offset, int64_t timestamp,
                          int64_t end_known);
/* The answer to a search by time. end_known: as above. offset -1: none found. */
void model_found_time(struct model *model, struct model_part *part, int64_t wanted, int64_t offset, int64_t timestamp,
                      int64_t end_known);
/* After the whole log [start, end) was read in this life: nothing is missing, nothing out of order. */
void model_check_part(struct model *model, struct model_part *part, int64_t start, int64_t end);

/* -- the start of a log -------------------------------------------------------------------------------------------- */

/* DeleteRecords up to start is asked for. */
void model_start_ask(struct model_part *part, int64_t start);
/* An answer shows where the log begins; start_known was start_acked when its request was sent. */
void model_show_start(struct model *model, const struct model_part *part, int64_t start, int64_t start_known);
/* DeleteRecords up to wanted is acknowledged. */
void model_start_acked(struct model *model, struct model_part *part, int64_t start, int64_t wanted);
