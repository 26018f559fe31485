/*
 * One value of a configuration row: text to typed member and back. Used by the topic and the broker side alike.
 *
 * A number without a default that nobody has set holds min - 1, which no one can set.
 */
#pragma once
#include "broker/config.h"

/*
 * Checks text and writes the row's member of config. Strings are not copied: the member points to text, which must live
 * as long as the value.
 *
 * ODK_ERR_INVALID  ret_why says what is allowed
 */
ODK_MUST_USE enum odk_err config_value_parse(const struct config_row *row, const char *text, void *config,
                                             struct config_why *ret_why);
/* Writes the row's default, or the mark that there is none. */
void config_value_default(const struct config_row *row, void *config);

/* The number in a member of type INT, SHORT or LONG. */
int64_t config_number(const struct config_row *row, const void *config);
void config_number_put(const struct config_row *row, void *config, int64_t value);

/* The row of that key among count rows sorted by key; count when there is none. */
uint32_t config_row_find(const struct config_row *rows, uint32_t count, struct odk_str key);

/* A copy with blanks cut off at both ends, NUL-terminated; NULL when it is too long or has a NUL inside. The caller
 * frees. */
char *config_text_copy(struct odk_str text);
/* The same for a value of row; ret_why says why there is none. */
char *config_text_take(const struct config_row *row, struct odk_str text, struct config_why *ret_why);

/* The next item of "a,b,c" without surrounding blanks; false at the end. An empty text has no items. */
bool config_list_next(struct odk_str *rest, struct odk_str *ret_item);
