#include "server/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

extern char **environ;

enum option_id {
    OPTION_CONFIG = 'c',
    OPTION_DATA_DIR = 'd',
    OPTION_LISTEN = 'l',
    OPTION_HTTP = 'H',
    OPTION_OVERRIDE = 'o',
    OPTION_IO = 'i',
    OPTION_LOG_FORMAT = 'f',
    OPTION_PRINT_CONFIG = 'p',
    OPTION_JSON = 'j',
    OPTION_HELP = 'h',
};

static const struct option long_options[] = {
    { "config", required_argument, NULL, OPTION_CONFIG },
    { "data-dir", required_argument, NULL, OPTION_DATA_DIR },
    { "listen", required_argument, NULL, OPTION_LISTEN },
    { "http", required_argument, NULL, OPTION_HTTP },
    { "override", required_argument, NULL, OPTION_OVERRIDE },
    { "io", required_argument, NULL, OPTION_IO },
    { "log-format", required_argument, NULL, OPTION_LOG_FORMAT },
    { "print-config", no_argument, NULL, OPTION_PRINT_CONFIG },
    { "json", no_argument, NULL, OPTION_JSON },
    { "help", no_argument, NULL, OPTION_HELP },
    { 0 },
};

static const char serve_usage[] =
    "usage: odradek serve [options]\n"
    "\n"
    "Runs the broker in the foreground until SIGTERM or SIGINT.\n"
    "\n"
    "  -c, --config FILE         settings in Kafka's server.properties form\n"
    "  -d, --data-dir DIR        where everything is kept (log.dirs)\n"
    "  -l, --listen HOST:PORT    where clients connect, instead of listeners; may be repeated; port 0: any free one\n"
    "  -o, --override KEY=VALUE  one setting; may be repeated\n"
    "  -i, --io BACKEND          auto, uring or epoll (default: auto)\n"
    "      --http HOST:PORT|off  accepted; this version serves no HTTP\n"
    "      --log-format FORMAT   text or logfmt (default: text)\n"
    "      --print-config        print every setting with its origin (default, FILE:LINE, environment NAME,\n"
    "                            command line), then exit; what was changed at run time: odradek config\n"
    "      --json                with --print-config: as JSON\n"
    "  -h, --help                this text\n"
    "\n"
    "Strongest first: options, environment (KAFKA_LOG_RETENTION_HOURS, KAFKA_CFG_...), file, defaults.\n"
    "Prints one line on standard output when ready, diagnostics on standard error.\n"
    "Exit codes: 0 stopped cleanly, 1 failure, 2 usage or configuration, 6 damaged data.\n";

static const char dev_usage[] =
    "usage: odradek dev [options of serve]\n"
    "\n"
    "serve with friendly defaults: data in ./odradek-data, 127.0.0.1:9092, topics made on first use, groups that\n"
    "settle in a tenth of a second.\n"
    "See odradek serve --help.\n";

struct parse {
    struct options *options;
    struct odk_io *io;
    enum options_mode mode;
    const char *io_name;
    uint32_t listen_count;
    bool listens; /* where --listen says, not where the configuration does */
    bool bad;
};

PRINTF(2, 3) static void complain(struct parse *parse, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "odradek: ");
    (void)vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    parse->bad = true;
}

static void set(struct parse *parse, struct odk_str key, struct odk_str value, enum config_origin origin)
{
    struct config_why why;
    if (broker_config_set(&parse->options->config, key, value, origin, &parse->options->sink.diag, &why) != ODK_OK)
        complain(parse, "%s", why.text);
}

static void set_text(struct parse *parse, const char *key, const char *value, enum config_origin origin)
{
    set(parse, odk_str_from(key), odk_str_from(value), origin);
}

static void override(struct parse *parse, const char *text)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text) {
        complain(parse, "--override %s: expected KEY=VALUE", text);
        return;
    }
    set(parse, (struct odk_str){ .data = text, .len = (size_t)(equals - text) }, odk_str_from(equals + 1),
        CONFIG_FROM_FLAG);
}

