/*
 * DescribeClientQuotas and AlterClientQuotas: there are no quotas. Source: protocol guide; KIP-546.
 *
 * Filters and entities are checked as Kafka does. Taking a quota away succeeds, since it is not there; setting one is
 * refused with UNSUPPORTED_VERSION, which every tool shows with the message (docs/decisions/0010).
 */
#include "broker/api.h"
#include "broker/broker_internal.h"

enum match { MATCH_EXACT = 0, MATCH_DEFAULT = 1, MATCH_SPECIFIED = 2 };
enum entity { ENTITY_USER = 1 << 0, ENTITY_CLIENT_ID = 1 << 1, ENTITY_IP = 1 << 2 };

struct verdict {
    enum kafka_error error;
    struct odk_str message;
};

#define VERDICT(code, text) ((struct verdict){ (code), ODK_STR(text) })

/* 0 when there is no such type. */
static uint32_t entity_of(struct odk_str type)
{
    if (odk_str_eq(type, ODK_STR("user")))
        return ENTITY_USER;
    if (odk_str_eq(type, ODK_STR("client-id")))
        return ENTITY_CLIENT_ID;
    return odk_str_eq(type, ODK_STR("ip")) ? ENTITY_IP : 0;
}

static bool entities_mix(uint32_t entities)
{
    return (entities & ENTITY_IP) && entities != ENTITY_IP;
}

/* -- describe ------------------------------------------------------------------------------------------------------ */

static struct verdict component_verdict(const struct describe_client_quotas_request_component *in, uint32_t seen)
{
    if (in->entity_type.len == 0)
        return VERDICT(KAFKA_INVALID_REQUEST, "Invalid empty entity type.");
    uint32_t entity = entity_of(in->entity_type);
    if (!entity)
        return VERDICT(KAFKA_UNSUPPORTED_VERSION, "Unsupported entity type.");
    if (seen & entity)
        return VERDICT(KAFKA_INVALID_REQUEST, "Entity type cannot appear more than once in the filter.");
    if (in->match_type < MATCH_EXACT || in->match_type > MATCH_SPECIFIED)
        return VERDICT(KAFKA_INVALID_REQUEST, "Unknown match type.");
    if (in->match_type == MATCH_EXACT && !in->match.data)
        return VERDICT(KAFKA_INVALID_REQUEST, "Request specified MATCH_TYPE_EXACT, but set match string to null.");
    if (in->match_type != MATCH_EXACT && in->match.data)
        return VERDICT(KAFKA_INVALID_REQUEST, "Request specified a match string with a match type that has none.");
    return (struct verdict){ 0 };
}

static struct verdict filter_verdict(const struct describe_client_quotas_request *in)
{
    uint32_t seen = 0;
    for (int32_t i = 0; i < in->components_count; i++) {
        struct verdict verdict = component_verdict(&in->components[i], seen);
        if (verdict.error != KAFKA_NONE)
            return verdict;
        seen |= entity_of(in->components[i].entity_type);
    }
    if (entities_mix(seen))
        return VERDICT(KAFKA_INVALID_REQUEST, "Invalid entity filter component combination. IP filter component "
                                              "should not be used with user or clientId filter component.");
    return (struct verdict){ 0 };
}

void handle_describe_client_quotas(struct request *request)
{
    struct describe_client_quotas_request in;
    struct describe_client_quotas_response reply;
    if (!request_decoded(request, describe_client_quotas_request_decode(&in, &request->body, &request->arena,
                                                                        request->version)))
        return;
    struct verdict verdict = filter_verdict(&in);
    describe_client_quotas_response_init(&reply);
    reply.error_code = (int16_t)verdict.error;
    reply.error_message = verdict.message;
    reply.entries_count = verdict.error == KAFKA_NONE ? 0 : -1;
    request_reply(request,
                  describe_client_quotas_response_encode(&reply, request_reply_begin(request), request->version));
}

/* -- alter --------------------------------------------------------------------------------------------------------- */

static struct verdict entity_verdict(const struct alter_client_quotas_request_entry *in)
{
    uint32_t seen = 0;
    for (int32_t i = 0; i < in->entity_count; i++) {
        uint32_t entity = entity_of(in->entity[i].entity_type);
        if (!entity)
            return VERDICT(KAFKA_INVALID_REQUEST, "Unhandled client quota entity type.");
        if (seen & entity)
            return VERDICT(KAFKA_INVALID_REQUEST, "Invalid client quota entity, duplicate entity entry.");
        seen |= entity;
    }
    if (!seen)
        return VERDICT(KAFKA_INVALID_REQUEST, "Invalid empty client quota entity");
    if (entities_mix(seen))
        return VERDICT(KAFKA_INVALID_REQUEST, "Invalid quota entity combination, IP entity should not be combined with "
                                              "User or ClientId");
    return (struct verdict){ 0 };
}

static struct verdict entry_verdict(const struct alter_client_quotas_request_entry *in)
{
    struct verdict verdict = entity_verdict(in);
    for (int32_t i = 0; verdict.error == KAFKA_NONE && i < in->ops_count; i++)
        if (!in->ops[i].remove)
            verdict = VERDICT(KAFKA_UNSUPPORTED_VERSION, "This server has no client quotas.");
    return verdict;
}

/* False: the arena is used up. */
static bool entry_fill(struct request *request, const struct alter_client_quotas_request_entry *in,
                       struct alter_client_quotas_response_entry *out)
{
    struct verdict verdict = entry_verdict(in);
    out->error_code = (int16_t)verdict.error;
    out->error_message = verdict.message;
    out->entity = arena_new(&request->arena, struct alter_client_quotas_response_entity, (size_t)in->entity_count);
    if (!out->entity)
        return false;
    for (; out->entity_count < in->entity_count; out->entity_count++)
        out->entity[out->entity_count] = (struct alter_client_quotas_response_entity){
            .entity_type = in->entity[out->entity_count].entity_type,
            .entity_name = in->entity[out->entity_count].entity_name,
        };
    return true;
}

void handle_alter_client_quotas(struct request *request)
{
    struct alter_client_quotas_request in;
    struct alter_client_quotas_response reply;
    if (!request_decoded(request, alter_client_quotas_request_decode(&in, &request->body, &request->arena,
                                                                     request->version)))
        return;
    alter_client_quotas_response_init(&reply);
    reply.entries = arena_new(&request->arena, struct alter_client_quotas_response_entry, (size_t)in.entries_count);
    reply.entries_count = in.entries_count;
    bool good = reply.entries != NULL;
    for (int32_t i = 0; good && i < in.entries_count; i++)
        good = entry_fill(request, &in.entries[i], &reply.entries[i]);
    if (!good) {
        request_too_large(request);
        return;
    }
    request_reply(request, alter_client_quotas_response_encode(&reply, request_reply_begin(request), request->version));
}
