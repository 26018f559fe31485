#include "client/format.h"

#include <string.h>

#include "base/base.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte that an escape stands for and its length behind the backslash; -1 when it is none. */
static int escape_read(const char *at, size_t *ret_len)
{
    static const char names[] = "nrte0\\";
    static const char bytes[] = "\n\r\t\x1b\0\\";
    *ret_len = 1;
    if (*at == 'x') {
        int high = hex_digit(at[1]);
        int low = high < 0 ? -1 : hex_digit(at[2]);
        *ret_len = 3;
        return low < 0 ? -1 : high * 16 + low;
    }
    const char *hit = *at ? strchr(names, *at) : NULL;
    return hit ? (unsigned char)bytes[hit - names] : -1;
}

const char *format_check(const char *format)
{
    for (const char *at = format; *at; at++) {
        size_t len;
        if (*at == '%') {
            at++;
            if (*at == '\0' || !strchr("tpoTkKsSRh%", *at))
                return "known tokens are %t %p %o %T %k %K %s %S %R %h %%";
        } else if (*at == '\\') {
            if (escape_read(at + 1, &len) < 0)
                return "known escapes are \\n \\r \\t \\e \\0 \\\\ \\xNN";
            at += len;
        }
    }
    return NULL;
}

static void bytes_write(FILE *to, struct odk_bytes bytes)
{
    if (bytes.len > 0)
        (void)fwrite(bytes.data, 1, bytes.len, to);
}

static void length_write(FILE *to, struct odk_bytes bytes)
{
    if (bytes.data)
        (void)fprintf(to, "%zu", bytes.len);
    else
        (void)fputs("-1", to);
}

static void length_write_raw(FILE *to, struct odk_bytes bytes)
{
    uint32_t raw = __builtin_bswap32(bytes.data ? (uint32_t)bytes.len : UINT32_MAX);
    (void)fwrite(&raw, sizeof(raw), 1, to);
}

static void headers_write(FILE *to, const struct format_record *record)
{
    for (size_t i = 0; i < record->header_count; i++) {
        const struct format_header *header = &record->headers[i];
        (void)fprintf(to, "%s%.*s=", i ? "," : "", ODK_STR_FMT(header->name));
        if (header->value.data)
            bytes_write(to, header->value);
        else
            (void)fputs("NULL", to);
    }
}

static void token_write(FILE *to, char token, const struct format_record *record)
{
    switch (token) {
    case 't': (void)fprintf(to, "%.*s", ODK_STR_FMT(record->topic)); break;
    case 'p': (void)fprintf(to, "%d", record->partition); break;
    case 'o': (void)fprintf(to, "%lld", (long long)record->offset); break;
    case 'T': (void)fprintf(to, "%lld", (long long)record->timestamp_ms); break;
    case 'k': bytes_write(to, record->key); break;
    case 'K': length_write(to, record->key); break;
    case 's': bytes_write(to, record->value); break;
    case 'S': length_write(to, record->value); break;
    case 'R': length_write_raw(to, record->value); break;
    case 'h': headers_write(to, record); break;
    case '%': (void)fputc('%', to); break;
    default: UNREACHABLE();
    }
}

void format_write(FILE *to, const char *format, const struct format_record *record)
{
    for (const char *at = format; *at; at++) {
        size_t len;
        if (*at == '%') {
            token_write(to, *++at, record);
        } else if (*at == '\\') {
            (void)fputc(escape_read(at + 1, &len), to);
            at += len;
        } else {
            (void)fputc(*at, to);
        }
    }
}
