/* odk_io_write over a backend that writes as little, and fails as often, as its script says. */
#include "world.h"

#include <errno.h>
#include <string.h>

struct fake {
    struct odk_io io;
    const int32_t *script; /* result of each writev: > 0 at most so many bytes */
    uint32_t script_len;
    uint32_t calls;
    struct odk_io_op *pending;
    int32_t pending_result;
    uint8_t file[64];
};

static struct fake *fake_of(struct odk_io *io)
{
    return container_of(io, struct fake, io);
}

static void fake_writev(struct odk_io *io, struct odk_io_op *op, int32_t file, const struct iovec *iov, uint32_t count,
                        uint64_t pos)
{
    struct fake *fake = fake_of(io);
    assert_int_equal(file, 5);
    assert_null(fake->pending);
    int32_t limit = fake->script[MIN(fake->calls, fake->script_len - 1)];
    fake->calls++;
    int32_t result = limit;
    if (limit >= 0) {
        size_t taken = 0;
        for (uint32_t i = 0; i < count; i++) {
            size_t part = MIN(iov[i].iov_len, (size_t)limit - taken);
            memcpy(fake->file + pos + taken, iov[i].iov_base, part);
            taken += part;
        }
        result = (int32_t)taken;
    }
    fake->pending = op;
    fake->pending_result = result;
}

static void fake_run(struct odk_io *io, uint64_t until_ns)
{
    (void)until_ns;
    struct fake *fake = fake_of(io);
    struct odk_io_op *op = fake->pending;
    fake->pending = NULL;
    assert_non_null(op);
    op->done(op, fake->pending_result);
}

static const struct odk_io_ops fake_ops = { .name = "fake", .run = fake_run, .writev = fake_writev };

struct finished {
    struct odk_io_write write;
    int64_t result;
    bool ready;
};

static void finished_on_write(struct odk_io_write *write, int64_t result)
{
    struct finished *finished = container_of(write, struct finished, write);
    assert_false(finished->ready);
    finished->result = result;
    finished->ready = true;
}

/* Writes "abcdefghij" from four vectors at 3 and returns the result. */
static int64_t write_ten(struct fake *fake, const int32_t *script, uint32_t script_len)
{
    *fake = (struct fake){ .io.ops = &fake_ops, .script = script, .script_len = script_len };
    char text[] = "abcdefghij";
    struct iovec iov[4] = { { text, 4 }, { text + 4, 0 }, { text + 4, 1 }, { text + 5, 5 } };
    struct finished finished = { .write.done = finished_on_write };
    odk_io_write(&fake->io, &finished.write, 5, iov, 4, 3);
    while (!finished.ready)
        fake_run(&fake->io, 0);
    return finished.result;
}

static void short_writes_are_continued(void **state)
{
    (void)state;
    for (int32_t step = 1; step <= 11; step++) {
        struct fake fake;
        assert_int_equal(write_ten(&fake, &step, 1), 10);
        assert_memory_equal(fake.file, "\0\0\0abcdefghij\0", 14);
        assert_int_equal(fake.calls, step >= 10 ? 1 : (10 + step - 1) / step);
    }
}

static void passing_errors_are_retried(void **state)
{
    (void)state;
    const int32_t script[] = { -EINTR, 3, -EAGAIN, -EAGAIN, 100 };
    struct fake fake;
    assert_int_equal(write_ten(&fake, script, countof(script)), 10);
    assert_memory_equal(fake.file, "\0\0\0abcdefghij\0", 14);
}

static void retries_are_bounded(void **state)
{
    (void)state;
    struct fake fake;
    const int32_t again = -EAGAIN;
    assert_int_equal(write_ten(&fake, &again, 1), -EAGAIN);
    assert_in_range(fake.calls, 2, 100);
    const int32_t nothing = 0;
    assert_int_equal(write_ten(&fake, &nothing, 1), -EIO);
    assert_in_range(fake.calls, 2, 100);
}

static void the_first_error_ends_it(void **state)
{
    (void)state;
    const int32_t script[] = { 4, -ENOSPC, 100 };
    struct fake fake;
    assert_int_equal(write_ten(&fake, script, countof(script)), -ENOSPC);
    assert_int_equal(fake.calls, 2);
}

static void write_all_turns_errno_into_an_error(void **state)
{
    (void)state;
    const int32_t script[] = { 4, -ENOSPC };
    struct fake fake = { .io.ops = &fake_ops, .script = script, .script_len = countof(script) };
    assert_int_equal(odk_io_write_all(&fake.io, 5, "abcdef", 6, 0), ODK_ERR_FULL);
}

static void errno_becomes_what_a_caller_can_act_on(void **state)
{
    (void)state;
    assert_int_equal(odk_err_from_errno(0), ODK_OK);
    assert_int_equal(odk_err_from_errno(ENOSPC), ODK_ERR_FULL);
    assert_int_equal(odk_err_from_errno(-EDQUOT), ODK_ERR_FULL);
    assert_int_equal(odk_err_from_errno(-ENOENT), ODK_ERR_NOT_FOUND);
    assert_int_equal(odk_err_from_errno(-EEXIST), ODK_ERR_EXISTS);
    assert_int_equal(odk_err_from_errno(-EROFS), ODK_ERR_ACCESS);
    assert_int_equal(odk_err_from_errno(-EWOULDBLOCK), ODK_ERR_BUSY);
    assert_int_equal(odk_err_from_errno(-ENOMEM), ODK_ERR_MEMORY);
    assert_int_equal(odk_err_from_errno(-EMFILE), ODK_ERR_LIMIT);
    assert_int_equal(odk_err_from_errno(-EINVAL), ODK_ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_writes_are_continued),
        cmocka_unit_test(passing_errors_are_retried),
        cmocka_unit_test(retries_are_bounded),
        cmocka_unit_test(the_first_error_ends_it),
        cmocka_unit_test(write_all_turns_errno_into_an_error),
        cmocka_unit_test(errno_becomes_what_a_caller_can_act_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
