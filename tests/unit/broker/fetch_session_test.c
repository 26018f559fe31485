/*
 * Goal: the cache of sessions keeps Kafka's rules of ids, epochs and eviction, and never more than it may.
 * Method: the rules one by one, without brokers; then random use beside a naive twin.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/prng.h"
#include "broker/fetch_session.h"
#include "wire/errors.h"

#define BY_NAME 12
#define BY_ID   13
#define LATER   (FETCH_SESSION_IDLE_NS + 1)

static struct fetch_session *session_of(struct fetch_sessions *sessions, int32_t id, uint32_t partitions,
                                        uint64_t now_ns)
{
    struct fetch_session *session = fetch_session_create(sessions, id, partitions, false, now_ns);
    for (uint32_t i = 0; session && i < partitions; i++) {
        struct fetch_request_partition asked = { .partition = (int32_t)i, .partition_max_bytes = 1 };
        assert_non_null(fetch_session_add(sessions, session, ODK_STR("t"), (struct odk_uuid){ 0 }, &asked));
    }
    return session;
}

static int16_t begin(struct fetch_sessions *sessions, int32_t id, int32_t epoch, int16_t version, uint64_t now_ns,
                     enum fetch_session_use *ret_use)
{
    struct fetch_session *session = NULL;
    struct fetch_request request = { .session_id = id, .session_epoch = epoch };
    return fetch_session_begin(sessions, &request, version, now_ns, ret_use, &session);
}

static void ids_and_epochs_are_checked(void **state)
{
    (void)state;
    struct fetch_sessions sessions;
    enum fetch_session_use use;
    fetch_sessions_init(&sessions, 10);
    assert_int_equal(begin(&sessions, 0, -1, BY_NAME, 0, &use), KAFKA_NONE);
    assert_int_equal(use, FETCH_SESSION_NONE);
    assert_int_equal(begin(&sessions, 0, 0, BY_NAME, 0, &use), KAFKA_NONE);
    assert_int_equal(use, FETCH_SESSION_FULL);
    assert_int_equal(begin(&sessions, 9, 1, BY_NAME, 0, &use), KAFKA_FETCH_SESSION_ID_NOT_FOUND);
    assert_null(fetch_session_create(&sessions, 0, 1, false, 0));
    assert_null(fetch_session_create(&sessions, -4, 1, false, 0));
    assert_non_null(session_of(&sessions, 9, 2, 0));
    assert_null(fetch_session_create(&sessions, 9, 1, false, 0)); /* taken */
    assert_int_equal(begin(&sessions, 9, 2, BY_NAME, 0, &use), KAFKA_INVALID_FETCH_SESSION_EPOCH);
    assert_int_equal(begin(&sessions, 9, -2, BY_NAME, 0, &use), KAFKA_INVALID_FETCH_SESSION_EPOCH);
    assert_int_equal(begin(&sessions, 9, 1, BY_ID, 0, &use), KAFKA_FETCH_SESSION_TOPIC_ID_ERROR);
    assert_int_equal(begin(&sessions, 9, 1, BY_NAME, 0, &use), KAFKA_NONE);
    assert_int_equal(use, FETCH_SESSION_PART);
    assert_int_equal(fetch_session_find(&sessions, 9)->epoch, 2);
    assert_int_equal(begin(&sessions, 9, 0, BY_NAME, 0, &use), KAFKA_NONE); /* anew: the old one is closed */
    assert_int_equal(use, FETCH_SESSION_FULL);
    assert_null(fetch_session_find(&sessions, 9));
    fetch_sessions_deinit(&sessions);
}

static void epochs_wrap_past_zero(void **state)
{
    (void)state;
    struct fetch_sessions sessions;
    enum fetch_session_use use;
    fetch_sessions_init(&sessions, 10);
    session_of(&sessions, 9, 1, 0)->epoch = INT32_MAX;
    assert_int_equal(begin(&sessions, 9, INT32_MAX, BY_NAME, 0, &use), KAFKA_NONE);
    assert_int_equal(fetch_session_find(&sessions, 9)->epoch, 1);
    fetch_sessions_deinit(&sessions);
}

static void the_idle_go_first_then_the_small(void **state)
{
    (void)state;
    struct fetch_sessions sessions;
    enum fetch_session_use use;
    fetch_sessions_init(&sessions, 2);
    assert_non_null(session_of(&sessions, 1, 5, 0));
    assert_non_null(session_of(&sessions, 2, 3, 0));
    assert_null(session_of(&sessions, 3, 100, 1)); /* the others are young */
    assert_int_equal(begin(&sessions, 1, 1, BY_NAME, LATER, &use), KAFKA_NONE);
    assert_non_null(session_of(&sessions, 3, 1, LATER)); /* 2 was idle */
    assert_null(fetch_session_find(&sessions, 2));
    assert_int_equal(sessions.evicted, 1);
    assert_null(session_of(&sessions, 4, 5, LATER + 1)); /* 1 is old, but not smaller; 3 is smaller, but young */
    assert_non_null(session_of(&sessions, 4, 6, LATER + 1));
    assert_null(fetch_session_find(&sessions, 1));
    assert_int_equal(sessions.count, 2);
    fetch_sessions_deinit(&sessions);
}

