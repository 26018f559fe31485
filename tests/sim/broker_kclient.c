#include "broker_kclient.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/units.h"
#include "wire/frame.h"
#include "wire/messages.h"

#define KEY_API_VERSIONS  18
#define REPLY_ARENA_BYTES MIB(64)

void kclient_init(struct kclient *k, const struct kclient_options *options, const struct kclient_mood *mood)
{
    *k = (struct kclient){ .options = *options, .mood = mood, .rng.state = options->seed };
    k->arena.limit = REPLY_ARENA_BYTES;
    k->next_correlation_id = (int32_t)prng_between(&k->rng, 0, 1000);
    list_init(&k->calls);
}

static void calls_lose(struct kclient *k, bool tell)
{
    struct list lost;
    list_init(&lost);
    list_splice(&lost, &k->calls);
    k->call_count = 0;
    struct list *node;
    while ((node = list_pop_front(&lost))) {
        struct kcall *call = list_entry(node, struct kcall, in_client);
        if (tell && call->key != KEY_API_VERSIONS)
            k->options.lost(k->options.owner, call);
        free(call);
    }
}

void kclient_deinit(struct kclient *k)
{
    calls_lose(k, false);
    sim_client_free(k->client);
    arena_deinit(&k->arena);
}

void kclient_drop(struct kclient *k, uint64_t now_ns)
{
    sim_client_free(k->client);
    k->client = NULL;
    k->state = KCLIENT_WAITING;
    k->failures = MIN(k->failures + 1, 6u);
    k->next_try_ns = now_ns + prng_between(&k->rng, 1, UINT64_C(20) << k->failures) * NS_PER_MS;
    calls_lose(k, true);
}

bool kclient_promised(const struct kclient *k)
{
    return k->mood->calm && k->calm_born == k->mood->calm_count;
}

static bool held_to_promise(const struct kclient *k)
{
    return kclient_promised(k) && !k->careless;
}

/* -- versions ----------------------------------------------------------------------------------------------------- */

int16_t kclient_version(struct kclient *k, int16_t key, int16_t least, int16_t most)
{
    const struct wire_range ours = wire_api_find(key)->request->versions;
    int16_t low = MAX(MAX(k->version_min[key], ours.first), least);
    int16_t high = MIN(MIN(k->version_max[key], ours.last), most);
    if (low > high)
        return -1;
    if (prng_chance(&k->rng, 500000))
        return high;
    return (int16_t)prng_between(&k->rng, (uint64_t)low, (uint64_t)high);
}

static void greet(struct kclient *k, uint64_t now_ns)
{
    struct api_versions_request ask;
    api_versions_request_init(&ask);
    ask.client_software_name = ODK_STR("sim");
    ask.client_software_version = ODK_STR("1.0");
    int16_t version = (int16_t)prng_below(&k->rng, 5);
    k->state = KCLIENT_GREETING;
    k->began_ns = now_ns;
    kclient_send(k, KEY_API_VERSIONS, version, &ask, KCLIENT_ANSWER, NULL, now_ns);
}

static void greeted(struct kclient *k, const struct api_versions_response *reply)
{
    if (reply->error_code != 0)
        violation_set(k->options.model->violation, "ApiVersions is answered with error %d", reply->error_code);
    for (int i = 0; i < KCLIENT_KEYS; i++) {
        k->version_min[i] = 0;
        k->version_max[i] = -1;
    }
    for (int32_t i = 0; i < reply->api_keys_count; i++) {
        const struct api_versions_response_api *api = &reply->api_keys[i];
        if (api->api_key < 0 || api->api_key >= KCLIENT_KEYS)
            continue;
        k->version_min[api->api_key] = api->min_version;
        k->version_max[api->api_key] = api->max_version;
    }
    k->state = KCLIENT_READY;
}

/* -- requests ----------------------------------------------------------------------------------------------------- */

void kclient_send(struct kclient *k, int16_t key, int16_t version, const void *message, enum kclient_expect expect,
                  void *context, uint64_t now_ns)
{
    struct arena arena = { 0 };
    struct out out;
    const struct iovec *parts;
    uint32_t count;
    struct request_header header = {
        .key = key, .version = version, .correlation_id = k->next_correlation_id, .client_id = ODK_STR("sim")
    };
    out_init(&out, &arena);
    request_begin(&out, &header);
    bool whole = wire_api_find(key)->request->encode(message, &out, version);
    bool ended = request_end(&out);
    bool listed = out_iov(&out, &parts, &count);
    ASSERT(whole);
    ASSERT(ended);
    ASSERT(listed);
    for (uint32_t i = 0; i < count; i++)
        sim_client_send(k->client, parts[i].iov_base, parts[i].iov_len);
    arena_deinit(&arena);
    k->options.model->moment++;
    k->next_correlation_id++;
    if (expect == KCLIENT_NO_ANSWER) {
        k->careless = true;
        return;
    }
    struct kcall *call = xcalloc(1, sizeof(*call));
    *call = (struct kcall){ .key = key,
                            .version = version,
                            .correlation_id = header.correlation_id,
                            .sent_ns = now_ns,
                            .moment = k->options.model->moment,
                            .context = context };
    list_push_back(&k->calls, &call->in_client);
    k->call_count++;
}

/* -- answers ------------------------------------------------------------------------------------------------------ */

static struct kcall *call_first(struct kclient *k)
{
    return list_empty(&k->calls) ? NULL : list_entry(k->calls.next, struct kcall, in_client);
}

