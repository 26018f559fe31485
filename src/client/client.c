#include "client/client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <odradek/io.h>

#include "base/units.h"
#include "wire/frame.h"
#include "wire/table.h"
#include "wire/wire_limits.h"

#define DEFAULT_PORT "9092"

struct client {
    struct odk_io *io;
    struct arena arena;
    const char *client_id;
    struct wire_range *spoken; /* by key, wire_key_limit of them; first > last: not spoken */
    uint64_t timeout_ns;
    int32_t sock;    /* -1: none */
    bool connecting; /* an attempt could not be ended: the io and the arena stay for it */
    int32_t correlation_id;
    char address[300];
    char why[600];
};

static PRINTF(3, 4) enum exit_code failed(struct client *client, enum exit_code code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(client->why, sizeof(client->why), format, args);
    va_end(args);
    return code;
}

const char *client_why(const struct client *client)
{
    return client->why;
}

const char *client_address(const struct client *client)
{
    return client->address;
}

void *client_alloc(struct client *client, size_t count, size_t size)
{
    void *memory = arena_alloc(&client->arena, count, size);
    ASSERT(memory != NULL); /* the arena has no limit */
    return memory;
}

struct arena *client_arena(struct client *client)
{
    return &client->arena;
}

int64_t client_wall_ms(void)
{
    struct odk_io_options options = { .kind = ODK_IO_POSIX };
    struct odk_io *io = NULL;
    if (odk_io_open(&options, &io, NULL, 0) != ODK_OK)
        return 0;
    int64_t now_ms = io->ops->wall_ms(io);
    io->ops->free(io);
    return now_ms;
}

/* -- the socket -----------------------------------------------------------------------------------------------------
 */

/* Runs the loop until the operation is over; -ETIMEDOUT when that takes too long (then it was ended by force). */
static int32_t wait_for(struct client *client, struct odk_io_wait *wait, uint64_t deadline_ns)
{
    const struct odk_io_ops *ops = client->io->ops;
    bool late = false;
    while (!wait->ready && !late) {
        ops->run(client->io, deadline_ns);
        late = !wait->ready && ops->mono_ns(client->io) >= deadline_ns;
    }
    if (!late)
        return wait->result;
    if (client->sock >= 0) {
        ops->shutdown(client->io, client->sock);
        (void)odk_io_wait(client->io, wait);
    }
    return -ETIMEDOUT;
}

static enum exit_code lost(struct client *client, int32_t result, const char *doing)
{
    if (result == -ETIMEDOUT)
        return failed(client, EXIT_CODE_TIMEOUT, "%s did not answer within %llu ms (%s)", client->address,
                      (unsigned long long)(client->timeout_ns / NS_PER_MS), doing);
    if (result == 0)
        return failed(client, EXIT_CODE_UNREACHABLE, "%s closed the connection (%s)", client->address, doing);
    return failed(client, EXIT_CODE_UNREACHABLE, "lost the connection to %s: %s (%s)", client->address,
                  strerror(-result), doing);
}

static enum exit_code send_all(struct client *client, struct out *outs, size_t count, uint64_t deadline_ns)
{
    size_t bytes = 0, part_count = 0;
    struct odk_io_wait wait;
    for (size_t i = 0; i < count; i++) {
        const struct iovec *parts;
        uint32_t more;
        bytes += out_bytes(&outs[i]);
        if (!out_iov(&outs[i], &parts, &more))
            return failed(client, EXIT_CODE_FAILURE, "the request is too large");
        part_count += more;
    }
    struct iovec *all = client_new(client, struct iovec, part_count);
    for (size_t i = 0, at = 0; i < count; at += outs[i++].part_count)
        memcpy(all + at, outs[i].parts, outs[i].part_count * sizeof(*all));
    odk_io_wait_begin(&wait);
    client->io->ops->sendv(client->io, &wait.op, client->sock, all, (uint32_t)part_count);
    int32_t result = wait_for(client, &wait, deadline_ns);
    return result >= 0 && (size_t)result == bytes ? EXIT_CODE_OK : lost(client, result, "sending");
}

static enum exit_code recv_all(struct client *client, uint8_t *dst, uint32_t len, uint64_t deadline_ns)
{
    for (uint32_t got = 0; got < len;) {
        struct odk_io_wait wait;
        odk_io_wait_begin(&wait);
        client->io->ops->recv(client->io, &wait.op, client->sock, dst + got, len - got);
        int32_t result = wait_for(client, &wait, deadline_ns);
        if (result <= 0)
            return lost(client, result, "receiving");
        got += (uint32_t)result;
    }
    return EXIT_CODE_OK;
}

