#include "fake_broker.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"

struct broker {
    struct fake_broker fake;
};

struct fake_broker *fake_of(struct broker *broker)
{
    return &broker->fake;
}

struct broker *broker_new(const struct broker_env *env, struct odk_store *store)
{
    (void)env;
    (void)store;
    struct broker *broker = xcalloc(1, sizeof(struct broker));
    broker->fake.config.max_connections = broker->fake.config.max_connections_per_ip = INT32_MAX;
    broker->fake.config.max_connection_creation_rate = INT32_MAX;
    broker->fake.config.max_connections_per_ip_overrides = "";
    return broker;
}

const struct broker_config *broker_settings(const struct broker *broker)
{
    return &broker->fake.config;
}

void broker_free(struct broker *broker)
{
    free(broker);
}

void broker_tick(struct broker *broker, uint64_t now_ns, int64_t wall_ms)
{
    (void)broker;
    (void)now_ns;
    (void)wall_ms;
}

void broker_flush(struct broker *broker)
{
    (void)broker;
}

bool broker_is_due(const struct broker *broker)
{
    (void)broker;
    return false;
}

bool broker_may_overlap(const uint8_t *frame, size_t len)
{
    return len > 0 && frame[0] == 'O';
}

static void reply(struct request *request)
{
    out_init(&request->out, &request->arena);
    out_begin_frame(&request->out);
    out_raw(&request->out, request->frame, request->frame_len);
    ASSERT(out_end_frame(&request->out));
    request->done(request, REQUEST_REPLY);
}

void broker_request(struct broker *broker, struct request *request)
{
    broker->fake.started_count++;
    request->broker = broker;
    switch (request->frame_len > 2 ? request->frame[2] : 'c') {
    case 'e': reply(request); break;
    case 'n': request->done(request, REQUEST_NO_REPLY); break;
    case 'h': request->holds = true; /* fall through */
    case 'p': broker->fake.parked[broker->fake.parked_count++] = request; break;
    default: request->done(request, REQUEST_CLOSE); break;
    }
}

void fake_go_on(struct broker *broker)
{
    ASSERT(broker->fake.parked_count > 0 && broker->fake.parked[0]->holds);
    broker->fake.parked[0]->holds = false;
    broker->fake.parked[0]->went_on(broker->fake.parked[0]);
}

void fake_release(struct broker *broker)
{
    struct request *oldest = broker->fake.parked[0];
    ASSERT(broker->fake.parked_count > 0);
    broker->fake.parked_count--;
    memmove(broker->fake.parked, broker->fake.parked + 1, broker->fake.parked_count * sizeof(oldest));
    reply(oldest);
}

void broker_cancel(struct broker *broker, struct request *request)
{
    for (uint32_t i = 0; i < broker->fake.parked_count; i++) {
        if (broker->fake.parked[i] != request)
            continue;
        broker->fake.cancelled_count++;
        broker->fake.parked_count--;
        memmove(broker->fake.parked + i, broker->fake.parked + i + 1,
                (broker->fake.parked_count - i) * sizeof(request));
        reply(request);
        return;
    }
}

void request_init(struct request *request, uint8_t *frame, size_t frame_len, const struct request_peer *peer,
                  void (*done)(struct request *request, enum request_end end))
{
    request->frame = frame;
    request->frame_len = frame_len;
    request->peer = peer;
    request->done = done;
    request->holds = false;
}

void request_release(struct request *request)
{
    ASSERT(request->broker); /* only what the broker has seen is released */
    fake_of(request->broker)->released_count++;
    request->broker = NULL;
    arena_reset(&request->arena);
}

void request_deinit(struct request *request)
{
    arena_deinit(&request->arena);
}

enum odk_err odk_store_open(const struct odk_store_options *options, struct odk_store **ret_store)
{
    (void)options;
    *ret_store = NULL;
    return ODK_OK;
}

uint64_t odk_store_tick(struct odk_store *store, uint64_t now_ns)
{
    (void)store;
    (void)now_ns;
    return UINT64_MAX;
}

void odk_store_close(struct odk_store *store, void (*done)(void *context, enum odk_err err), void *context)
{
    (void)store;
    done(context, ODK_OK);
}

void odk_store_free(struct odk_store *store)
{
    (void)store;
}