static void listen_add(struct parse *parse, const char *text)
{
    if (parse->listen_count == LISTENERS_MAX) {
        complain(parse, "--listen %s: at most %u listeners", text, LISTENERS_MAX);
        return;
    }
    struct server_options *server = &parse->options->server;
    enum odk_err err = odk_addr_parse(text, &server->listen[parse->listen_count]);
    if (err == ODK_ERR_NOT_FOUND)
        complain(parse, "%s: no address is known for this host", text);
    else if (err != ODK_OK)
        complain(parse, "--listen %s: expected HOST:PORT, [IPV6]:PORT or :PORT", text);
    if (err != ODK_OK)
        return;
    server->listen_names[parse->listen_count++] = "PLAINTEXT";
}

static void log_format_set(struct parse *parse, const char *text)
{
    if (strcmp(text, "text") == 0)
        parse->options->sink.format = STDERR_TEXT;
    else if (strcmp(text, "logfmt") == 0)
        parse->options->sink.format = STDERR_LOGFMT;
    else
        complain(parse, "--log-format %s: expected text or logfmt", text);
}

static void option_take(struct parse *parse, int option, const char *value)
{
    switch (option) {
    case OPTION_CONFIG: parse->options->config_path = value; break;
    case OPTION_DATA_DIR: set_text(parse, "log.dirs", value, CONFIG_FROM_FLAG); break;
    case OPTION_LISTEN: listen_add(parse, value); break;
    case OPTION_HTTP: break;
    case OPTION_OVERRIDE: override(parse, value); break;
    case OPTION_IO: parse->io_name = value; break;
    case OPTION_LOG_FORMAT: log_format_set(parse, value); break;
    case OPTION_PRINT_CONFIG: parse->options->print_config = true; break;
    case OPTION_JSON: parse->options->json = true; break;
    case OPTION_HELP: parse->options->help = true; break;
    default: break;
    }
}

static void arguments_take(struct parse *parse, int argc, char **argv)
{
    int option;
    optind = 1;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":c:d:l:o:i:h", long_options, NULL)) != -1)
        if (option == ':')
            complain(parse, "%s: a value must follow; try: odradek %s --help", argv[optind - 1], argv[0]);
        else if (option == '?' && optopt)
            complain(parse, "-%c: unknown option; try: odradek %s --help", optopt, argv[0]);
        else if (option == '?')
            complain(parse, "%s: unknown option; try: odradek %s --help", argv[optind - 1], argv[0]);
        else
            option_take(parse, option, optarg);
    if (optind < argc)
        complain(parse, "unexpected argument '%s'; try: odradek %s --help", argv[optind], argv[0]);
}

static void file_take(struct parse *parse)
{
    const char *path = parse->options->config_path;
    if (!path)
        return;
    void *content = NULL;
    size_t len = 0;
    enum odk_err err = odk_io_load(parse->io, path, CONFIG_FILE_BYTES_MAX, &content, &len);
    if (err != ODK_OK) {
        complain(parse, "cannot read configuration %s: %s", path, odk_err_text(err));
        return;
    }
    struct config_why why;
    struct odk_str text = { .data = content, .len = len };
    if (broker_config_load(&parse->options->config, text, CONFIG_FROM_FILE, &parse->options->sink.diag, &why) != ODK_OK)
        complain(parse, "%s: %s", path, why.text);
    free(content);
}

static void environment_take(struct parse *parse)
{
    for (char **entry = environ; *entry; entry++) {
        const char *equals = strchr(*entry, '=');
        char name[256], key[256];
        if (!equals || (size_t)(equals - *entry) >= sizeof(name))
            continue;
        (void)snprintf(name, sizeof(name), "%.*s", (int)(equals - *entry), *entry);
        if (config_key_of_env(name, key, sizeof(key)))
            set_text(parse, key, equals + 1, CONFIG_FROM_ENV);
    }
}

