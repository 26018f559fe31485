/*
 * What classic consumers put into group requests, as far as the coordinator of a newer group must read and write it: an
 * int16 version and the fields of records.wire. Newer versions are read as the newest that is known.
 */
#pragma once
#include "base/arena.h"
#include "coordinator/tp_set.h"
#include "wire/messages.h"

struct groups;

/* False: it is none. Views into bytes, arrays in the arena. */
bool subscription_read(struct odk_bytes bytes, struct arena *arena, struct consumer_protocol_subscription *ret,
                       int16_t *ret_version);
/* That of the first protocol that can be read. Clients say the same in all of them. False: there is none. */
bool subscription_read_any(const struct consumer_group_member_metadata_value_supported_protocol *protocols,
                           int32_t count, struct arena *arena, struct consumer_protocol_subscription *ret,
                           int16_t *ret_version);
/* What the member says that it owns, as far as there are such topics; in the arena, which has no limit. */
struct tp_set subscription_owned(const struct groups *groups, const struct consumer_protocol_subscription *subscription,
                                 struct arena *arena);

/* False: it is none, or it carries data of an assignor that nobody here knows. */
bool assignment_read(const struct groups *groups, struct odk_bytes bytes, struct arena *arena, struct tp_set *ret);
/* In the version of the member's subscription. data is NULL when the arena is used up. */
struct odk_bytes assignment_write(const struct groups *groups, const struct tp_set *set, int16_t version,
                                  struct arena *arena);
