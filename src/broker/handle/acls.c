/*
 * DescribeAcls, CreateAcls, DeleteAcls: there is no authorizer, and each of them says so as Kafka does: once, or per
 * item where the response has items. Source: protocol guide; KIP-140, KIP-290.
 */
#include "broker/api.h"
#include "broker/broker_internal.h"

#define NO_AUTHORIZER "No Authorizer is configured."

void handle_describe_acls(struct request *request)
{
    struct describe_acls_request in;
    struct describe_acls_response reply;
    if (!request_decoded(request, describe_acls_request_decode(&in, &request->body, &request->arena, request->version)))
        return;
    describe_acls_response_init(&reply);
    reply.error_code = KAFKA_SECURITY_DISABLED;
    reply.error_message = ODK_STR("No Authorizer is configured on the broker");
    request_reply(request, describe_acls_response_encode(&reply, request_reply_begin(request), request->version));
}

void handle_create_acls(struct request *request)
{
    struct create_acls_request in;
    struct create_acls_response reply;
    if (!request_decoded(request, create_acls_request_decode(&in, &request->body, &request->arena, request->version)))
        return;
    create_acls_response_init(&reply);
    reply.results = arena_new(&request->arena, struct create_acls_response_result, (size_t)in.creations_count);
    if (!reply.results) {
        request_too_large(request);
        return;
    }
    while (reply.results_count < in.creations_count)
        reply.results[reply.results_count++] = (struct create_acls_response_result){
            .error_code = KAFKA_SECURITY_DISABLED, .error_message = ODK_STR(NO_AUTHORIZER)
        };
    request_reply(request, create_acls_response_encode(&reply, request_reply_begin(request), request->version));
}

void handle_delete_acls(struct request *request)
{
    struct delete_acls_request in;
    struct delete_acls_response reply;
    if (!request_decoded(request, delete_acls_request_decode(&in, &request->body, &request->arena, request->version)))
        return;
    delete_acls_response_init(&reply);
    reply.filter_results = arena_new(&request->arena, struct delete_acls_response_filter, (size_t)in.filters_count);
    if (!reply.filter_results) {
        request_too_large(request);
        return;
    }
    while (reply.filter_results_count < in.filters_count)
        reply.filter_results[reply.filter_results_count++] = (struct delete_acls_response_filter){
            .error_code = KAFKA_SECURITY_DISABLED, .error_message = ODK_STR(NO_AUTHORIZER)
        };
    request_reply(request, delete_acls_response_encode(&reply, request_reply_begin(request), request->version));
}
