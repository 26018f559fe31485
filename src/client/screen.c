#include "client/screen.h"

#include <string.h>

#include "base/base.h"

#define CLEAR_ALL       "\033[2J"
#define HOME            "\033[H"
#define CLEAR_LINE_REST "\033[K"
#define CLEAR_BELOW     "\033[J"

static size_t lines_count(const char *text, size_t len)
{
    size_t count = 0;
    for (size_t i = 0; i < len; i++)
        count += text[i] == '\n';
    return count + (len > 0 && text[len - 1] != '\n');
}

static void line_draw(const struct screen *screen, FILE *to, const char *text, size_t len)
{
    bool full = screen->columns > 0 && len >= screen->columns;
    (void)fwrite(text, 1, full ? screen->columns : len, to);
    /* Behind a full line the cursor stands on its last letter, which would be erased. */
    (void)fputs(full ? "\n" : CLEAR_LINE_REST "\n", to);
}

void screen_draw(struct screen *screen, FILE *to, const char *text, size_t len)
{
    size_t total = lines_count(text, len);
    size_t room = screen->rows == 0 ? total : screen->rows - 1; /* the last line is the cursor's */
    size_t shown = total <= room ? total : room > 0 ? room - 1 : 0;
    const char *end = text + len;
    char more[48];
    (void)fputs(screen->drawn ? HOME : CLEAR_ALL HOME, to);
    for (size_t i = 0; i < shown; i++) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t line_len = (size_t)((newline ? newline : end) - text);
        line_draw(screen, to, text, line_len);
        text += line_len + (newline != NULL);
    }
    if (shown < total && room > 0)
        line_draw(screen, to, more, (size_t)snprintf(more, sizeof(more), "... %zu more lines", total - shown));
    (void)fputs(CLEAR_BELOW, to);
    (void)fflush(to);
    screen->drawn = true;
}
