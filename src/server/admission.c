#include "server/admission.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash_table.h"
#include "base/units.h"
#include "broker/config.h"

struct admission_address {
    char *host;
    uint32_t count;
    UT_hash_handle hh;
};

void admission_init(struct admission *admission)
{
    *admission = (struct admission){ 0 };
    ASSERT(pthread_mutex_init(&admission->lock, NULL) == 0);
}

static void address_free(struct admission *admission, struct admission_address *address)
{
    HASH_DEL(admission->by_host, address);
    free(address->host);
    free(address);
}

void admission_deinit(struct admission *admission)
{
    struct admission_address *address, *next;
    HASH_ITER(hh, admission->by_host, address, next)
    address_free(admission, address);
    pthread_mutex_destroy(&admission->lock);
}

/* What may come from host. */
static uint32_t limit_of(const struct broker_config *config, const char *host)
{
    struct odk_str rest = odk_str_from(config->max_connections_per_ip_overrides), at;
    uint32_t count;
    while (config_override_next(&rest, &at, &count) == ODK_OK) {
        if (odk_str_eq(at, odk_str_from(host)))
            return count;
    }
    return (uint32_t)config->max_connections_per_ip;
}

static struct admission_address *address_take(struct admission *admission, const char *host)
{
    struct admission_address *address = NULL;
    size_t len = strlen(host);
    HASH_FIND(hh, admission->by_host, host, len, address);
    if (address)
        return address;
    address = xcalloc(1, sizeof(*address));
    address->host = xstrndup(host, len);
    HASH_ADD_KEYPTR(hh, admission->by_host, address->host, len, address);
    return address;
}

enum admission_answer admission_enter(struct admission *admission, const char *host,
                                      const struct broker_config *config)
{
    enum admission_answer answer = ADMISSION_OK;
    uint32_t limit = limit_of(config, host);
    pthread_mutex_lock(&admission->lock);
    struct admission_address *address = address_take(admission, host);
    if (admission->count >= (uint32_t)config->max_connections)
        answer = ADMISSION_TOO_MANY;
    else if (address->count >= limit)
        answer = ADMISSION_TOO_MANY_OF_ADDRESS;
    else {
        admission->count++;
        address->count++;
    }
    if (address->count == 0)
        address_free(admission, address);
    pthread_mutex_unlock(&admission->lock);
    return answer;
}

void admission_leave(struct admission *admission, const char *host)
{
    struct admission_address *address = NULL;
    pthread_mutex_lock(&admission->lock);
    HASH_FIND(hh, admission->by_host, host, strlen(host), address);
    ASSERT(address && address->count > 0 && admission->count > 0);
    admission->count--;
    if (--address->count == 0)
        address_free(admission, address);
    pthread_mutex_unlock(&admission->lock);
}

uint32_t admission_count(struct admission *admission)
{
    pthread_mutex_lock(&admission->lock);
    uint32_t count = admission->count;
    pthread_mutex_unlock(&admission->lock);
    return count;
}

uint64_t admission_next_ns(struct admission *admission, const struct broker_config *config, uint64_t now_ns)
{
    uint64_t interval_ns = NS_PER_S / (uint64_t)MAX(config->max_connection_creation_rate, 1);
    admission->paced_ns = MAX(admission->paced_ns, now_ns) + interval_ns;
    return admission->paced_ns > now_ns + NS_PER_S ? admission->paced_ns - NS_PER_S : now_ns;
}
