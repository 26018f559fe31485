/*
 * sim_store: runs seeds of the store's simulation.
 *
 *   --seed N              one seed
 *   --seeds FROM..TO      half-open; the default is 1..201
 *   --budget-seconds S    stops earlier; at least one seed is run
 *   --lie NAME            plants a bug (see --help for the names)
 *   --expect-violation    success means that a violation was found
 *   --crash-op N          one short life that ends at operation N (with --seed)
 *   --every-op            each seed once per operation of its first life, cut off there
 *   --twice               each seed twice; the trace hashes must agree
 *   --verbose             every event and every line of the store, on stderr
 *
 * Exit 0: no violation. 1: a violation, an abort or an endless seed, with its seed and the command that repeats it.
 * Seeds run in a child process, so that an abort still names its seed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "store_sim.h"

enum { SEED_SECONDS_MAX = 60 };

struct settings {
    struct store_sim_options run;
    uint64_t from, to;
    uint64_t budget_seconds; /* 0: none */
    bool twice;
    bool every_op;
    bool expect;
    const char *program;
};

/* What the child tells, in memory that both see. */
struct board {
    uint64_t seed;
    uint64_t crash_op;
    bool violated;
    struct store_sim_tally tally;
};

static const char *const lie_names[SIM_LIE_COUNT] = {
    [SIM_LIE_NONE] = "none",   [SIM_LIE_SYNC] = "sync",   [SIM_LIE_DIR_SYNC] = "dir-sync",
    [SIM_LIE_DSYNC] = "dsync", [SIM_LIE_SHORT] = "short", [SIM_LIE_STALE] = "stale",
    [SIM_LIE_SYNC_ERROR] = "sync-error", [SIM_LIE_READ] = "read",
};

static void print_replay(const struct settings *settings, uint64_t seed, uint64_t crash_op)
{
    (void)fprintf(stderr, "  repeat with: %s --seed %" PRIu64, settings->program, seed);
    if (crash_op != 0)
        (void)fprintf(stderr, " --crash-op %" PRIu64, crash_op);
    if (settings->run.lie != SIM_LIE_NONE)
        (void)fprintf(stderr, " --lie %s", lie_names[settings->run.lie]);
    if (settings->twice)
        (void)fprintf(stderr, " --twice");
    (void)fprintf(stderr, " --verbose\n");
}

static bool run_seed(const struct settings *settings, uint64_t seed, uint64_t crash_op, struct board *board)
{
    struct store_sim_options options = settings->run;
    struct verdict verdict = { 0 };
    board->seed = seed;
    board->crash_op = crash_op;
    options.seed = seed;
    options.crash_op = crash_op;
    (void)alarm(SEED_SECONDS_MAX);
    uint64_t hash = store_sim_run(&options, &board->tally, &verdict);
    if (settings->twice && !verdict.failed) {
        uint64_t again = store_sim_run(&options, &board->tally, &verdict);
        if (again != hash)
            verdict_fail(&verdict, "not deterministic: %016" PRIx64 ", then %016" PRIx64, hash, again);
    }
    (void)alarm(0);
    if (!verdict.failed)
        return true;
    board->violated = true;
    (void)fprintf(stderr, "seed %" PRIu64 ": %s\n", seed, verdict.text);
    print_replay(settings, seed, crash_op);
    return false;
}

/* Cuts the first life off at its first operation, at its second, ... until it ends before the cut. */
static bool run_every_op(const struct settings *settings, uint64_t seed, struct board *board)
{
    for (uint64_t op = 1;; op++) {
        uint64_t crashes = board->tally.fixed_crashes;
        if (!run_seed(settings, seed, op, board))
            return false;
        if (board->tally.fixed_crashes == crashes)
            return true;
    }
}

static void run_seeds(const struct settings *settings, struct board *board)
{
    struct timespec begin, now;
    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    for (uint64_t seed = settings->from; seed < settings->to; seed++) {
        if (!(settings->every_op ? run_every_op(settings, seed, board)
                                 : run_seed(settings, seed, settings->run.crash_op, board)))
            return;
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        if (settings->budget_seconds != 0 && (uint64_t)(now.tv_sec - begin.tv_sec) >= settings->budget_seconds)
            return;
    }
}