/* Decodes the frame as the answer to call; NULL after a violation. */
static const void *decode(struct kclient *k, const struct kcall *call, struct rd *r)
{
    const struct wire_message *message = wire_api_find(call->key)->response;
    int32_t correlation_id;
    arena_reset(&k->arena);
    void *body = arena_alloc(&k->arena, 1, message->body->size);
    ASSERT(body != NULL);
    bool ok = response_header_decode(r, call->key, call->version, &correlation_id);
    if (ok && correlation_id != call->correlation_id) {
        violation_set(k->options.model->violation, "answer %d arrives where %d (%s v%d) is due", correlation_id,
                      call->correlation_id, message->name, call->version);
        return NULL;
    }
    ok = ok && message->decode(body, r, &k->arena, call->version);
    if (!ok || rd_left(r) > 0) {
        violation_set(k->options.model->violation, "%s v%d cannot be decoded (%zu bytes left)", message->name,
                      call->version, rd_left(r));
        return NULL;
    }
    return body;
}

/* Takes one frame. The client may be another one, or none, afterwards. */
static void take_frame(struct kclient *k, const uint8_t *data, size_t len)
{
    struct kcall *call = call_first(k);
    if (call == NULL) {
        violation_set(k->options.model->violation, "an answer of %zu bytes arrives that nobody asked for", len);
        return;
    }
    struct rd r = rd_init(data, len);
    const void *body = decode(k, call, &r);
    if (body == NULL)
        return;
    list_remove(&call->in_client);
    k->call_count--;
    k->failures = 0;
    k->options.model->moment++;
    if (call->key == KEY_API_VERSIONS)
        greeted(k, body);
    else
        k->options.answered(k->options.owner, call, body);
    free(call);
}

static void frames_take(struct kclient *k)
{
    struct sim_client *client = k->client;
    size_t len;
    const uint8_t *frame;
    while (k->client == client && !k->options.model->violation->found && (frame = sim_client_frame(client, &len))) {
        uint8_t *copy = xcalloc(1, len + 1); /* an own allocation: reading beyond the frame is found */
        memcpy(copy, frame, len);
        sim_client_consume(client, len + FRAME_LENGTH_BYTES);
        take_frame(k, copy, len);
        free(copy);
    }
}

/* -- the connection ----------------------------------------------------------------------------------------------- */

static void dial(struct kclient *k, uint64_t now_ns)
{
    k->client = sim_client_new(k->options.io, &k->options.to);
    k->state = KCLIENT_CONNECTING;
    k->began_ns = now_ns;
    k->serial++;
    k->careless = false;
    k->life = k->mood->life;
    k->pause_until_ns = 0;
    k->calm_born = k->mood->calm ? k->mood->calm_count : 0;
}

static void ended(struct kclient *k, uint64_t now_ns)
{
    if (held_to_promise(k) && k->call_count > 0)
        violation_set(k->options.model->violation,
                      "the broker ends a connection (%d) with %u requests unanswered, key %d",
                      sim_client_error(k->client), k->call_count, call_first(k)->key);
    kclient_drop(k, now_ns);
}

static bool overdue(struct kclient *k, uint64_t now_ns)
{
    const struct kcall *oldest = call_first(k);
    uint64_t since_ns = oldest ? oldest->sent_ns : k->began_ns;
    if (oldest == NULL && k->state != KCLIENT_CONNECTING)
        return false;
    if (now_ns < since_ns + k->mood->timeout_ns)
        return false;
    bool unforgiven = k->mood->unforgiving && k->life == k->mood->life;
    if (held_to_promise(k) || (unforgiven && oldest != NULL))
        violation_set(k->options.model->violation,
                      "%s v%d is not answered within %" PRIu64 " s although there are no faults",
                      oldest ? wire_api_find(oldest->key)->name : "connecting", oldest ? oldest->version : 0,
                      k->mood->timeout_ns / NS_PER_S);
    return true;
}

/* Slow readers, and clients that hang up in the middle of something. False: it hung up. */
static bool whims(struct kclient *k, uint64_t now_ns)
{
    if (k->pause_until_ns != 0 && (now_ns >= k->pause_until_ns || !k->mood->restless)) {
        k->pause_until_ns = 0;
        sim_client_pause(k->client, false);
    }
    if (!k->mood->restless || k->state == KCLIENT_CONNECTING)
        return true;
    if (prng_chance(&k->rng, 1500)) {
        kclient_drop(k, now_ns);
        return false;
    }
    if (k->pause_until_ns == 0 && prng_chance(&k->rng, 2000)) {
        k->pause_until_ns = now_ns + prng_between(&k->rng, 1, 5000) * NS_PER_MS;
        sim_client_pause(k->client, true);
    }
    return true;
}

bool kclient_step(struct kclient *k, uint64_t now_ns)
{
    if (k->state == KCLIENT_WAITING) {
        if (now_ns < k->next_try_ns)
            return false;
        dial(k, now_ns);
    }
    frames_take(k);
    if (k->client == NULL || k->options.model->violation->found)
        return false;
    if (sim_client_state(k->client) == SIM_CLIENT_ENDED) {
        ended(k, now_ns);
        return false;
    }
    if (!whims(k, now_ns))
        return false;
    if (overdue(k, now_ns)) {
        kclient_drop(k, now_ns);
        return false;
    }
    if (k->state == KCLIENT_CONNECTING && sim_client_state(k->client) == SIM_CLIENT_OPEN)
        greet(k, now_ns);
    return k->state == KCLIENT_READY;
}

uint64_t kclient_next_ns(const struct kclient *k)
{
    if (k->state == KCLIENT_WAITING)
        return k->next_try_ns;
    if (k->pause_until_ns != 0)
        return k->pause_until_ns;
    if (!list_empty(&k->calls))
        return list_entry(k->calls.next, struct kcall, in_client)->sent_ns + k->mood->timeout_ns;
    return k->state == KCLIENT_CONNECTING ? k->began_ns + k->mood->timeout_ns : UINT64_MAX;
}
