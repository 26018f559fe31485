#include "broker/request.h"

#include "base/limits.h"
#include "broker/api.h"
#include "broker/broker_internal.h"
#include "wire/frame.h"
#include "wire/messages.h"

void request_init(struct request *request, uint8_t *frame, size_t frame_len, const struct request_peer *peer,
                  void (*done)(struct request *request, enum request_end end))
{
    struct arena arena = request->arena;
    arena.limit = REQUEST_ARENA_BYTES_MAX;
    *request = (struct request){ .frame = frame, .frame_len = frame_len, .peer = peer, .done = done, .arena = arena };
}

void request_done(struct request *request, enum request_end end)
{
    ASSERT(!request->ended);
    ASSERT(!timer_armed(&request->deadline));
    request->ended = true;
    request->cancel = NULL;
    request->done(request, end);
}

void request_release(struct request *request)
{
    ASSERT(request->ended);
    void (*release)(struct request *) = request->release;
    request->release = NULL;
    if (release)
        release(request);
    request->state = NULL;
    arena_reset(&request->arena);
}

void request_deinit(struct request *request)
{
    arena_deinit(&request->arena);
}

void request_close(struct request *request)
{
    request_done(request, REQUEST_CLOSE);
}

/* One rate-limited line about a request that is answered by closing its connection. */
static void say_refused(struct request *request, struct diag_rate *rate, const char *what)
{
    struct broker *broker = request->broker;
    uint32_t suppressed = 0;
    if (!diag_rate_ok(rate, broker->now_ns, &suppressed))
        return;
    char client[CLIENT_TEXT_BYTES_MAX];
    diag_escape(client, sizeof(client), request->client_id);
    DIAG_WARN(broker->env.diag, "%s: key=%d version=%d client_id=\"%s\" host=%s suppressed=%u; connection closed", what,
              request->api_key, request->version, client, request->peer ? request->peer->client_host : "?", suppressed);
}

/* Bytes after the last field are not looked at, as Kafka does not: librdkafka up to 2.15 leaves three of them behind the
 * null array with which it asks for all topics. */
bool request_decoded(struct request *request, bool decoded)
{
    if (decoded)
        return true;
    say_refused(request, &request->broker->malformed_rate, "malformed request");
    request_close(request);
    return false;
}

void request_too_large(struct request *request)
{
    say_refused(request, &request->broker->malformed_rate, "request needs too much memory");
    request_close(request);
}

struct out *request_reply_begin(struct request *request)
{
    out_init(&request->out, &request->arena);
    response_begin(&request->out, request->api_key, request->version, request->correlation_id);
    return &request->out;
}

void request_reply(struct request *request, bool encoded)
{
    if (!encoded || !response_end(&request->out)) {
        say_refused(request, &request->broker->malformed_rate, "reply does not fit");
        request_close(request);
        return;
    }
    request_done(request, REQUEST_REPLY);
}

static void request_unsupported(struct request *request)
{
    if (request->api_key == WIRE_KEY_API_VERSIONS) {
        api_versions_unsupported(request);
    } else {
        say_refused(request, &request->broker->unsupported_rate, "unsupported request");
        request_close(request);
    }
}

void broker_request(struct broker *broker, struct request *request)
{
    struct rd r = rd_init(request->frame, request->frame_len);
    struct request_header header = { 0 };
    enum header_result result = request_header_decode(&header, &r);
    request->broker = broker;
    request->body = r;
    request->api_key = header.key;
    request->version = header.version;
    request->correlation_id = header.correlation_id;
    request->client_id = header.client_id;
    if (result == HEADER_MALFORMED) {
        say_refused(request, &broker->malformed_rate, "malformed request header");
        request_close(request);
        return;
    }
    const struct api *api = api_find(header.key);
    if (result != HEADER_OK || !api || header.version < api->first || header.version > api->last)
        request_unsupported(request);
    else
        api->handle(request);
}

void broker_cancel(struct broker *broker, struct request *request)
{
    ASSERT(request->broker == broker || !request->broker);
    if (!request->ended && request->cancel)
        request->cancel(request);
}

bool broker_may_overlap(const uint8_t *frame, size_t len)
{
    return len >= 2 && frame[0] == 0 && frame[1] == WIRE_KEY_PRODUCE;
}
