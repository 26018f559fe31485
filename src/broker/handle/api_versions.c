/* ApiVersions: the table of api.c, and the features that are on. Source: KIP-35, KIP-511, KIP-584, KIP-1242 (v5). */
#include "base/uuid.h"
#include "broker/api.h"
#include "broker/broker_internal.h"
#include "broker/feature_levels.h"
#include "wire/messages.h"

/* Letters and digits at both ends, also '-' and '.' between. */
static bool software_text_ok(struct odk_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        bool inner = i > 0 && i + 1 < text.len && (c == '-' || c == '.');
        if (!alnum && !inner)
            return false;
    }
    return text.len > 0;
}

/* A client that asks for a certain node of a certain cluster must have reached it. */
static enum kafka_error identity_check(const struct broker *broker, const struct api_versions_request *in)
{
    if (!in->cluster_id.data && in->node_id == -1)
        return KAFKA_NONE;
    if (!in->cluster_id.data || in->node_id == -1)
        return KAFKA_INVALID_REQUEST;
    char own[UUID_TEXT_LEN + 1];
    uuid_print(broker->env.identity.cluster_id, own);
    bool same = odk_str_eq(in->cluster_id, odk_str_from(own)) && in->node_id == broker_node_id(broker);
    return same ? KAFKA_NONE : KAFKA_REBOOTSTRAP_REQUIRED;
}

static enum kafka_error request_check(const struct request *request, const struct api_versions_request *in)
{
    if (request->version >= 3 &&
        (!software_text_ok(in->client_software_name) || !software_text_ok(in->client_software_version)))
        return KAFKA_INVALID_REQUEST;
    return request->version >= 5 ? identity_check(request->broker, in) : KAFKA_NONE;
}

static bool keys_fill(struct request *request, struct api_versions_response *reply)
{
    uint32_t count;
    const struct api *rows = api_rows(&count);
    reply->api_keys = arena_new(&request->arena, struct api_versions_response_api, count);
    if (!reply->api_keys)
        return false;
    reply->api_keys_count = (int32_t)count;
    for (uint32_t i = 0; i < count; i++)
        reply->api_keys[i] = (struct api_versions_response_api){ .api_key = rows[i].key,
                                                                 .min_version = rows[i].first,
                                                                 .max_version = rows[i].last };
    return true;
}

/* Levels do not change while the program runs, so their epoch stays 0. Clients of before version 4 cannot read a range
 * that begins at 0 (KAFKA-17492). */
static bool features_fill(struct request *request, struct api_versions_response *reply)
{
    uint32_t count;
    const struct feature *rows = feature_rows(&count);
    reply->supported_features = arena_new(&request->arena, struct api_versions_response_supported_feature, count);
    reply->finalized_features = arena_new(&request->arena, struct api_versions_response_finalized_feature, count);
    if (!reply->supported_features || !reply->finalized_features)
        return false;
    reply->finalized_features_epoch = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct odk_str name = odk_str_from(rows[i].name);
        if (rows[i].first > 0 || request->version >= 4)
            reply->supported_features[reply->supported_features_count++] =
                (struct api_versions_response_supported_feature){ name, rows[i].first, rows[i].last };
        int16_t level = feature_level(&rows[i], request->broker->env.config);
        if (level > 0)
            reply->finalized_features[reply->finalized_features_count++] =
                (struct api_versions_response_finalized_feature){ name, level, level };
    }
    return true;
}

void handle_api_versions(struct request *request)
{
    struct api_versions_request in;
    if (!request_decoded(request, api_versions_request_decode(&in, &request->body, &request->arena, request->version)))
        return;
    struct api_versions_response reply;
    api_versions_response_init(&reply);
    reply.error_code = (int16_t)request_check(request, &in);
    if (reply.error_code == KAFKA_NONE) {
        if (!keys_fill(request, &reply) || !features_fill(request, &reply)) {
            request_too_large(request);
            return;
        }
    }
    request_reply(request, api_versions_response_encode(&reply, request_reply_begin(request), request->version));
}

void api_versions_unsupported(struct request *request)
{
    const struct api *own = api_find(WIRE_KEY_API_VERSIONS);
    struct api_versions_response_api key = { .api_key = own->key, .min_version = own->first, .max_version = own->last };
    struct api_versions_response reply;
    api_versions_response_init(&reply);
    reply.error_code = KAFKA_UNSUPPORTED_VERSION;
    reply.api_keys = &key;
    reply.api_keys_count = 1;
    request->version = 0;
    request_reply(request, api_versions_response_encode(&reply, request_reply_begin(request), 0));
}
