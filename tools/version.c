/* odradek version. */
#include <librdkafka/rdkafka.h>

#include "cli.h"
#include "client/json.h"

int cmd_version(int argc, char **argv)
{
    bool json = false;
    const struct args_option options[] = { { "json", 0, ARGS_FLAG, NULL, "print JSON", &json } };
    struct args_spec spec = { "version", "Prints the version.", "", options, countof(options), 0, 0, NULL };
    struct args_operands none;
    int code = args_parse(&spec, argc, argv, &none);
    if (code != ARGS_GO_ON)
        return code;
    if (!json) {
        (void)printf("odradek %s\n", ODRADEK_VERSION);
        return EXIT_CODE_OK;
    }
    struct json out;
    json_init(&out, stdout);
    json_object(&out, NULL);
    json_text(&out, "version", ODRADEK_VERSION);
    json_text(&out, "compiler", __VERSION__);
    json_text(&out, "librdkafka", rd_kafka_version_str());
    json_end(&out);
    json_line(&out);
    return EXIT_CODE_OK;
}
