#include "base/diag.h"

#include <stdio.h>

#include "base/units.h"

void diag(const struct odk_diag *to, enum odk_diag_level level, const char *format, ...)
{
    if (!to || !to->write || level < to->least)
        return;
    char line[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    to->write(to->context, level, line);
}

bool diag_rate_ok(struct diag_rate *rate, uint64_t now_ns, uint32_t *ret_suppressed)
{
    if (rate->window_start_ns == 0 || now_ns - rate->window_start_ns >= NS_PER_S) {
        *ret_suppressed = rate->suppressed;
        *rate = (struct diag_rate){ .window_start_ns = now_ns, .count = 1 };
        return true;
    }
    *ret_suppressed = 0;
    if (rate->count < DIAG_LINES_PER_WINDOW) {
        rate->count++;
        return true;
    }
    rate->suppressed++;
    return false;
}

char *diag_escape(char *dst, size_t dst_len, struct odk_str text)
{
    static const char digits[] = "0123456789abcdef";
    ASSERT(dst_len > 0);
    size_t used = 0;
    for (size_t i = 0; i < text.len && used + 5 <= dst_len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c >= 0x20 && c < 0x7f && c != '\\') {
            dst[used++] = (char)c;
            continue;
        }
        dst[used++] = '\\';
        dst[used++] = 'x';
        dst[used++] = digits[c >> 4];
        dst[used++] = digits[c & 15];
    }
    dst[used] = '\0';
    return dst;
}
