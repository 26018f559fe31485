/* Single values and the order of fields: shared by the halves of the oracle. */
#pragma once
#include "oracle/oracle.h"

#include <string.h>

/* One struct on the way: its fields in wire order, the untagged ones first, then the tagged ones by tag. */
struct oracle_level {
    const struct wire_struct *of;
    uint8_t *base;      /* of the current element */
    int32_t elements;   /* left, the current one included */
    uint32_t step;      /* 0.. untagged fields, field_count the tag section, beyond it the tags */
    size_t mark;        /* encoder: where the value of a tag began; SIZE_MAX = entered untagged */
    uint32_t tags_left; /* decoder */
    int64_t tag_last;
    const uint8_t *end; /* decoder: where the reader ended before a tag narrowed it; NULL = untagged */
};

struct oracle_walk {
    struct oracle_level levels[ORACLE_DEPTH_MAX];
    uint32_t depth;
    int16_t version;
    bool flexible;
    bool failed;
};

static inline struct oracle_level *oracle_top(struct oracle_walk *walk)
{
    return &walk->levels[walk->depth - 1];
}

static inline uint8_t *oracle_pointer_get(const uint8_t *member)
{
    void *pointer;
    memcpy(&pointer, member, sizeof(pointer));
    return pointer;
}

static inline void oracle_pointer_set(uint8_t *member, void *pointer)
{
    memcpy(member, &pointer, sizeof(pointer));
}

void oracle_push(struct oracle_walk *walk, struct oracle_level level);
/* The tagged field of that number in the current struct, or NULL. */
const struct wire_field *oracle_tagged(const struct wire_struct *of, uint32_t tag, int16_t version);
/* The field of the step in the untagged part, or NULL when it is tagged or not in this version. */
const struct wire_field *oracle_untagged(const struct oracle_level *level, int16_t version);
bool oracle_is_initial(const struct wire_field *field, const uint8_t *base);
void oracle_set_initial(const struct wire_field *field, uint8_t *base);
bool oracle_nullable(const struct wire_field *field, int16_t version);
int32_t *oracle_count(const struct wire_field *field, uint8_t *base);
