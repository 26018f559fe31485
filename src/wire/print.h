/*
 * Any message as one line of text, for traces and test failures.
 *
 *     HeartbeatRequest v3 {group_id="g", generation_id=1, member_id="m", group_instance_id=null}
 *
 * Fields that the version does not carry are left out. Bytes and records are printed as
 * their length only: they hold user data and, in SASL and SCRAM messages, secrets. Text is escaped, so a client
 * cannot write control characters into a terminal or a log.
 */
#pragma once
#include "wire/table.h"

/* Of one text; more is cut and marked. */
#define PRINT_STR_BYTES_MAX 255u

/* Writes at most capacity bytes with the final NUL; what does not fit is cut and ends in "...". Returns strlen(dst). */
size_t wire_print(char *dst, size_t capacity, const struct wire_message *message, const void *body, int16_t version);
