/*
 * broker_sim: runs seeds of the broker's simulation.
 *
 *   --seed N              one seed
 *   --seeds FROM..TO      half-open; the default is 1..101
 *   --budget-seconds S    stops earlier; at least one seed is run
 *   --canary NAME         plants a bug (see --help for the names); success means that it was found
 *   --twice               each seed twice; the trace hashes must agree
 *   --keep-going          runs all seeds, whatever is found
 *   --talk                the broker's own lines, on stderr
 *   --verbose             every event as well
 *
 * Exit 0: no violation. 1: a violation, an abort or an endless seed, with its seed and the command that repeats it.
 * Every seed runs in a process of its own, so that an abort still names its seed and an abandoned life costs nothing.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker_sim.h"

enum { SEED_SECONDS_MAX = 120 };

struct canary {
    const char *name;
    enum sim_lie lie;
    enum node_bug bug;
};

static const struct canary canaries[] = {
    { "none", SIM_LIE_NONE, NODE_BUG_NONE },
    { "sync", SIM_LIE_SYNC, NODE_BUG_NONE },
    { "dir-sync", SIM_LIE_DIR_SYNC, NODE_BUG_NONE },
    { "dsync", SIM_LIE_DSYNC, NODE_BUG_NONE },
    { "short", SIM_LIE_SHORT, NODE_BUG_NONE },
    { "stale", SIM_LIE_STALE, NODE_BUG_NONE },
    { "sync-error", SIM_LIE_SYNC_ERROR, NODE_BUG_NONE },
    { "read", SIM_LIE_READ, NODE_BUG_NONE },
    { "lost-reply", SIM_LIE_NONE, NODE_BUG_LOST_REPLY },
    { "no-recovery", SIM_LIE_NONE, NODE_BUG_NO_RECOVERY },
    { "eager-groups", SIM_LIE_NONE, NODE_BUG_EAGER_GROUPS },
    { "forgetful-groups", SIM_LIE_NONE, NODE_BUG_FORGETFUL_GROUPS },
    { "eager-trims", SIM_LIE_NONE, NODE_BUG_EAGER_TRIMS },
    { "lenient-groups", SIM_LIE_NONE, NODE_BUG_LENIENT_GROUPS },
};

struct settings {
    struct broker_sim_options run;
    const struct canary *canary;
    uint64_t from, to;
    uint64_t budget_seconds; /* 0: none */
    bool twice;
    bool keep_going;
    const char *program;
};

/* What the children tell, in memory that all see. */
struct board {
    struct broker_sim_tally tally;
    uint64_t hash; /* of all seeds */
};

static void print_replay(const struct settings *settings, uint64_t seed)
{
    (void)fprintf(stderr, "  repeat with: %s --seed %" PRIu64, settings->program, seed);
    if (settings->canary != &canaries[0])
        (void)fprintf(stderr, " --canary %s", settings->canary->name);
    (void)fprintf(stderr, "%s --verbose\n", settings->twice ? " --twice" : "");
}

/* In the child. Returns its exit status. */
static int run_seed(const struct settings *settings, uint64_t seed, struct board *board)
{
    struct broker_sim_options options = settings->run;
    struct violation violation = { 0 };
    options.seed = seed;
    options.lie = settings->canary->lie;
    options.bug = settings->canary->bug;
    (void)alarm(SEED_SECONDS_MAX);
    uint64_t hash = broker_sim_run(&options, &board->tally, &violation);
    if (settings->twice && !violation.found) {
        uint64_t again = broker_sim_run(&options, &board->tally, &violation);
        if (again != hash)
            violation_set(&violation, "not deterministic: %016" PRIx64 ", then %016" PRIx64, hash, again);
    }
    board->hash = (board->hash ^ hash) * UINT64_C(0x9fb21c651e98df25);
    if (!violation.found)
        return 0;
    (void)fprintf(stderr, "seed %" PRIu64 ": %s\n", seed, violation.text);
    return 1;
}

/* True when a violation was found, in whatever form. */
static bool run_child(const struct settings *settings, uint64_t seed, struct board *board)
{
    (void)fflush(NULL);
    pid_t child = fork();
    if (child < 0) {
        perror("fork");
        exit(2);
    }
    if (child == 0) {
        int found = run_seed(settings, seed, board);
        (void)fflush(NULL);
        _exit(found);
    }
    int status = 0;
    if (waitpid(child, &status, 0) != child) {
        perror("waitpid");
        exit(2);
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return false;
    if (WIFSIGNALED(status))
        (void)fprintf(stderr, "seed %" PRIu64 ": %s\n", seed, strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) != 1)
        (void)fprintf(stderr, "seed %" PRIu64 ": exit status %d\n", seed, WEXITSTATUS(status));
    print_replay(settings, seed);
    return true;
}