static void io_kind_take(struct parse *parse)
{
    static const enum odk_io_kind kinds[] = { ODK_IO_AUTO, ODK_IO_URING, ODK_IO_EPOLL }; /* as the row's choices */
    if (parse->io_name)
        set_text(parse, "io.backend", parse->io_name, CONFIG_FROM_FLAG);
    parse->options->server.io_kind = kinds[parse->options->config.io_backend];
}

/* Without --listen: the listeners of the configuration. */
static void listeners_take(struct parse *parse)
{
    struct options *options = parse->options;
    struct config_why why;
    uint32_t count = 0;
    parse->listens = parse->listen_count > 0;
    if (!parse->listens) {
        if (broker_config_listeners(&options->config, options->listeners, &count, &why) != ODK_OK)
            complain(parse, "%s", why.text);
        for (uint32_t i = 0; i < count; i++) {
            char text[300];
            const struct config_listener *from = &options->listeners[i];
            (void)snprintf(text, sizeof(text), strchr(from->host, ':') ? "[%s]:%u" : "%s:%u", from->host, from->port);
            listen_add(parse, text);
            options->server.listen_names[i] = from->name;
        }
    }
    options->server.listen_count = parse->listen_count;
}

/* log.dirs wins over log.dir; one directory holds everything. */
static void data_dir_take(struct parse *parse)
{
    struct odk_str dir = broker_config_data_dir(&parse->options->config);
    if (!dir.data && !parse->options->print_config)
        complain(parse, "no data directory: name one with --data-dir DIR or log.dirs=DIR, or try: odradek dev");
    parse->options->data_dir = dir.data ? xstrndup(dir.data, dir.len) : NULL;
    parse->options->server.data_dir = parse->options->data_dir;
}

static uint32_t reactor_count(const struct broker_config *config)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t count = config->num_reactors > 0 ? (uint32_t)config->num_reactors : (uint32_t)MAX(cores, 1);
    return MIN(count, SERVER_REACTORS_MAX);
}

/* Nobody asked for them, so nothing is said about them. */
static void dev_defaults(struct parse *parse)
{
    struct config_why why;
    static const char *const defaults[][2] = {
        { "log.dirs", "./odradek-data" },
        { "listeners", "PLAINTEXT://127.0.0.1:9092" },
        { "group.initial.rebalance.delay.ms", "100" }, /* again for each member that comes: a few that start together */
    };
    for (size_t i = 0; i < countof(defaults); i++)
        if (broker_config_set(&parse->options->config, odk_str_from(defaults[i][0]), odk_str_from(defaults[i][1]),
                              CONFIG_FROM_FILE, NULL, &why) != ODK_OK)
            complain(parse, "%s", why.text);
}

enum odk_err options_parse(struct options *options, enum options_mode mode, struct odk_io *io, int argc, char **argv)
{
    *options = (struct options){ 0 };
    struct parse parse = { .options = options, .io = io, .mode = mode };
    options->server.started_ns = io->ops->mono_ns(io);
    stderr_sink_init(&options->sink, io, STDERR_TEXT, ODK_DIAG_INFO);
    broker_config_init(&options->config);
    if (mode == OPTIONS_DEV)
        dev_defaults(&parse);
    arguments_take(&parse, argc, argv);
    if (options->help) {
        fputs(mode == OPTIONS_DEV ? dev_usage : serve_usage, stdout);
        return ODK_OK;
    }
    if (!parse.bad) {
        environment_take(&parse);
        file_take(&parse);
        io_kind_take(&parse);
        listeners_take(&parse);
        data_dir_take(&parse);
    }
    struct config_why why;
    if (!parse.bad && broker_config_check(&options->config, !parse.listens, &options->sink.diag, &why) != ODK_OK)
        complain(&parse, "%s", why.text);
    if (parse.bad)
        return ODK_ERR_INVALID;
    if (!options->print_config)
        broker_config_say_inert(&options->config, &options->sink.diag);
    options->server.config = &options->config;
    options->server.diag = &options->sink.diag;
    options->server.io = io;
    options->server.reactor_count = reactor_count(&options->config);
    return ODK_OK;
}

void options_deinit(struct options *options)
{
    broker_config_deinit(&options->config);
    free(options->data_dir);
}
