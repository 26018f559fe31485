/* odradek inspect verify: everything in a data directory is read and checked; nothing is altered. */
#include <odradek/verify.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/units.h"
#include "inspect.h"

#define REDRAW_NS (NS_PER_S / 10)

struct verify {
    struct inspect inspect;
    struct odk_verify verify;
    struct json json;
    bool quiet;
    bool draws; /* a progress line on the terminal */
    uint64_t begin_ns;
    uint64_t drawn_ns;
    uint64_t bytes; /* told by progress */
    size_t part;
    size_t part_count;
};

static uint64_t now_ns(const struct verify *v)
{
    return v->inspect.io->ops->mono_ns(v->inspect.io);
}

static void line_clear(const struct verify *v)
{
    if (v->draws && v->drawn_ns)
        (void)fputs("\r\033[K", stderr);
}

static void on_progress(void *context, uint64_t bytes)
{
    struct verify *v = context;
    uint64_t now = now_ns(v);
    v->bytes += bytes;
    if (!v->draws || now - v->drawn_ns < REDRAW_NS)
        return;
    int cells = (int)(20 * v->part / MAX(v->part_count, 1));
    double seconds = (double)MAX(now - v->begin_ns, 1) / (double)NS_PER_S;
    v->drawn_ns = now;
    (void)fprintf(stderr, "\r\033[K[%.*s%*s] partition %zu of %zu, %.1f MB, %.0f MB/s", cells, "####################",
                  20 - cells, "", MIN(v->part + 1, v->part_count), v->part_count, (double)v->bytes / 1e6,
                  (double)v->bytes / 1e6 / seconds);
    (void)fflush(stderr);
}

static void finding_json(struct json *json, const struct odk_finding *finding)
{
    json_object(json, NULL);
    json_text(json, "finding", odk_finding_name(finding->kind));
    json_bool(json, "damage", odk_finding_is_damage(finding->kind));
    json_text(json, "folder", finding->folder);
    json_text(json, "file", finding->file);
    finding->segment < 0 ? json_null(json, "segment") : json_int(json, "segment", finding->segment);
    finding->position < 0 ? json_null(json, "position") : json_int(json, "position", finding->position);
    finding->offset < 0 ? json_null(json, "offset") : json_int(json, "offset", finding->offset);
    json_text(json, "text", odk_finding_text(finding->kind));
    json_end(json);
    json_line(json);
}

static void on_finding(void *context, const struct odk_finding *finding)
{
    struct verify *v = context;
    line_clear(v);
    if (v->inspect.json) {
        finding_json(&v->json, finding);
        (void)fflush(stdout);
        return;
    }
    if (v->quiet && !odk_finding_is_damage(finding->kind))
        return;
    (void)printf("%s %s%s%s", odk_finding_is_damage(finding->kind) ? "damage" : "notice", finding->folder,
                 finding->folder[0] && finding->file[0] ? "/" : "", finding->file);
    if (finding->position >= 0)
        (void)printf(" at %lld", (long long)finding->position);
    if (finding->offset >= 0)
        (void)printf(", offset %lld", (long long)finding->offset);
    (void)printf(": %s\n", odk_finding_text(finding->kind));
    (void)fflush(stdout);
}

static int part_run(struct verify *v, size_t idx)
{
    const struct odk_part_name *name = odk_dir_at(v->inspect.dir, idx);
    enum odk_err err = odk_part_verify(v->inspect.dir, name->folder, &v->verify);
    bool gone = err == ODK_ERR_NOT_FOUND && odk_dir_info(v->inspect.dir)->owner != ODK_OWNER_NONE;
    if (err == ODK_OK || gone)
        return EXIT_CODE_OK;
    line_clear(v);
    return cli_fail(inspect_code(err), "%s: cannot be checked: %s", name->folder, odk_err_text(err));
}

static int target_run(struct verify *v, const struct inspect_target *target)
{
    size_t first = 0, count = odk_dir_count(v->inspect.dir);
    int code = target ? inspect_select(&v->inspect, target, &first, &count) : EXIT_CODE_OK;
    if (code != EXIT_CODE_OK)
        return code;
    v->part_count = count;
    for (v->part = 0; v->part < count && !ferror(stdout); v->part++)
        code = cli_worse(code, part_run(v, first + v->part));
    return code;
}

static void summary_print(const struct verify *v)
{
    double seconds = (double)MAX(now_ns(v) - v->begin_ns, 1) / (double)NS_PER_S;
    line_clear(v);
    (void)fprintf(stderr, "%llu batches, %.1f MB in %.2f s (%.0f MB/s): damage %llu, notices %llu\n",
                  (unsigned long long)v->verify.batches, (double)v->verify.bytes / 1e6, seconds,
                  (double)v->verify.bytes / 1e6 / seconds, (unsigned long long)v->verify.damage_count,
                  (unsigned long long)v->verify.notice_count);
}

static int verify_run(struct verify *v, const struct args_spec *spec, const struct args_operands *operands)
{
    int code = inspect_open(&v->inspect);
    if (code != EXIT_CODE_OK)
        return code;
    v->verify.finding = on_finding;
    v->verify.progress = on_progress;
    v->verify.context = v;
    v->draws = isatty(STDERR_FILENO);
    v->begin_ns = now_ns(v);
    json_init(&v->json, stdout);
    enum odk_err err = odk_dir_verify(v->inspect.dir, &v->verify);
    if (err != ODK_OK)
        code = cli_fail(inspect_code(err), "%s: %s", v->inspect.data_dir, odk_err_text(err));
    if (operands->count == 0)
        code = cli_worse(code, target_run(v, NULL));
    for (size_t i = 0; i < operands->count; i++) {
        struct inspect_target target;
        int parsed = inspect_target_parse(spec, operands->items[i], INSPECT_TOPIC, INSPECT_PARTITION, &target);
        code = cli_worse(code, parsed == ARGS_GO_ON ? target_run(v, &target) : parsed);
    }
    summary_print(v);
    return v->verify.damage_count > 0 ? cli_worse(code, EXIT_CODE_CORRUPT) : code;
}

int inspect_verify(int argc, char **argv)
{
    struct verify v = { .inspect = inspect_defaults() };
    const struct args_option options[] = {
        { "records", 'r', ARGS_FLAG, NULL, "also decompress and read every record", &v.verify.records },
        { "quiet", 'q', ARGS_FLAG, NULL, "leave notices out", &v.quiet },
        INSPECT_DIR_ROW(v.inspect),
        INSPECT_JSON_ROW(v.inspect),
    };
    struct args_spec spec = {
        "inspect verify",
        "Reads everything and checks it: checksums, offsets, epochs, indexes, snapshots, the journal.",
        "[TOPIC[:PARTITION]...]",
        options,
        countof(options),
        0,
        SIZE_MAX,
        "Nothing is altered. Exit code 6: damage was found. Notices are no damage. Beside a running server, what it is\n"
        "just writing is not taken for damage; its journal is not looked at.\n\n"
        "examples:\n"
        "  odradek inspect verify\n"
        "  odradek inspect verify orders:3 --records --json",
    };
    struct args_operands operands;
    int code = args_parse(&spec, argc, argv, &operands);
    if (code == ARGS_GO_ON)
        code = verify_run(&v, &spec, &operands);
    inspect_close(&v.inspect);
    return code;
}