static void no_slots_no_sessions(void **state)
{
    (void)state;
    struct fetch_sessions sessions;
    fetch_sessions_init(&sessions, 0);
    assert_null(fetch_session_create(&sessions, 1, 1, false, 0));
    fetch_sessions_deinit(&sessions);
    fetch_sessions_init(&sessions, 4);
    assert_null(fetch_session_create(&sessions, 1, FETCH_SESSION_PARTITIONS_MAX + 1, false, 0));
    fetch_sessions_deinit(&sessions);
}

static bool note(struct fetch_session *session, struct fetch_session_partition *partition, int16_t error, bool records,
                 int64_t high_watermark)
{
    struct fetch_session_news news = {
        .error_code = error, .records = records, .high_watermark = error ? -1 : high_watermark, .log_start_offset = 0
    };
    return fetch_session_note(session, partition, &news);
}

static void only_news_is_told(void **state)
{
    (void)state;
    struct fetch_sessions sessions;
    fetch_sessions_init(&sessions, 1);
    struct fetch_session *session = session_of(&sessions, 1, 2, 0);
    struct fetch_session_partition *first = list_entry(session->order.next, struct fetch_session_partition, order);
    assert_true(note(session, first, KAFKA_NONE, false, 10));
    assert_false(note(session, first, KAFKA_NONE, false, 10));
    assert_true(note(session, first, KAFKA_NONE, false, 11));
    assert_true(note(session, first, KAFKA_KAFKA_STORAGE_ERROR, false, 11));
    assert_true(note(session, first, KAFKA_KAFKA_STORAGE_ERROR, false, 11)); /* an error is told each time */
    assert_true(note(session, first, KAFKA_NONE, false, 11));
    assert_false(note(session, first, KAFKA_NONE, false, 11));
    assert_true(session->order.next == &first->order);
    assert_true(note(session, first, KAFKA_NONE, true, 11));
    assert_true(session->order.prev == &first->order); /* had data: behind the others now */
    fetch_sessions_deinit(&sessions);
}

/* A twin: per session a flag for each partition. */
struct twin {
    bool alive;
    bool has[8];
    int32_t epoch;
};

static uint32_t twin_size(const struct twin *twin)
{
    uint32_t size = 0;
    for (int i = 0; i < 8; i++)
        size += twin->has[i];
    return size;
}

static void twin_step(struct fetch_sessions *sessions, struct twin *twin, int32_t id, struct prng *prng)
{
    struct fetch_request_partition asked[8];
    struct fetch_request_topic topic = { .topic = ODK_STR("t"), .partitions = asked };
    int32_t gone[8];
    struct fetch_request_forgotten_topic forgotten = { .topic = ODK_STR("t"), .partitions = gone };
    for (int32_t i = 0; i < 8; i++) {
        if (prng_chance(prng, 300000)) {
            asked[topic.partitions_count++] = (struct fetch_request_partition){ .partition = i };
            twin->has[i] = true;
        }
    }
    for (int32_t i = 0; i < 8; i++) {
        if (prng_chance(prng, 300000)) {
            gone[forgotten.partitions_count++] = i;
            twin->has[i] = false;
        }
    }
    struct fetch_request request = { .session_id = id,
                                     .session_epoch = twin->epoch,
                                     .topics = &topic,
                                     .topics_count = 1,
                                     .forgotten_topics_data = &forgotten,
                                     .forgotten_topics_data_count = 1 };
    struct fetch_session *session = NULL;
    enum fetch_session_use use;
    assert_int_equal(fetch_session_begin(sessions, &request, BY_NAME, 0, &use, &session), KAFKA_NONE);
    twin->alive = twin_size(twin) > 0;
    twin->epoch++;
    assert_int_equal(use, twin->alive ? FETCH_SESSION_PART : FETCH_SESSION_NONE);
    assert_int_equal(fetch_session_find(sessions, id) != NULL, twin->alive);
}

static void random_use_agrees_with_a_twin(void **state)
{
    (void)state;
    struct fetch_sessions sessions;
    struct twin twins[16] = { 0 };
    struct prng prng = { .state = 11 };
    fetch_sessions_init(&sessions, 16);
    for (int step = 0; step < 20000; step++) {
        int32_t id = (int32_t)prng_below(&prng, 16) + 1;
        struct twin *twin = &twins[id - 1];
        uint32_t total = 0, count = 0;
        if (!twin->alive) {
            *twin = (struct twin){ .alive = true, .epoch = 1, .has = { true } };
            assert_non_null(session_of(&sessions, id, 1, 0));
        } else {
            twin_step(&sessions, twin, id, &prng);
        }
        for (int i = 0; i < 16; i++) {
            total += twins[i].alive ? twin_size(&twins[i]) : 0;
            count += twins[i].alive;
        }
        assert_int_equal(sessions.partition_total, total);
        assert_int_equal(sessions.count, count);
    }
    fetch_sessions_deinit(&sessions);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_and_epochs_are_checked),
        cmocka_unit_test(epochs_wrap_past_zero),
        cmocka_unit_test(the_idle_go_first_then_the_small),
        cmocka_unit_test(no_slots_no_sessions),
        cmocka_unit_test(only_news_is_told),
        cmocka_unit_test(random_use_agrees_with_a_twin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
