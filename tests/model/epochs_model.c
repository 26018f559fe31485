/*
 * Twin of the epochs: for every offset of a short log, the epoch it was written under. What the checkpoint can know is
 * read off that row.
 */
#include "model.h"
#include "store/epochs.h"

#define OFFSETS_MAX 4000
#define OPS         600

static int32_t epoch_at[OFFSETS_MAX];
static int64_t log_start;
static int64_t log_end;
static int32_t epoch_now;

static void write_some(struct epochs *epochs, struct prng *prng)
{
    int64_t count = (int64_t)prng_between(prng, 1, 20);
    (void)epochs_assign(epochs, epoch_now, log_end);
    for (; count > 0 && log_end < OFFSETS_MAX; count--)
        epoch_at[log_end++] = epoch_now;
}

static void trim_start(struct epochs *epochs, struct prng *prng)
{
    if (log_end - log_start < 2)
        return;
    log_start += (int64_t)prng_below(prng, (uint64_t)(log_end - log_start - 1));
    (void)epochs_truncate_start(epochs, log_start);
}

static void cut_end(struct epochs *epochs, struct prng *prng)
{
    if (log_end - log_start < 2)
        return;
    log_end -= (int64_t)prng_below(prng, (uint64_t)MIN(log_end - log_start - 1, 30));
    (void)epochs_truncate_end(epochs, log_end);
}

static void through_the_file(struct epochs *epochs)
{
    char *text;
    size_t len;
    epochs_print(epochs, &text, &len);
    struct epochs parsed = { 0 };
    ASSERT(epochs_parse(&parsed, (struct odk_bytes){ (const uint8_t *)text, len }) == ODK_OK);
    free(text);
    epochs_deinit(epochs);
    *epochs = parsed;
}

static void compare_end(const struct epochs *epochs, int32_t asked)
{
    int32_t want_epoch = asked;
    int64_t want_end = -1;
    for (int64_t offset = log_end - 1; offset >= log_start; offset--)
        if (epoch_at[offset] > asked)
            want_end = offset;
    for (int64_t offset = log_start; offset < log_end; offset++)
        if (epoch_at[offset] <= asked)
            want_epoch = epoch_at[offset];
    if (want_end < 0)
        want_end = log_end;
    if (asked > epoch_at[log_end - 1]) {
        want_epoch = -1;
        want_end = -1;
    }
    int32_t epoch;
    int64_t end;
    epochs_end_of(epochs, asked, log_end, &epoch, &end);
    ASSERT(epoch == want_epoch);
    ASSERT(end == want_end);
}

static void compare(const struct epochs *epochs, struct prng *prng)
{
    if (log_end == log_start)
        return;
    ASSERT(epochs_latest(epochs) == epoch_at[log_end - 1]);
    int64_t offset = log_start + (int64_t)prng_below(prng, (uint64_t)(log_end - log_start));
    ASSERT(epochs_of(epochs, offset) == epoch_at[offset]);
    ASSERT(epochs_of(epochs, log_start - 1) == -1);
    compare_end(epochs, (int32_t)prng_below(prng, (uint64_t)epoch_now + 3));
}

static void step(struct epochs *epochs, struct prng *prng)
{
    uint64_t op = prng_below(prng, 100);
    if (op < 30)
        epoch_now += (int32_t)prng_between(prng, 1, 3);
    else if (op < 85)
        write_some(epochs, prng);
    else if (op < 90)
        trim_start(epochs, prng);
    else if (op < 95)
        cut_end(epochs, prng);
    else
        through_the_file(epochs);
    compare(epochs, prng);
}

static void run(struct prng *prng)
{
    struct epochs epochs = { 0 };
    log_start = 0;
    log_end = 0;
    epoch_now = 0;
    for (int i = 0; i < OPS; i++)
        step(&epochs, prng);
    epochs_deinit(&epochs);
}

int main(int argc, char **argv)
{
    return model_main(argc, argv, run);
}
