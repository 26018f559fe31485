/* odradek health: does the broker answer? For probes: exit code 0, or 5 when it cannot be reached. */
#include "cli.h"
#include "client/json.h"

#define METADATA_VERSION_MAX 9

struct health {
    enum exit_code code;
    const char *why;
    const char *address;
    int32_t nodes;
    int32_t controller;
    struct odk_str cluster_id;
};

static void health_ask(struct client *client, struct health *ret)
{
    struct metadata_request request;
    struct metadata_response *response = client_new(client, struct metadata_response, 1);
    struct client_call call = { WIRE_KEY_METADATA, -1, &request, response };
    call.version = client_version(client, call.key, METADATA_VERSION_MAX);
    metadata_request_init(&request); /* no topics: the nodes are enough */
    request.allow_auto_topic_creation = false;
    ret->code = client_call(client, &call);
    ret->why = client_why(client);
    if (ret->code != EXIT_CODE_OK)
        return;
    ret->nodes = response->brokers_count;
    ret->controller = response->controller_id;
    ret->cluster_id = response->cluster_id;
    if (ret->nodes == 0) {
        ret->code = EXIT_CODE_FAILURE;
        ret->why = "the broker answers, but knows no nodes";
    }
}

static void health_json(const struct health *health)
{
    struct json json;
    json_init(&json, stdout);
    json_object(&json, NULL);
    json_bool(&json, "healthy", health->code == EXIT_CODE_OK);
    json_text(&json, "address", health->address);
    json_text(&json, "error", health->code == EXIT_CODE_OK ? NULL : health->why);
    if (health->code == EXIT_CODE_OK) {
        json_str(&json, "cluster_id", health->cluster_id);
        json_int(&json, "nodes", health->nodes);
        json_int(&json, "controller", health->controller);
    }
    json_end(&json);
    json_line(&json);
}

int cmd_health(int argc, char **argv)
{
    struct cli_common common = cli_common();
    bool quiet = false;
    const struct args_option options[] = {
        { "quiet", 'q', ARGS_FLAG, NULL, "only the exit code", &quiet },
        CLI_JSON_ROW(common),
        CLI_BROKERS_ROW(common),
        CLI_TIMEOUT_ROW(common),
    };
    struct args_spec spec = { "health",
                              "Asks whether the broker answers.",
                              "",
                              options,
                              countof(options),
                              0,
                              0,
                              "exit codes: 0 healthy, 5 unreachable, 124 no answer in time, 1 anything else" };
    struct args_operands none;
    int code = args_parse(&spec, argc, argv, &none);
    if (code != ARGS_GO_ON)
        return code;
    struct client_options to = { .brokers = common.brokers, .client_id = "odradek", .timeout_ms = common.timeout_ms };
    struct client *client = NULL;
    struct health health = { .code = client_open(&to, &client) };
    health.why = client_why(client);
    health.address = client_address(client);
    if (health.code == EXIT_CODE_OK)
        health_ask(client, &health);
    if (common.json && !quiet)
        health_json(&health);
    else if (!quiet && health.code == EXIT_CODE_OK)
        (void)printf("healthy: %s, %d node%s\n", health.address, health.nodes, health.nodes == 1 ? "" : "s");
    else if (!quiet)
        (void)cli_fail(health.code, "%s", health.why);
    code = (int)health.code;
    client_close(client);
    return code;
}
