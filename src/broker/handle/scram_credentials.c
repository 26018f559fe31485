/*
 * DescribeUserScramCredentials and AlterUserScramCredentials: there are no users. Source: protocol guide; KIP-554.
 *
 * Each user is answered once, in the order of names. A user to be deleted is not there; one to be added is refused with
 * the error that Kafka uses while its metadata.version cannot hold one.
 */
#include <stdlib.h>

#include "broker/api.h"
#include "broker/broker_internal.h"

#define DESCRIBE_UNKNOWN   "Attempt to describe a user credential that does not exist"
#define DESCRIBE_DUPLICATE "Cannot describe SCRAM credentials for the same user twice in a single request"
#define DELETE_UNKNOWN     "Attempt to delete a user credential that does not exist"
#define ALTER_REFUSED      "This server has no SCRAM credentials."

struct mention {
    struct odk_str user;
    bool deletion;
};

/* By name; of the same name deletions first, since Kafka looks at them first. */
static int mention_order(const void *a, const void *b)
{
    const struct mention *left = a, *right = b;
    size_t len = MIN(left->user.len, right->user.len);
    int order = len ? memcmp(left->user.data, right->user.data, len) : 0;
    if (order)
        return order;
    if (left->user.len != right->user.len)
        return left->user.len < right->user.len ? -1 : 1;
    return (int)right->deletion - (int)left->deletion;
}

/* How many mentions of the same user begin here. */
static int32_t same_count(const struct mention *mentions, int32_t left)
{
    int32_t count = 1;
    while (count < left && odk_str_eq(mentions[count].user, mentions[0].user))
        count++;
    return count;
}

/* -- describe ------------------------------------------------------------------------------------------------------ */

/* False: the arena is used up. */
static bool described_fill(struct request *request, const struct describe_user_scram_credentials_request *in,
                           struct describe_user_scram_credentials_response *reply)
{
    int32_t count = MAX(in->users_count, 0);
    struct mention *mentions = arena_new(&request->arena, struct mention, (size_t)count);
    reply->results =
        arena_new(&request->arena, struct describe_user_scram_credentials_response_user, (size_t)count);
    if (!mentions || !reply->results)
        return false;
    for (int32_t i = 0; i < count; i++)
        mentions[i].user = in->users[i].name;
    qsort(mentions, (size_t)count, sizeof(*mentions), mention_order);
    for (int32_t i = 0, same; i < count; i += same) {
        same = same_count(&mentions[i], count - i);
        reply->results[reply->results_count++] = (struct describe_user_scram_credentials_response_user){
            .user = mentions[i].user,
            .error_code = same > 1 ? KAFKA_DUPLICATE_RESOURCE : KAFKA_RESOURCE_NOT_FOUND,
            .error_message = same > 1 ? ODK_STR(DESCRIBE_DUPLICATE) : ODK_STR(DESCRIBE_UNKNOWN),
        };
    }
    return true;
}

void handle_describe_user_scram_credentials(struct request *request)
{
    struct describe_user_scram_credentials_request in;
    struct describe_user_scram_credentials_response reply;
    if (!request_decoded(request, describe_user_scram_credentials_request_decode(&in, &request->body, &request->arena,
                                                                                 request->version)))
        return;
    describe_user_scram_credentials_response_init(&reply);
    if (!described_fill(request, &in, &reply)) {
        request_too_large(request);
        return;
    }
    request_reply(request, describe_user_scram_credentials_response_encode(&reply, request_reply_begin(request),
                                                                           request->version));
}

/* -- alter --------------------------------------------------------------------------------------------------------- */

/* False: the arena is used up. */
static bool altered_fill(struct request *request, const struct alter_user_scram_credentials_request *in,
                         struct alter_user_scram_credentials_response *reply)
{
    int32_t count = in->deletions_count + in->upsertions_count;
    struct mention *mentions = arena_new(&request->arena, struct mention, (size_t)count);
    reply->results = arena_new(&request->arena, struct alter_user_scram_credentials_response_user, (size_t)count);
    if (!mentions || !reply->results)
        return false;
    for (int32_t i = 0; i < in->deletions_count; i++)
        mentions[i] = (struct mention){ .user = in->deletions[i].name, .deletion = true };
    for (int32_t i = 0; i < in->upsertions_count; i++)
        mentions[in->deletions_count + i].user = in->upsertions[i].name;
    qsort(mentions, (size_t)count, sizeof(*mentions), mention_order);
    for (int32_t i = 0; i < count; i += same_count(&mentions[i], count - i)) {
        bool deletion = mentions[i].deletion;
        reply->results[reply->results_count++] = (struct alter_user_scram_credentials_response_user){
            .user = mentions[i].user,
            .error_code = deletion ? KAFKA_RESOURCE_NOT_FOUND : KAFKA_UNSUPPORTED_VERSION,
            .error_message = deletion ? ODK_STR(DELETE_UNKNOWN) : ODK_STR(ALTER_REFUSED),
        };
    }
    return true;
}

void handle_alter_user_scram_credentials(struct request *request)
{
    struct alter_user_scram_credentials_request in;
    struct alter_user_scram_credentials_response reply;
    if (!request_decoded(request, alter_user_scram_credentials_request_decode(&in, &request->body, &request->arena,
                                                                              request->version)))
        return;
    alter_user_scram_credentials_response_init(&reply);
    if (!altered_fill(request, &in, &reply)) {
        request_too_large(request);
        return;
    }
    request_reply(request, alter_user_scram_credentials_response_encode(&reply, request_reply_begin(request),
                                                                        request->version));
}