static void print_tally(const struct store_sim_tally *t)
{
    (void)printf("%" PRIu64 " seeds, %" PRIu64 " generations (%" PRIu64 " kills, %" PRIu64 " power cuts, %" PRIu64
                 " clean stops, %" PRIu64 " boots cut off, %" PRIu64 " boots failed), %" PRIu64 " operations\n",
                 t->seeds, t->generations, t->kills, t->powers, t->clean_stops, t->crashed_boots, t->failed_boots,
                 t->ops);
    (void)printf("%" PRIu64 " appends: %" PRIu64 " acknowledged, %" PRIu64 " refused; %" PRIu64 " reads, %" PRIu64
                 " trims, %" PRIu64 " of everything, %" PRIu64 " passes of compaction that saved %" PRIu64 " bytes, %" PRIu64
                 " deletes; %" PRIu64 " bytes redone\n",
                 t->appends, t->acked, t->refused, t->reads, t->trims, t->emptied, t->cleans,
                 t->cleaned_bytes, t->deletes, t->redone_bytes);
}

static bool parse_seeds(struct settings *settings, const char *text)
{
    char *end = NULL;
    settings->from = strtoull(text, &end, 10);
    if (end == text || strncmp(end, "..", 2) != 0)
        return false;
    const char *second = end + 2;
    settings->to = strtoull(second, &end, 10);
    return end != second && *end == 0 && settings->from < settings->to;
}

static bool parse_lie(struct settings *settings, const char *name)
{
    for (int lie = 0; lie < SIM_LIE_COUNT; lie++) {
        if (strcmp(name, lie_names[lie]) == 0) {
            settings->run.lie = (enum sim_lie)lie;
            return true;
        }
    }
    return false;
}

static bool parse_value(struct settings *settings, const char *name, const char *value)
{
    if (value == NULL)
        return false;
    if (strcmp(name, "--seed") == 0) {
        settings->from = strtoull(value, NULL, 10);
        settings->to = settings->from + 1;
        return true;
    }
    if (strcmp(name, "--crash-op") == 0) {
        settings->run.crash_op = strtoull(value, NULL, 10);
        return true;
    }
    if (strcmp(name, "--budget-seconds") == 0) {
        settings->budget_seconds = strtoull(value, NULL, 10);
        return true;
    }
    if (strcmp(name, "--seeds") == 0)
        return parse_seeds(settings, value);
    return strcmp(name, "--lie") == 0 && parse_lie(settings, value);
}

static bool parse(struct settings *settings, char **argv)
{
    settings->program = argv[0];
    for (int i = 1; argv[i] != NULL; i++) {
        if (strcmp(argv[i], "--verbose") == 0)
            settings->run.verbose = true;
        else if (strcmp(argv[i], "--twice") == 0)
            settings->twice = true;
        else if (strcmp(argv[i], "--every-op") == 0)
            settings->every_op = true;
        else if (strcmp(argv[i], "--expect-violation") == 0)
            settings->expect = true;
        else if (parse_value(settings, argv[i], argv[i + 1]))
            i++;
        else
            return false;
    }
    return true;
}

static void usage(const char *program)
{
    (void)fprintf(stderr, "usage: %s [--seed N | --seeds FROM..TO] [--budget-seconds S] [--every-op] [--twice] [--verbose]\n"
                          "       [--crash-op N] [--lie NAME] [--expect-violation]\nlies:", program);
    for (int lie = 0; lie < SIM_LIE_COUNT; lie++)
        (void)fprintf(stderr, " %s", lie_names[lie]);
    (void)fprintf(stderr, "\n");
}

/* True when a violation was found, in whatever form. */
static bool run_child(const struct settings *settings, struct board *board)
{
    pid_t child = fork();
    if (child < 0) {
        perror("fork");
        exit(2);
    }
    if (child == 0) {
        run_seeds(settings, board);
        exit(0);
    }
    int status = 0;
    if (waitpid(child, &status, 0) != child) {
        perror("waitpid");
        exit(2);
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return board->violated;
    if (WIFSIGNALED(status))
        (void)fprintf(stderr, "seed %" PRIu64 ": %s\n", board->seed, strsignal(WTERMSIG(status)));
    else
        (void)fprintf(stderr, "seed %" PRIu64 ": exit status %d\n", board->seed, WEXITSTATUS(status));
    print_replay(settings, board->seed, board->crash_op);
    return true;
}

int main(int argc, char **argv)
{
    (void)argc;
    struct settings settings = { .from = 1, .to = 201 };
    if (!parse(&settings, argv)) {
        usage(argv[0]);
        return 2;
    }
    struct board *board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (board == MAP_FAILED) {
        perror("mmap");
        return 2;
    }
    bool violated = run_child(&settings, board);
    print_tally(&board->tally);
    if (settings.expect && !violated)
        (void)fprintf(stderr, "the planted bug %s was not found\n", lie_names[settings.run.lie]);
    return violated == settings.expect ? 0 : 1;
}
