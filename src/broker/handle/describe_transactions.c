/*
 * ListTransactions and DescribeTransactions: no transactional id can be registered (InitProducerId refuses it), so
 * there is none to list and none to describe. A pattern of ids is not looked at: Kafka takes Java's regular
 * expressions, and none of them could match. Source: protocol guide; KIP-664, KIP-994, KIP-1152.
 */
#include "broker/api.h"
#include "broker/broker_internal.h"

static const char *const state_names[] = { "Empty",         "Ongoing",       "PrepareCommit",     "PrepareAbort",
                                           "CompleteCommit", "CompleteAbort", "PrepareEpochFence", "Dead" };

static bool state_is_known(struct odk_str name)
{
    for (size_t i = 0; i < countof(state_names); i++)
        if (odk_str_eq(name, odk_str_from(state_names[i])))
            return true;
    return false;
}

void handle_list_transactions(struct request *request)
{
    struct list_transactions_request in;
    struct list_transactions_response reply;
    if (!request_decoded(request,
                         list_transactions_request_decode(&in, &request->body, &request->arena, request->version)))
        return;
    list_transactions_response_init(&reply);
    reply.unknown_state_filters = arena_new(&request->arena, struct odk_str, (size_t)in.state_filters_count);
    if (!reply.unknown_state_filters) {
        request_too_large(request);
        return;
    }
    for (int32_t i = 0; i < in.state_filters_count; i++)
        if (!state_is_known(in.state_filters[i]))
            reply.unknown_state_filters[reply.unknown_state_filters_count++] = in.state_filters[i];
    request_reply(request, list_transactions_response_encode(&reply, request_reply_begin(request), request->version));
}

void handle_describe_transactions(struct request *request)
{
    struct describe_transactions_request in;
    struct describe_transactions_response reply;
    if (!request_decoded(request,
                         describe_transactions_request_decode(&in, &request->body, &request->arena, request->version)))
        return;
    describe_transactions_response_init(&reply);
    reply.transaction_states = arena_new(&request->arena, struct describe_transactions_response_transaction,
                                         (size_t)in.transactional_ids_count);
    if (!reply.transaction_states) {
        request_too_large(request);
        return;
    }
    for (int32_t i = 0; i < in.transactional_ids_count; i++) {
        struct odk_str id = in.transactional_ids[i];
        reply.transaction_states[reply.transaction_states_count++] =
            (struct describe_transactions_response_transaction){
                .transactional_id = id,
                .error_code = id.len == 0 ? KAFKA_INVALID_REQUEST : KAFKA_TRANSACTIONAL_ID_NOT_FOUND,
            };
    }
    request_reply(request,
                  describe_transactions_response_encode(&reply, request_reply_begin(request), request->version));
}
