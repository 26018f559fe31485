#include "store/layout.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/uuid.h"
#include "store/format.h"
#include "store/journal_files.h"

bool layout_path(char dst[LAYOUT_PATH_MAX], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(dst, LAYOUT_PATH_MAX, format, args);
    va_end(args);
    return len > 0 && (unsigned)len < LAYOUT_PATH_MAX;
}

bool layout_segment(char dst[LAYOUT_PATH_MAX], const char *folder, int64_t base, const char *suffix)
{
    return layout_path(dst, "%s/" FORMAT_SEGMENT_NAME "%s", folder, (long long)base, suffix);
}

#define SWAP_NAME FORMAT_SEGMENT_NAME "-" FORMAT_SEGMENT_NAME FORMAT_SWAP_SUFFIX

bool layout_swap(char dst[LAYOUT_PATH_MAX], const char *folder, int64_t base, int64_t end)
{
    return layout_path(dst, "%s/" SWAP_NAME, folder, (long long)base, (long long)end);
}

bool layout_swap_parse(const char *name, int64_t *ret_base, int64_t *ret_end)
{
    char front[FORMAT_OFFSET_DIGITS + 1];
    if (strlen(name) < FORMAT_OFFSET_DIGITS + 1 || name[FORMAT_OFFSET_DIGITS] != '-')
        return false;
    memcpy(front, name, FORMAT_OFFSET_DIGITS);
    front[FORMAT_OFFSET_DIGITS] = '\0';
    return layout_segment_parse(front, "", ret_base) &&
           layout_segment_parse(name + FORMAT_OFFSET_DIGITS + 1, FORMAT_SWAP_SUFFIX, ret_end) && *ret_end > *ret_base;
}

static bool name_char_ok(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
}

static bool ends_with(struct odk_str text, const char *suffix)
{
    size_t len = strlen(suffix);
    return text.len >= len && memcmp(text.data + text.len - len, suffix, len) == 0;
}

bool layout_name_ok(struct odk_str name)
{
    if (name.len == 0 || name.len > LAYOUT_NAME_MAX || odk_str_eq(name, ODK_STR(".")) || odk_str_eq(name, ODK_STR("..")))
        return false;
    for (size_t i = 0; i < name.len; i++) {
        if (!name_char_ok(name.data[i]))
            return false;
    }
    return !odk_str_eq(name, ODK_STR(JOURNAL_FOLDER)) && !odk_str_eq(name, ODK_STR(LAYOUT_STATE_NAME)) &&
           !odk_str_eq(name, ODK_STR(LAYOUT_MARKER_NAME)) && !odk_str_eq(name, ODK_STR(LAYOUT_KNOWN_NAME)) &&
           !ends_with(name, FORMAT_FOLDER_DELETE_SUFFIX);
}

void layout_doomed_print(struct odk_str name, struct odk_uuid id, char dst[LAYOUT_NAME_MAX + 1])
{
    char text[UUID_TEXT_LEN + 1];
    uuid_print(id, text);
    size_t room = LAYOUT_NAME_MAX - 1 - UUID_TEXT_LEN - strlen(FORMAT_FOLDER_DELETE_SUFFIX);
    size_t skipped = name.len > room ? name.len - room : 0;
    (void)snprintf(dst, LAYOUT_NAME_MAX + 1, "%.*s.%s" FORMAT_FOLDER_DELETE_SUFFIX, (int)(name.len - skipped),
                   name.data + skipped, text);
}

bool layout_segment_parse(const char *name, const char *suffix, int64_t *ret_base)
{
    if (strlen(name) != FORMAT_OFFSET_DIGITS + strlen(suffix) || strcmp(name + FORMAT_OFFSET_DIGITS, suffix) != 0)
        return false;
    int64_t base = 0;
    for (size_t i = 0; i < FORMAT_OFFSET_DIGITS; i++) {
        if (name[i] < '0' || name[i] > '9' || __builtin_mul_overflow(base, 10, &base) ||
            __builtin_add_overflow(base, name[i] - '0', &base))
            return false;
    }
    *ret_base = base;
    return true;
}

#define METADATA_HEAD "version: 0\ntopic_id: "

size_t layout_metadata_print(struct odk_uuid id, char dst[LAYOUT_METADATA_MAX])
{
    char text[UUID_TEXT_LEN + 1];
    uuid_print(id, text);
    return (size_t)snprintf(dst, LAYOUT_METADATA_MAX, METADATA_HEAD "%s\n", text);
}

bool layout_metadata_parse(struct odk_str text, struct odk_uuid *ret_id)
{
    const size_t head = sizeof(METADATA_HEAD) - 1;
    if (text.len < head + UUID_TEXT_LEN || memcmp(text.data, METADATA_HEAD, head) != 0)
        return false;
    size_t left = text.len - head - UUID_TEXT_LEN;
    if (left > 1 || (left == 1 && text.data[text.len - 1] != '\n'))
        return false;
    return uuid_parse((struct odk_str){ .data = text.data + head, .len = UUID_TEXT_LEN }, ret_id);
}

size_t layout_start_print(struct odk_str folder_name, int64_t offset, char dst[LAYOUT_START_MAX])
{
    size_t dash = folder_name.len;
    while (dash > 0 && folder_name.data[dash - 1] != '-')
        dash--;
    struct odk_str topic = { .data = folder_name.data, .len = dash > 1 ? dash - 1 : folder_name.len };
    struct odk_str partition = { .data = folder_name.data + dash, .len = dash > 1 ? folder_name.len - dash : 0 };
    if (partition.len == 0)
        partition = ODK_STR("0");
    int len = snprintf(dst, LAYOUT_START_MAX, "0\n1\n%.*s %.*s %lld\n", ODK_STR_FMT(topic), ODK_STR_FMT(partition),
                       (long long)offset);
    ASSERT(len > 0 && len < (int)LAYOUT_START_MAX);
    return (size_t)len;
}

bool layout_start_parse(struct odk_str text, int64_t *ret_offset)
{
    char copy[LAYOUT_START_MAX];
    if (text.len < 8 || text.len >= sizeof(copy) || memcmp(text.data, "0\n1\n", 4) != 0 ||
        text.data[text.len - 1] != '\n')
        return false;
    memcpy(copy, text.data, text.len - 1);
    copy[text.len - 1] = '\0';
    const char *number = strrchr(copy, ' ');
    if (!number || number[1] < '0' || number[1] > '9')
        return false;
    char *end = NULL;
    long long offset = strtoll(number + 1, &end, 10);
    if (*end != '\0' || offset == INT64_MAX)
        return false;
    *ret_offset = offset;
    return true;
}
