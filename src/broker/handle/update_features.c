/*
 * UpdateFeatures: levels are part of the program. Asking for the level that a feature is at succeeds; everything else
 * is refused with Kafka's error, and nothing is changed. Source: protocol guide; KIP-584, KIP-778.
 */
#include <stdio.h>

#include "broker/api.h"
#include "broker/broker_internal.h"
#include "broker/feature_levels.h"

enum upgrade { UPGRADE = 1, DOWNGRADE_SAFE = 2, DOWNGRADE_UNSAFE = 3 };

#define MESSAGE_BYTES 384u

/* NULL when the update asks for what is. */
static const char *update_refusal(const struct broker_config *config,
                                  const struct update_features_request_feature_update *in)
{
    const struct feature *feature = feature_find(in->feature);
    int16_t level = feature ? feature_level(feature, config) : 0;
    if (in->upgrade_type < UPGRADE || in->upgrade_type > DOWNGRADE_UNSAFE)
        return "The controller does not support the given upgrade type.";
    if (in->max_version_level < 0)
        return "A feature version cannot be less than 0.";
    if (!feature)
        return "This server does not support this feature.";
    if (in->max_version_level < feature->first || in->max_version_level > feature->last)
        return "This server does not know this level; kafka-features describe shows the range.";
    if (in->max_version_level == level)
        return NULL;
    if (in->max_version_level > level && in->upgrade_type != UPGRADE)
        return "Can't downgrade to a newer version.";
    if (in->max_version_level < level && in->upgrade_type == UPGRADE)
        return "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe "
               "downgrade.";
    return "This server runs at one level of each feature.";
}

/* Kafka's sentence; the name is cut when it is long. False: the arena is used up. */
static bool refuse(struct request *request, const struct update_features_request_feature_update *in, const char *why,
                   struct update_features_response *reply)
{
    char *text = arena_new(&request->arena, char, MESSAGE_BYTES);
    if (!text)
        return false;
    int len = snprintf(text, MESSAGE_BYTES,
                       "The update failed for all features since the following feature had an error: Invalid update "
                       "version %d for feature %.*s. %s",
                       in->max_version_level, (int)MIN(in->feature.len, 64u), in->feature.data ? in->feature.data : "",
                       why);
    reply->error_code = KAFKA_INVALID_UPDATE_VERSION;
    reply->error_message = (struct odk_str){ .data = text, .len = MIN((size_t)len, MESSAGE_BYTES - 1) };
    return true;
}

static bool reply_fill(struct request *request, const struct update_features_request *in,
                       struct update_features_response *reply)
{
    for (int32_t i = 0; i < in->feature_updates_count; i++) {
        const char *why = update_refusal(request->broker->env.config, &in->feature_updates[i]);
        if (why)
            return refuse(request, &in->feature_updates[i], why, reply);
    }
    reply->results =
        arena_new(&request->arena, struct update_features_response_result, (size_t)in->feature_updates_count);
    for (int32_t i = 0; reply->results && i < in->feature_updates_count; i++)
        reply->results[reply->results_count++].feature = in->feature_updates[i].feature;
    return reply->results != NULL;
}

void handle_update_features(struct request *request)
{
    struct update_features_request in;
    struct update_features_response reply;
    if (!request_decoded(request,
                         update_features_request_decode(&in, &request->body, &request->arena, request->version)))
        return;
    update_features_response_init(&reply);
    if (!reply_fill(request, &in, &reply)) {
        request_too_large(request);
        return;
    }
    request_reply(request, update_features_response_encode(&reply, request_reply_begin(request), request->version));
}
