/*
 * Which backend opens where. Kernels that refuse io_uring are played by a seccomp filter in a child process, as
 * container hosts install them; a process that may lock little memory is
 * played by an ordinary user with a low limit: a small ring fits, the memory of mem_new does not.
 */
#include "world.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void named_kinds_open_as_named(void **state)
{
    struct world *world = *state;
    static const char *const names[] = { "auto", "uring", "epoll", "posix" };
    assert_string_equal(world->io->ops->name, names[world->kind]);
}

/* Makes one system call fail in this process from now on. */
static void syscall_forbid(uint32_t number, uint32_t error)
{
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { .len = countof(steps), .filter = steps };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(77);
}

/* Runs check in a child; its exit code: 0 right, 77 cannot be tested here, else the line that was wrong. */
static void check_in_child(void (*check)(struct world *world), struct world *world)
{
    (void)fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        check(world);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

#define CHILD_CHECK(condition) ((condition) ? (void)0 : _exit(__LINE__ % 77 + 1))

static void check_fallback(uint32_t number, uint32_t error)
{
    syscall_forbid(number, error);
    char why[200] = "";
    struct odk_io *io = NULL;
    CHILD_CHECK(odk_io_open(&(struct odk_io_options){ .kind = ODK_IO_URING }, &io, why, sizeof(why)) ==
                ODK_ERR_UNSUPPORTED);
    CHILD_CHECK(io == NULL);
    CHILD_CHECK(strstr(why, "io_uring") && strstr(why, strerror((int)error)));
    why[0] = 0;
    CHILD_CHECK(odk_io_open(&(struct odk_io_options){ .kind = ODK_IO_AUTO }, &io, why, sizeof(why)) == ODK_OK);
    CHILD_CHECK(strcmp(io->ops->name, "epoll") == 0);
    CHILD_CHECK(strstr(why, strerror((int)error)));
    struct pair pair;
    pair_open(io, &pair);
    pair_close(io, &pair);
    io->ops->free(io);
}

static void check_setup_eperm(struct world *world)
{
    (void)world;
    check_fallback(SYS_io_uring_setup, EPERM);
}

static void check_setup_enosys(struct world *world)
{
    (void)world;
    check_fallback(SYS_io_uring_setup, ENOSYS);
}

static void check_register_eperm(struct world *world)
{
    (void)world;
    check_fallback(SYS_io_uring_register, EPERM);
}

static void check_enter_eperm(struct world *world)
{
    (void)world;
    check_fallback(SYS_io_uring_enter, EPERM);
}

static void refused_io_uring_becomes_epoll(void **state)
{
    check_in_child(check_setup_eperm, *state);
    check_in_child(check_setup_enosys, *state);
    check_in_child(check_register_eperm, *state);
    check_in_child(check_enter_eperm, *state);
}

static void auto_opens_without_a_word(void **state)
{
    (void)state;
    char why[200] = "";
    struct odk_io *io = NULL;
    assert_int_equal(odk_io_open(&(struct odk_io_options){ 0 }, &io, why, sizeof(why)), ODK_OK);
    if (strcmp(io->ops->name, "uring") == 0)
        assert_string_equal(why, "");
    else
        assert_string_not_equal(why, "");
    io->ops->free(io);
    assert_int_equal(odk_io_open(&(struct odk_io_options){ 0 }, &io, NULL, 0), ODK_OK);
    io->ops->free(io);
}

static void check_with_little_locked_memory(struct world *world)
{
    struct odk_io *io = NULL;
    char why[200];
    const struct rlimit little = { .rlim_cur = 256 * 1024, .rlim_max = 256 * 1024 };
    int32_t file = world->io->ops->open(world->io, world_path(world, "f"), ODK_IO_WRITE | ODK_IO_CREATE);
    CHILD_CHECK(file >= 0);
    CHILD_CHECK(setrlimit(RLIMIT_MEMLOCK, &little) == 0);
    if (geteuid() == 0 && seteuid(61234) != 0)
        _exit(77);
    CHILD_CHECK(odk_io_open(&(struct odk_io_options){ .kind = world->kind }, &io, why, sizeof(why)) == ODK_OK);
    enum { LEN = 1 << 20 };
    uint8_t *mem = io->ops->mem_new(io, LEN);
    CHILD_CHECK(mem != NULL);
    mem[LEN - 1] = 1;
    struct iovec iov = { mem, LEN };
    CHILD_CHECK(world_write(io, file, &iov, 1, 0) == LEN);
    io->ops->mem_free(io, mem, LEN);
    io->ops->free(io);
}

static void registered_memory_may_be_refused(void **state)
{
    check_in_child(check_with_little_locked_memory, *state);
}

static void all_give_back_their_descriptors(void **state)
{
    struct world *world = *state;
    int before = dup(0);
    assert_int_equal(close(before), 0);
    for (int i = 0; i < 10; i++) {
        struct odk_io *io = world_io(world, &(struct odk_io_options){ 0 });
        struct pair pair;
        pair_open(io, &pair);
        pair_close(io, &pair);
        io->ops->free(io);
    }
    int after = dup(0);
    assert_int_equal(close(after), 0);
    assert_int_equal(before, after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(named_kinds_open_as_named),
        cmocka_unit_test(refused_io_uring_becomes_epoll),
        cmocka_unit_test(auto_opens_without_a_word),
        EACH(registered_memory_may_be_refused),
        EACH(all_give_back_their_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
