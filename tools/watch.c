#include "watch.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli.h"
#include "client/screen.h"

#define EVERY_MS_MIN 100 /* a broker has other things to do */
#define EVERY_MS_MAX 86400000

int watch_parse(const struct args_spec *spec, const char *text, int64_t *ret_ms)
{
    int64_t value;
    bool bare = args_int(text, &value);
    if (bare ? __builtin_mul_overflow(value, 1000, &value) : !args_ms(text, &value))
        return args_mistake(spec, "--watch: '%s' is not a time (examples: 2, 500ms); a name behind it needs --watch=2",
                            text);
    if (value < EVERY_MS_MIN || value > EVERY_MS_MAX)
        return args_mistake(spec, "--watch: between 100ms and 1d");
    *ret_ms = value;
    return ARGS_GO_ON;
}

/* -- signals --------------------------------------------------------------------------------------------------------
 * They end the program at once, whatever it waits for, but never in the middle of output.
 */

static void on_stop(int signal)
{
    (void)signal;
    _exit(EXIT_CODE_INTERRUPTED);
}

static void stop_signals_take(void)
{
    struct sigaction action = { .sa_handler = on_stop };
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

static void stop_signals_mask(int how)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigprocmask(how, &set, NULL);
}

/* -- output ---------------------------------------------------------------------------------------------------------
 */

static void screen_show(struct screen *screen, const char *text, size_t len)
{
    struct winsize size;
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
    screen->rows = known ? size.ws_row : 0;
    screen->columns = known ? size.ws_col : 0;
    screen_draw(screen, stdout, text, len);
}

struct frame {
    char *text;
    size_t len;
    int code;
};

/* Complaints are part of a frame on a terminal, and go to stderr otherwise. */
static struct frame frame_make(watch_print *print, void *context, bool terminal)
{
    struct frame frame = { 0 };
    FILE *out = open_memstream(&frame.text, &frame.len);
    ASSERT(out != NULL); /* there is memory */
    frame.code = print(context, out, terminal ? out : stderr);
    (void)fclose(out);
    return frame;
}

static void frame_show(struct screen *screen, const struct frame *frame, bool terminal)
{
    stop_signals_mask(SIG_BLOCK);
    if (!terminal)
        (void)fwrite(frame->text, 1, frame->len, stdout);
    else if (frame->code != EXIT_CODE_OK && !screen->drawn)
        (void)fwrite(frame->text, 1, frame->len, stderr);
    else
        screen_show(screen, frame->text, frame->len);
    (void)fflush(stdout);
    stop_signals_mask(SIG_UNBLOCK);
}

int watch_run(enum watch_style style, int64_t every_ms, watch_print *print, void *context)
{
    struct screen screen = { 0 };
    bool terminal = style == WATCH_REDRAW && isatty(STDOUT_FILENO) == 1;
    stop_signals_take();
    for (bool first = true;; first = false) {
        struct frame frame = frame_make(print, context, terminal);
        frame_show(&screen, &frame, terminal);
        free(frame.text);
        if ((first && frame.code != EXIT_CODE_OK) || ferror(stdout))
            return frame.code;
        (void)poll(NULL, 0, (int)every_ms);
    }
}
