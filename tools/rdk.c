#include "rdk.h"

#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <syslog.h>

#define WHY_BYTES 512

static void rdk_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk;
    (void)facility;
    if (level <= LOG_CRIT)
        (void)cli_fail(EXIT_CODE_FAILURE, "%s", text);
}

static bool conf_set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char why[WHY_BYTES];
    if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) == RD_KAFKA_CONF_OK)
        return true;
    (void)cli_fail(EXIT_CODE_USAGE, "%s=%s: %s", name, value, why);
    return false;
}

static bool extra_set(rd_kafka_conf_t *conf, const char *pair)
{
    char name[128];
    const char *equals = strchr(pair, '=');
    size_t len = equals ? (size_t)(equals - pair) : 0;
    if (len == 0 || len >= sizeof(name)) {
        (void)cli_fail(EXIT_CODE_USAGE, "-X wants NAME=VALUE, not '%s'", pair);
        return false;
    }
    memcpy(name, pair, len);
    name[len] = '\0';
    return conf_set(conf, name, equals + 1);
}

rd_kafka_conf_t *rdk_conf(const struct cli_common *common, const struct rdk_property *properties, size_t count,
                          const struct args_list *extra, int *ret_code)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    bool good = conf_set(conf, "bootstrap.servers", common->brokers) && conf_set(conf, "client.id", "odradek");
    for (size_t i = 0; good && i < count; i++)
        good = !properties[i].value || conf_set(conf, properties[i].name, properties[i].value);
    for (size_t i = 0; good && i < extra->count; i++)
        good = extra_set(conf, extra->items[i]);
    rd_kafka_conf_set_log_cb(conf, rdk_log);
    if (good)
        return conf;
    rd_kafka_conf_destroy(conf);
    *ret_code = EXIT_CODE_USAGE;
    return NULL;
}

rd_kafka_t *rdk_new(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char why[WHY_BYTES];
    rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof(why));
    if (rk)
        return rk;
    rd_kafka_conf_destroy(conf);
    (void)cli_fail(EXIT_CODE_FAILURE, "%s", why);
    return NULL;
}

enum exit_code rdk_exit_code(rd_kafka_resp_err_t err)
{
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
        return EXIT_CODE_OK;
    if (err == RD_KAFKA_RESP_ERR__TRANSPORT || err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN ||
        err == RD_KAFKA_RESP_ERR__RESOLVE)
        return EXIT_CODE_UNREACHABLE;
    if (err == RD_KAFKA_RESP_ERR__TIMED_OUT || err == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT)
        return EXIT_CODE_TIMEOUT;
    if (err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC || err == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION)
        return EXIT_CODE_NOT_FOUND;
    return client_exit_code((int16_t)err);
}

/* What a broker says is told in the same words everywhere. */
const char *rdk_error_text(rd_kafka_resp_err_t err)
{
    return err > RD_KAFKA_RESP_ERR_NO_ERROR ? kafka_error_text((int)err) : rd_kafka_err2str(err);
}

int rdk_fail(const char *what, rd_kafka_resp_err_t err)
{
    return cli_fail(rdk_exit_code(err), "%s: %s", what, rdk_error_text(err));
}

int rdk_topic_fail(const char *topic, rd_kafka_resp_err_t err)
{
    enum exit_code code = rdk_exit_code(err);
    return cli_fail(code, "topic %s: %s%s", topic, rdk_error_text(err),
                    code == EXIT_CODE_NOT_FOUND ? "; try: odradek topic list" : "");
}

int rdk_probe(const struct cli_common *common)
{
    struct client *client = NULL;
    int code = cli_connect(common, &client);
    client_close(client);
    return code;
}

static sigset_t stop_signals(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    return set;
}

int rdk_signals_hold(void)
{
    sigset_t set = stop_signals();
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

bool rdk_interrupted(void)
{
    sigset_t set;
    return sigpending(&set) == 0 && (sigismember(&set, SIGINT) == 1 || sigismember(&set, SIGTERM) == 1);
}
