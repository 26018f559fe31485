/* Names of environment variables, as the container images of Kafka map them to keys. */
#include <ctype.h>
#include <string.h>

#include "base/base.h"
#include "broker/config.h"

/* These belong to a Java process, to an image's start script, or to Kubernetes, which names services in this way. */
static const char *const foreign[] = {
    "KAFKA_HEAP_OPTS",
    "KAFKA_OPTS",
    "KAFKA_JVM_PERFORMANCE_OPTS",
    "KAFKA_GC_LOG_OPTS",
    "KAFKA_DEBUG",
    "KAFKA_CLASSPATH",
    "KAFKA_HOME",
    "KAFKA_VERSION",
    "KAFKA_MODE",
    "KAFKA_ENABLE_KRAFT",
    "KAFKA_SCALA_VERSION",
    "KAFKA_CLUSTER_ID",
    "KAFKA_KRAFT_CLUSTER_ID",
    "KAFKA_CONFIG",
    "KAFKA_LOGGERS",
};
static const char *const foreign_prefixes[] = { "KAFKA_JMX_", "KAFKA_LOG4J_", "KAFKA_TOOLS_LOG4J_", "KAFKA_PORT",
                                                "KAFKA_SERVICE_" };

static bool is_foreign(const char *name)
{
    for (uint32_t i = 0; i < countof(foreign); i++) {
        if (strcmp(name, foreign[i]) == 0)
            return true;
    }
    for (uint32_t i = 0; i < countof(foreign_prefixes); i++) {
        if (strncmp(name, foreign_prefixes[i], strlen(foreign_prefixes[i])) == 0)
            return true;
    }
    return false;
}

static const char *strip(const char *name, const char *prefix)
{
    size_t len = strlen(prefix);
    return strncmp(name, prefix, len) == 0 && name[len] != '\0' ? name + len : NULL;
}

bool config_key_of_env(const char *name, char *dst, size_t len)
{
    const char *rest = strip(name, "KAFKA_CFG_");
    if (!rest)
        rest = strip(name, "KAFKA_");
    if (!rest || is_foreign(name))
        return false;
    size_t pos = 0;
    while (*rest != '\0') {
        size_t run = strspn(rest, "_");
        char c = (char)tolower((unsigned char)*rest);
        if (run > 0) {
            run = MIN(run, (size_t)3);
            c = "._-"[run - 1];
        }
        if (pos + 1 >= len)
            return false;
        dst[pos++] = c;
        rest += run > 0 ? run : 1;
    }
    dst[pos] = '\0';
    return true;
}