static uint64_t run_seeds(const struct settings *settings, struct board *board)
{
    struct timespec begin, now;
    uint64_t found = 0;
    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    for (uint64_t seed = settings->from; seed < settings->to; seed++) {
        found += run_child(settings, seed, board);
        if (found > 0 && !settings->keep_going)
            break;
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        if (settings->budget_seconds != 0 && (uint64_t)(now.tv_sec - begin.tv_sec) >= settings->budget_seconds)
            break;
    }
    return found;
}

static void print_tally(const struct board *board)
{
    const struct broker_sim_tally *t = &board->tally;
    const struct fleet_tally *f = &t->fleet;
    (void)printf("%" PRIu64 " seeds, %" PRIu64 " lives: %" PRIu64 " kills, %" PRIu64 " power cuts, %" PRIu64
                 " stops (%" PRIu64 " clean), %" PRIu64 " failed starts (%" PRIu64 " by a crash); %" PRIu64
                 " bytes redone; %" PRIu64 " operations; hash %016" PRIx64 "\n",
                 t->seeds, t->lives, t->kills, t->powers, t->stops, t->clean_stops, t->failed_starts, t->crashed_starts,
                 t->redone_bytes, t->ops, board->hash);
    (void)printf("%" PRIu64 " batches: %" PRIu64 " acknowledged, %" PRIu64 " sent again, %" PRIu64 " refused; %" PRIu64
                 " fetches (%" PRIu64 " with batches), %" PRIu64 " lookups, %" PRIu64 " topics created, %" PRIu64
                 " deleted, %" PRIu64 " grown, %" PRIu64 " cut, %" PRIu64 " settings altered, %" PRIu64 " seen, %" PRIu64 " connections, %" PRIu64 " logs read back\n",
                 f->batches, f->acked, f->retried, f->refused, f->fetches, f->read_batches, f->lookups, f->created,
                 f->deleted, f->grown, f->cut, f->altered, f->settings_seen, f->connections, f->verified);
    (void)printf("%" PRIu64 " offsets committed, read %" PRIu64 " times; %" PRIu64 " joins, %" PRIu64
                 " assignments, %" PRIu64 " heartbeats of the newer protocol, %" PRIu64 " groups deleted\n",
                 f->commits, f->offsets_seen, f->joins, f->syncs, f->heartbeats, f->groups_deleted);
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

static bool parse_canary(struct settings *settings, const char *name)
{
    for (size_t i = 0; i < countof(canaries); i++) {
        if (strcmp(name, canaries[i].name) == 0) {
            settings->canary = &canaries[i];
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
    if (strcmp(name, "--budget-seconds") == 0) {
        settings->budget_seconds = strtoull(value, NULL, 10);
        return true;
    }
    if (strcmp(name, "--seeds") == 0)
        return parse_seeds(settings, value);
    return strcmp(name, "--canary") == 0 && parse_canary(settings, value);
}

static bool parse(struct settings *settings, char **argv)
{
    settings->program = argv[0];
    for (int i = 1; argv[i] != NULL; i++) {
        if (strcmp(argv[i], "--verbose") == 0)
            settings->run.verbose = true;
        else if (strcmp(argv[i], "--talk") == 0)
            settings->run.talk = true;
        else if (strcmp(argv[i], "--twice") == 0)
            settings->twice = true;
        else if (strcmp(argv[i], "--keep-going") == 0)
            settings->keep_going = true;
        else if (parse_value(settings, argv[i], argv[i + 1]))
            i++;
        else
            return false;
    }
    return true;
}

static void usage(const char *program)
{
    (void)fprintf(stderr,
                  "usage: %s [--seed N | --seeds FROM..TO] [--budget-seconds S] [--twice] [--keep-going]\n"
                  "       [--canary NAME] [--talk] [--verbose]\ncanaries:",
                  program);
    for (size_t i = 1; i < countof(canaries); i++)
        (void)fprintf(stderr, " %s", canaries[i].name);
    (void)fprintf(stderr, "\n");
}

int main(int argc, char **argv)
{
    (void)argc;
    struct settings settings = { .from = 1, .to = 101, .canary = &canaries[0] };
    if (!parse(&settings, argv)) {
        usage(argv[0]);
        return 2;
    }
    struct board *board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (board == MAP_FAILED) {
        perror("mmap");
        return 2;
    }
    uint64_t found = run_seeds(&settings, board);
    print_tally(board);
    if (settings.canary == &canaries[0])
        return found == 0 ? 0 : 1;
    if (found == 0)
        (void)fprintf(stderr, "the planted bug %s was not found\n", settings.canary->name);
    return found > 0 ? 0 : 1;
}
