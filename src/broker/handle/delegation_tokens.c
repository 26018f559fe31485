/*
 * The four requests about delegation tokens: the feature is off. Source: protocol guide; KIP-48, KIP-373.
 *
 * Kafka refuses them on a plaintext connection before it looks whether they are on; but no other kind of connection
 * would help here, so the answer is the one that says why.
 */
#include "broker/api.h"
#include "broker/broker_internal.h"

#define NO_TIMESTAMP (-1)

void handle_create_delegation_token(struct request *request)
{
    struct create_delegation_token_request in;
    struct create_delegation_token_response reply;
    if (!request_decoded(request, create_delegation_token_request_decode(&in, &request->body, &request->arena,
                                                                         request->version)))
        return;
    create_delegation_token_response_init(&reply);
    bool named = in.owner_principal_name.len > 0 && in.owner_principal_type.data;
    reply.error_code = KAFKA_DELEGATION_TOKEN_AUTH_DISABLED;
    reply.token_requester_principal_type = ODK_STR("User");
    reply.token_requester_principal_name = ODK_STR("ANONYMOUS");
    reply.principal_type = named ? in.owner_principal_type : reply.token_requester_principal_type;
    reply.principal_name = named ? in.owner_principal_name : reply.token_requester_principal_name;
    reply.issue_timestamp_ms = NO_TIMESTAMP;
    reply.expiry_timestamp_ms = NO_TIMESTAMP;
    reply.max_timestamp_ms = NO_TIMESTAMP;
    request_reply(request,
                  create_delegation_token_response_encode(&reply, request_reply_begin(request), request->version));
}

void handle_renew_delegation_token(struct request *request)
{
    struct renew_delegation_token_request in;
    struct renew_delegation_token_response reply;
    if (!request_decoded(request, renew_delegation_token_request_decode(&in, &request->body, &request->arena,
                                                                        request->version)))
        return;
    renew_delegation_token_response_init(&reply);
    reply.error_code = KAFKA_DELEGATION_TOKEN_AUTH_DISABLED;
    reply.expiry_timestamp_ms = NO_TIMESTAMP;
    request_reply(request,
                  renew_delegation_token_response_encode(&reply, request_reply_begin(request), request->version));
}

void handle_expire_delegation_token(struct request *request)
{
    struct expire_delegation_token_request in;
    struct expire_delegation_token_response reply;
    if (!request_decoded(request, expire_delegation_token_request_decode(&in, &request->body, &request->arena,
                                                                         request->version)))
        return;
    expire_delegation_token_response_init(&reply);
    reply.error_code = KAFKA_DELEGATION_TOKEN_AUTH_DISABLED;
    reply.expiry_timestamp_ms = NO_TIMESTAMP;
    request_reply(request,
                  expire_delegation_token_response_encode(&reply, request_reply_begin(request), request->version));
}

void handle_describe_delegation_token(struct request *request)
{
    struct describe_delegation_token_request in;
    struct describe_delegation_token_response reply;
    if (!request_decoded(request, describe_delegation_token_request_decode(&in, &request->body, &request->arena,
                                                                           request->version)))
        return;
    describe_delegation_token_response_init(&reply);
    reply.error_code = KAFKA_DELEGATION_TOKEN_AUTH_DISABLED;
    request_reply(request,
                  describe_delegation_token_response_encode(&reply, request_reply_begin(request), request->version));
}