static int32_t connect_to(struct client *client, const char *address, uint64_t deadline_ns)
{
    struct odk_addr *addr = client_new(client, struct odk_addr, 1);
    struct odk_io_wait *wait = client_new(client, struct odk_io_wait, 1);
    enum odk_err err = odk_addr_parse(address, addr);
    if (err != ODK_OK)
        return err == ODK_ERR_INVALID ? -EINVAL : -EHOSTUNREACH;
    odk_io_wait_begin(wait);
    client->io->ops->connect(client->io, &wait->op, addr);
    int32_t result = wait_for(client, wait, deadline_ns);
    client->connecting = result == -ETIMEDOUT;
    return result;
}

/* One entry of the list of brokers. */
static enum exit_code broker_try(struct client *client, const char *entry, size_t len, uint64_t deadline_ns)
{
    bool has_port = memchr(entry, ':', len) != NULL && entry[len - 1] != ']';
    (void)snprintf(client->address, sizeof(client->address), "%.*s%s", (int)len, entry,
                   has_port ? "" : ":" DEFAULT_PORT);
    int32_t result = connect_to(client, client->address, deadline_ns);
    /* A name may stand for an IPv6 address first, where nobody listens. */
    if (result == -ECONNREFUSED && strncmp(client->address, "localhost:", 10) == 0) {
        char numeric[64];
        (void)snprintf(numeric, sizeof(numeric), "127.0.0.1:%s", client->address + 10);
        result = connect_to(client, numeric, deadline_ns);
    }
    if (result == -EINVAL)
        return failed(client, EXIT_CODE_USAGE, "'%s' is not an address (examples: 127.0.0.1:9092, [::1]:9092)",
                      client->address);
    if (result < 0)
        return failed(client, EXIT_CODE_UNREACHABLE, "cannot reach %s: %s; is the broker running? try: odradek dev",
                      client->address, result == -EHOSTUNREACH ? "unknown host, or no route" : strerror(-result));
    client->sock = result;
    return EXIT_CODE_OK;
}

static enum exit_code brokers_try(struct client *client, const char *brokers, uint64_t deadline_ns)
{
    enum exit_code code = failed(client, EXIT_CODE_USAGE, "no broker address given");
    while (*brokers) {
        size_t len = strcspn(brokers, ",");
        if (len > 0)
            code = broker_try(client, brokers, len, deadline_ns);
        if (len > 0 && (code == EXIT_CODE_OK || client->connecting))
            return code;
        brokers += len + (brokers[len] == ',');
    }
    return code;
}

/* -- calls ----------------------------------------------------------------------------------------------------------
 */

static enum exit_code response_read(struct client *client, const struct client_call *call, int32_t wanted_id,
                                    uint64_t deadline_ns)
{
    uint8_t prefix[FRAME_LENGTH_BYTES];
    enum exit_code code = recv_all(client, prefix, sizeof(prefix), deadline_ns);
    if (code != EXIT_CODE_OK)
        return code;
    struct rd length = rd_init(prefix, sizeof(prefix));
    uint32_t len = rd_u32(&length);
    if (len > WIRE_FRAME_BYTES_MAX)
        return failed(client, EXIT_CODE_UNREACHABLE, "%s does not speak Kafka's protocol", client->address);
    uint8_t *frame = client_new(client, uint8_t, len);
    code = recv_all(client, frame, len, deadline_ns);
    if (code != EXIT_CODE_OK)
        return code;
    struct rd r = rd_init(frame, len);
    int32_t correlation_id;
    const struct wire_api *api = wire_api_find(call->key);
    bool good = response_header_decode(&r, call->key, call->version, &correlation_id) && correlation_id == wanted_id &&
                api->response->decode(call->response, &r, &client->arena, call->version);
    if (!good)
        return failed(client, EXIT_CODE_UNREACHABLE, "%s sent something that is not an answer to %s", client->address,
                      api->name);
    return EXIT_CODE_OK;
}

/* Says the request behind those that out holds already. */
static enum exit_code request_write(struct client *client, const struct client_call *call, int32_t correlation_id,
                                    struct out *out)
{
    const struct wire_api *api = wire_api_find(call->key);
    ASSERT(api != NULL);
    if (call->version < 0)
        return failed(client, EXIT_CODE_FAILURE, "%s does not offer %s in a version that this program knows",
                      client->address, api->name);
    struct request_header header = { .key = call->key,
                                     .version = call->version,
                                     .correlation_id = correlation_id,
                                     .client_id = odk_str_from(client->client_id) };
    out_init(out, &client->arena);
    request_begin(out, &header);
    if (!api->request->encode(call->request, out, call->version) || !request_end(out))
        return failed(client, EXIT_CODE_FAILURE, "%s: the request cannot be said in version %d", api->name,
                      call->version);
    return EXIT_CODE_OK;
}

