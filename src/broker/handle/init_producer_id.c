/*
 * InitProducerId for idempotent producers. Source: KIP-98, KIP-360.
 *
 * A transactional id is answered with TRANSACTIONAL_ID_AUTHORIZATION_FAILED: there are no transactions, and this is the
 * error that every client takes as final at once instead of trying again until it times out.
 */
#include "broker/api.h"
#include "broker/broker_internal.h"
#include "wire/messages.h"

struct init_producer_id {
    struct request *request;
    struct producer_id_waiter waiter;
};

static void answer(struct request *request, enum kafka_error error, int64_t id)
{
    struct init_producer_id_response reply;
    init_producer_id_response_init(&reply);
    reply.error_code = (int16_t)error;
    reply.producer_id = id;
    reply.producer_epoch = error == KAFKA_NONE ? 0 : -1;
    request_reply(request, init_producer_id_response_encode(&reply, request_reply_begin(request), request->version));
}

static void init_producer_id_on_id(struct producer_id_waiter *waiter, int64_t id)
{
    struct init_producer_id *init = container_of(waiter, struct init_producer_id, waiter);
    answer(init->request, id < 0 ? KAFKA_COORDINATOR_LOAD_IN_PROGRESS : KAFKA_NONE, id);
}

/* A client that states a producer id must state its epoch, too. */
static enum kafka_error request_check(const struct init_producer_id_request *in)
{
    if (in->transactional_id.data)
        return in->transactional_id.len > 0 ? KAFKA_TRANSACTIONAL_ID_AUTHORIZATION_FAILED : KAFKA_INVALID_REQUEST;
    bool id = in->producer_id != -1, epoch = in->producer_epoch != -1;
    if (id != epoch || in->producer_id < -1 || in->producer_epoch < -1)
        return KAFKA_INVALID_REQUEST;
    return KAFKA_NONE;
}

void handle_init_producer_id(struct request *request)
{
    struct init_producer_id_request in;
    if (!request_decoded(request,
                         init_producer_id_request_decode(&in, &request->body, &request->arena, request->version)))
        return;
    enum kafka_error error = request_check(&in);
    if (error != KAFKA_NONE) {
        answer(request, error, -1);
        return;
    }
    struct init_producer_id *init = arena_new(&request->arena, struct init_producer_id, 1);
    if (!init) {
        request_too_large(request);
        return;
    }
    init->request = request;
    init->waiter.got = init_producer_id_on_id;
    producer_ids_take(request->broker, &init->waiter);
}