enum exit_code client_calls(struct client *client, const struct client_call *calls, size_t count)
{
    uint64_t deadline_ns = client->io->ops->mono_ns(client->io) + client->timeout_ns;
    struct out *outs = client_new(client, struct out, count);
    int32_t first_id = client->correlation_id + 1;
    enum exit_code code = EXIT_CODE_OK;
    for (size_t i = 0; i < count && code == EXIT_CODE_OK; i++)
        code = request_write(client, &calls[i], ++client->correlation_id, &outs[i]);
    if (code == EXIT_CODE_OK)
        code = send_all(client, outs, count, deadline_ns);
    for (size_t i = 0; i < count && code == EXIT_CODE_OK; i++)
        code = response_read(client, &calls[i], first_id + (int32_t)i, deadline_ns);
    return code;
}

enum exit_code client_call(struct client *client, const struct client_call *call)
{
    return client_calls(client, call, 1);
}

void client_pause(struct client *client, int64_t ms)
{
    const struct odk_io_ops *ops = client->io->ops;
    uint64_t until_ns = ops->mono_ns(client->io) + (uint64_t)ms * NS_PER_MS;
    while (ops->mono_ns(client->io) < until_ns)
        ops->run(client->io, until_ns);
}

int64_t client_mono_ms(const struct client *client)
{
    return (int64_t)(client->io->ops->mono_ns(client->io) / NS_PER_MS);
}

int16_t client_version(const struct client *client, int16_t key, int16_t version_max)
{
    const struct wire_api *api = wire_api_find(key);
    ASSERT(api != NULL);
    struct wire_range spoken = client->spoken[key];
    int16_t first = MAX(spoken.first, api->request->versions.first);
    int16_t last = MIN(MIN(spoken.last, api->request->versions.last), version_max);
    return first <= last ? last : -1;
}

/* Version 0 has all that is needed here, and everybody knows it. */
static enum exit_code versions_learn(struct client *client)
{
    struct api_versions_request request;
    struct api_versions_response response;
    struct client_call call = { WIRE_KEY_API_VERSIONS, 0, &request, &response };
    api_versions_request_init(&request);
    enum exit_code code = client_call(client, &call);
    if (code != EXIT_CODE_OK)
        return code;
    if (response.error_code != KAFKA_NONE)
        return failed(client, EXIT_CODE_UNREACHABLE, "%s refuses to name its versions: %s", client->address,
                      kafka_error_name(response.error_code));
    for (int32_t i = 0; i < response.api_keys_count; i++) {
        const struct api_versions_response_api *api = &response.api_keys[i];
        if (api->api_key >= 0 && api->api_key < wire_key_limit)
            client->spoken[api->api_key] = (struct wire_range){ api->min_version, api->max_version };
    }
    return EXIT_CODE_OK;
}

enum exit_code client_open(const struct client_options *options, struct client **ret_client)
{
    struct client *client = xcalloc(1, sizeof(*client));
    struct odk_io_options io = { .kind = ODK_IO_POSIX };
    *ret_client = client;
    client->sock = -1;
    client->client_id = options->client_id;
    client->timeout_ns = (uint64_t)MAX(options->timeout_ms, 1) * NS_PER_MS;
    enum odk_err err = odk_io_open(&io, &client->io, client->why, sizeof(client->why));
    if (err != ODK_OK)
        return EXIT_CODE_FAILURE;
    client->spoken = client_new(client, struct wire_range, (size_t)wire_key_limit);
    for (int16_t key = 0; key < wire_key_limit; key++)
        client->spoken[key] = (struct wire_range){ 0, -1 };
    uint64_t deadline_ns = client->io->ops->mono_ns(client->io) + client->timeout_ns;
    enum exit_code code = brokers_try(client, options->brokers, deadline_ns);
    return code == EXIT_CODE_OK ? versions_learn(client) : code;
}

void client_close(struct client *client)
{
    if (!client)
        return;
    if (client->sock >= 0)
        client->io->ops->close_socket(client->io, client->sock);
    if (client->connecting)
        return; /* the process ends soon */
    if (client->io)
        client->io->ops->free(client->io);
    arena_deinit(&client->arena);
    free(client);
}

enum exit_code client_exit_code(int16_t error_code)
{
    switch (error_code) {
    case KAFKA_NONE: return EXIT_CODE_OK;
    case KAFKA_UNKNOWN_TOPIC_OR_PARTITION:
    case KAFKA_UNKNOWN_TOPIC_ID:
    case KAFKA_GROUP_ID_NOT_FOUND: return EXIT_CODE_NOT_FOUND;
    case KAFKA_REQUEST_TIMED_OUT: return EXIT_CODE_TIMEOUT;
    case KAFKA_POLICY_VIOLATION:
    case KAFKA_TOPIC_DELETION_DISABLED:
    case KAFKA_TOPIC_AUTHORIZATION_FAILED:
    case KAFKA_CLUSTER_AUTHORIZATION_FAILED: return EXIT_CODE_REFUSED;
    default: return EXIT_CODE_FAILURE;
    }
}
