/* The simulated disk's faults, one by one: errors, torn writes, space, locks, mappings. */
#include "desk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SEEDS = 200 };

static int32_t synced_file(struct desk *desk, const char *path, uint32_t flags, uint8_t byte, uint32_t len)
{
    int32_t file = desk_open(desk, path, DESK_NEW | flags);
    assert_true(file >= 0);
    assert_int_equal(desk_fill(desk, file, byte, len, 0), (int32_t)len);
    assert_int_equal(desk_sync(desk, file), 0);
    assert_int_equal(desk_sync_dir(desk, "/"), 0);
    return file;
}

/* The kernel forgets: error once, pages clean, new bytes in the cache, old ones on the device. */
static void failed_sync_is_reported_once_and_loses_pages(void **state)
{
    (void)state;
    bool lost_although_second_sync_succeeded = false;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct desk desk;
        desk_init(&desk, seed, NULL);
        int32_t file = synced_file(&desk, "f", 0, 'o', 8192);
        assert_int_equal(desk_fill(&desk, file, 'n', 8192, 0), 8192);
        sim_fail_next(desk.world, SIM_FAIL_SYNC, "f", -EIO);
        assert_int_equal(desk_sync(&desk, file), -EIO);
        assert_int_equal(desk_sync(&desk, file), 0);
        assert_true(desk_holds(&desk, "f", 'n', 0, 8192));
        desk_power_cycle(&desk);
        if (!desk_holds(&desk, "f", 'n', 0, 8192))
            lost_although_second_sync_succeeded = true;
        assert_true(desk_holds(&desk, "f", 'n', 0, 4096) || desk_holds(&desk, "f", 'o', 0, 4096));
        desk_deinit(&desk);
    }
    assert_true(lost_although_second_sync_succeeded);
}

static void sync_error_reaches_every_handle_open_then_and_no_later_one(void **state)
{
    (void)state;
    struct desk desk;
    desk_init(&desk, 1, NULL);
    int32_t file = synced_file(&desk, "f", 0, 'o', 4096);
    int32_t other = desk_open(&desk, "f", DESK_RW);
    assert_int_equal(desk_fill(&desk, file, 'n', 4096, 0), 4096);
    sim_fail_next(desk.world, SIM_FAIL_SYNC, NULL, -EIO);
    assert_int_equal(desk_sync(&desk, file), -EIO);
    int32_t late = desk_open(&desk, "f", DESK_RW);
    assert_int_equal(desk_sync(&desk, late), 0);
    assert_int_equal(desk_sync(&desk, other), -EIO);
    assert_int_equal(desk_sync(&desk, other), 0);
    desk_deinit(&desk);
}

static void error_of_background_write_back_reaches_a_later_handle(void **state)
{
    (void)state;
    struct sim_faults faults = sim_faults_none();
    struct desk desk;
    desk_init(&desk, 1, &faults);
    int32_t file = synced_file(&desk, "f", 0, 'o', 4096);
    faults.writeback = 1000000;
    faults.sync_fail = 16 * 1000000; /* a sixteenth of it counts in the background */
    sim_faults_set(desk.world, &faults);
    assert_int_equal(desk_fill(&desk, file, 'n', 4096, 0), 4096);
    faults = sim_faults_none();
    sim_faults_set(desk.world, &faults);
    assert_int_equal(desk.io->ops->close(desk.io, file), 0);
    int32_t later = desk_open(&desk, "f", DESK_RW);
    assert_int_equal(desk_sync(&desk, later), -EIO);
    assert_int_equal(desk_sync(&desk, later), 0);
    desk_deinit(&desk);
}

static void kill_keeps_completed_writes(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct desk desk;
        desk_init(&desk, seed, NULL);
        int32_t file = desk_open(&desk, "f", DESK_NEW);
        assert_int_equal(desk_fill(&desk, file, 'x', 9000, 0), 9000);
        sim_crash_kill(desk.world, 1);
        desk_restart(&desk);
        assert_true(desk_holds(&desk, "f", 'x', 0, 9000));
        desk_deinit(&desk);
    }
}

/* A write in flight over old bytes, power cut: each sector is old or new, and there are torn ones. */
static void direct_write_in_flight_tears_by_sector(void **state)
{
    (void)state;
    uint32_t torn = 0, whole = 0, none = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct desk desk;
        desk_init(&desk, seed, NULL);
        (void)synced_file(&desk, "f", 0, 'o', 16384);
        int32_t file = desk_open(&desk, "f", DESK_RW | ODK_IO_DIRECT | ODK_IO_DSYNC);
        sim_crash_arm(desk.world, SIM_CRASH_POWER, 0, 2);
        uint8_t *mem = desk.io->ops->mem_new(desk.io, 16384);
        memset(mem, 'n', 16384);
        struct iovec iov = { .iov_base = mem, .iov_len = 16384 };
        struct odk_io_wait wait;
        odk_io_wait_begin(&wait);
        desk.io->ops->writev(desk.io, &wait.op, file, &iov, 1, 0);
        assert_int_equal(desk.io->ops->size(desk.io, file), -EIO); /* the crash strikes here */
        assert_int_equal(odk_io_wait(desk.io, &wait), -EIO);
        desk_restart(&desk);
        uint32_t fresh = 0;
        for (uint64_t pos = 0; pos < 16384; pos += 512) {
            bool is_new = desk_holds(&desk, "f", 'n', pos, 512);
            assert_true(is_new || desk_holds(&desk, "f", 'o', pos, 512));
            fresh += is_new;
        }
        torn += fresh > 0 && fresh < 32;
        whole += fresh == 32;
        none += fresh == 0;
        desk_deinit(&desk);
    }
    assert_true(torn > 0);
    assert_true(whole > 0);
    assert_true(none > 0);
}

static void completed_dsync_write_survives_power_loss(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct desk desk;
        desk_init(&desk, seed, NULL);
        (void)synced_file(&desk, "f", 0, 'o', 4096);
        int32_t file = desk_open(&desk, "f", DESK_RW | ODK_IO_DIRECT | ODK_IO_DSYNC);
        assert_int_equal(desk_fill(&desk, file, 'n', 16384, 0), 16384);
        desk_power_cycle(&desk);
        assert_true(desk_holds(&desk, "f", 'n', 0, 16384));
        desk_deinit(&desk);
    }
}

static void direct_write_without_dsync_sits_in_a_volatile_cache(void **state)
{
    (void)state;
    bool lost = false;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct desk desk;
        desk_init(&desk, seed, NULL);
        (void)synced_file(&desk, "f", 0, 'o', 4096);
        int32_t file = desk_open(&desk, "f", DESK_RW | ODK_IO_DIRECT);
        assert_int_equal(desk_fill(&desk, file, 'n', 4096, 0), 4096);
        bool synced = seed % 2 == 0;
        if (synced)
            assert_int_equal(desk_sync(&desk, file), 0);
        desk_power_cycle(&desk);
        bool kept = desk_holds(&desk, "f", 'n', 0, 4096);
        lost = lost || !kept;
        assert_true(kept || !synced);
        desk_deinit(&desk);
    }
    assert_true(lost);
}

/* A write over a page while a sync of it is in flight must not take back what the sync promises. */
static void sync_covers_a_page_rewritten_meanwhile(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct desk desk;
        desk_init(&desk, seed, NULL);
        int32_t file = synced_file(&desk, "f", 0, 'o', 4096);
        int32_t direct = desk_open(&desk, "f", DESK_RW | ODK_IO_DIRECT);
        assert_int_equal(desk_fill(&desk, file, 'n', 1000, 0), 1000);
        struct odk_io_wait wait;
        odk_io_wait_begin(&wait);
        desk.io->ops->sync(desk.io, &wait.op, file);
        assert_int_equal(desk_fill(&desk, direct, 'n', 4096, 0), 4096);
        assert_int_equal(odk_io_wait(desk.io, &wait), 0);
        desk_power_cycle(&desk);
        assert_true(desk_holds(&desk, "f", 'n', 0, 1000));
        desk_deinit(&desk);
    }
}

static void truncation_is_whole_or_not_at_all(void **state)
{
    (void)state;
    bool dropped = false;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct desk desk;
        desk_init(&desk, seed, NULL);
        int32_t file = synced_file(&desk, "f", 0, 'o', 20000);
        assert_int_equal(desk.io->ops->truncate(desk.io, file, 5000), 0);
        assert_int_equal(desk_fill(&desk, file, 'n', 5000, 5000), 5000);
        desk_power_cycle(&desk);
        assert_true(desk_holds(&desk, "f", 'o', 0, 4096));
        dropped = dropped || desk_holds(&desk, "f", 'o', 0, 20000);
        /* Never old bytes behind a size that the truncation had cut. */
        if (desk_size(&desk, "f") < 20000)
            assert_false(desk_holds(&desk, "f", 'o', 5000, 512));
        desk_deinit(&desk);
    }
    assert_true(dropped);
}

static void full_disk_refuses_new_pages_only(void **state)
{
    (void)state;
    struct sim_faults faults = sim_faults_none();
    faults.space_bytes = 8 * 4096;
    struct desk desk;
    desk_init(&desk, 1, &faults);
    int32_t file = desk_open(&desk, "f", DESK_NEW);
    assert_int_equal(desk_fill(&desk, file, 'x', 40000, 0), 32768);
    assert_int_equal(desk_fill(&desk, file, 'x', 10, 32768), -ENOSPC);
    assert_int_equal(desk_fill(&desk, file, 'y', 4096, 0), 4096);
    uint64_t left, total;
    assert_int_equal(desk.io->ops->space(desk.io, "/", &left, &total), 0);
    assert_int_equal(left, 0);
    assert_int_equal(total, 32768);
    faults.space_bytes += 4096;
    sim_faults_set(desk.world, &faults);
    assert_int_equal(desk_fill(&desk, file, 'x', 10, 32768), 10);
    assert_int_equal(desk.io->ops->truncate(desk.io, file, 0), 0);
    assert_int_equal(sim_disk_used(desk.world), 0);
    desk_deinit(&desk);
}

static void direct_access_must_be_aligned(void **state)
{
    (void)state;
    struct desk desk;
    desk_init(&desk, 1, NULL);
    int32_t file = desk_open(&desk, "f", DESK_NEW | ODK_IO_DIRECT);
    assert_int_equal(desk_fill(&desk, file, 'x', 4096, 0), 4096);
    assert_int_equal(desk_fill(&desk, file, 'x', 4096, 512), -EINVAL);
    assert_int_equal(desk_fill(&desk, file, 'x', 1000, 0), -EINVAL);
    uint8_t back[4096];
    assert_int_equal(desk_read(&desk, file, back, 4096, 0), 4096);
    assert_int_equal(desk_read(&desk, file, back, 100, 0), -EINVAL);
    desk_deinit(&desk);
}

static void short_results_are_never_empty(void **state)
{
    (void)state;
    struct sim_faults faults = sim_faults_none();
    faults.write_short = 1000000;
    faults.read_short = 1000000;
    struct desk desk;
    desk_init(&desk, 7, &faults);
    int32_t file = desk_open(&desk, "f", DESK_NEW);
    int32_t direct = desk_open(&desk, "g", DESK_NEW | ODK_IO_DIRECT);
    uint8_t back[8192];
    for (int i = 0; i < 50; i++) {
        int32_t wrote = desk_fill(&desk, file, 'x', 8192, 0);
        assert_in_range(wrote, 1, 8191);
        assert_in_range(desk_read(&desk, file, back, (uint32_t)wrote, 0), 1, 8191);
        assert_int_equal(desk_fill(&desk, direct, 'x', 8192, 0), 4096);
    }
    desk_deinit(&desk);
}

static void lock_is_exclusive_until_close_or_crash(void **state)
{
    (void)state;
    struct desk desk;
    desk_init(&desk, 1, NULL);
    struct odk_io *other = sim_io_new(desk.world, &(struct sim_io_options){ .process = 2 });
    int32_t mine = desk_open(&desk, "lock", DESK_NEW);
    int32_t theirs = other->ops->open(other, "lock", DESK_RW);
    assert_int_equal(desk.io->ops->lock(desk.io, mine), 0);
    assert_int_equal(other->ops->lock(other, theirs), -EWOULDBLOCK);
    sim_crash_kill(desk.world, 1);
    assert_int_equal(other->ops->lock(other, theirs), 0);
    desk_restart(&desk);
    mine = desk_open(&desk, "lock", DESK_RW);
    assert_int_equal(desk.io->ops->lock(desk.io, mine), -EWOULDBLOCK);
    assert_int_equal(other->ops->close(other, theirs), 0);
    assert_int_equal(desk.io->ops->lock(desk.io, mine), 0);
    sim_io_free(other);
    desk_deinit(&desk);
}

static void mapping_follows_the_cache_and_breaks_softly(void **state)
{
    (void)state;
    struct desk desk;
    desk_init(&desk, 1, NULL);
    int32_t file = synced_file(&desk, "f", 0, 'x', 8192);
    struct odk_io_map map;
    assert_int_equal(desk.io->ops->map(desk.io, file, 8193, &map), -EINVAL);
    assert_int_equal(desk.io->ops->map(desk.io, file, 8192, &map), 0);
    assert_int_equal(desk_fill(&desk, file, 'y', 4096, 0), 4096);
    assert_int_equal(map.data[0], 'y');
    assert_int_equal(desk_sync(&desk, file), 0);
    assert_true(desk.io->ops->resident(desk.io, map.data, map.len));
    sim_fail_next(desk.world, SIM_FAIL_MAP, "f", -EIO);
    struct odk_io_wait wait;
    odk_io_wait_begin(&wait);
    desk.io->ops->prefault(desk.io, &wait.op, map.data + 4096, 100);
    assert_int_equal(odk_io_wait(desk.io, &wait), -EIO);
    assert_true(map.broken);
    assert_int_equal(map.data[0], 'y');
    assert_int_equal(map.data[4096], 0);
    uint8_t back[16];
    assert_int_equal(desk_read(&desk, file, back, 16, 4096), -EIO);
    desk.io->ops->unmap(desk.io, &map);
    assert_int_equal(map.slot, -1);
    assert_int_equal(desk_read(&desk, file, back, 16, 4096), 16);
    assert_int_equal(back[0], 'x');
    desk_deinit(&desk);
}

static void dead_io_has_no_effect_and_answers_eio(void **state)
{
    (void)state;
    struct desk desk;
    desk_init(&desk, 1, NULL);
    int32_t file = synced_file(&desk, "f", 0, 'x', 100);
    sim_crash_kill(desk.world, 1);
    assert_true(sim_dead(desk.io));
    assert_int_equal(desk_fill(&desk, file, 'y', 100, 0), -EIO);
    assert_int_equal(desk_sync(&desk, file), -EIO);
    assert_int_equal(desk_open(&desk, "new", DESK_NEW), -EIO);
    assert_int_equal(desk.io->ops->unlink(desk.io, "f"), -EIO);
    assert_int_equal(desk.io->ops->close(desk.io, file), 0);
    desk_restart(&desk);
    assert_true(desk_holds(&desk, "f", 'x', 0, 100));
    assert_int_equal(desk_size(&desk, "new"), -1);
    desk_deinit(&desk);
}

static void count_name(void *context, const char *name, bool is_directory)
{
    char *all = context;
    strcat(all, name);
    strcat(all, is_directory ? "/ " : " ");
}

static void directories_list_rename_and_refuse(void **state)
{
    (void)state;
    struct desk desk;
    desk_init(&desk, 3, NULL);
    const struct odk_io_ops *ops = desk.io->ops;
    assert_int_equal(ops->mkdir(desk.io, "/data"), 0);
    assert_int_equal(ops->mkdir(desk.io, "/data"), -EEXIST);
    assert_int_equal(ops->mkdir(desk.io, "/none/data"), -ENOENT);
    assert_int_equal(ops->mkdir(desk.io, "data/sub"), 0);
    (void)synced_file(&desk, "data/sub/f", 0, 'x', 10);
    assert_int_equal(ops->unlink(desk.io, "data/sub"), -ENOTEMPTY);
    assert_int_equal(ops->rename(desk.io, "data/sub", "data/sub/deeper"), -EINVAL);
    assert_int_equal(ops->rename(desk.io, "data/sub", "data/gone"), 0);
    assert_true(desk_holds(&desk, "./data//gone/f", 'x', 0, 10));
    assert_int_equal(desk_open(&desk, "data/gone/f", DESK_NEW | ODK_IO_EXCLUSIVE), -EEXIST);
    assert_int_equal(desk_open(&desk, "data/gone", DESK_RW), -EISDIR);
    assert_int_equal(desk_open(&desk, "data/sub/f", DESK_RW), -ENOENT);
    char names[64] = "";
    assert_int_equal(ops->list(desk.io, "data", count_name, names), 0);
    assert_string_equal(names, "gone/ ");
    desk_deinit(&desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failed_sync_is_reported_once_and_loses_pages),
        cmocka_unit_test(sync_error_reaches_every_handle_open_then_and_no_later_one),
        cmocka_unit_test(error_of_background_write_back_reaches_a_later_handle),
        cmocka_unit_test(kill_keeps_completed_writes),
        cmocka_unit_test(direct_write_in_flight_tears_by_sector),
        cmocka_unit_test(completed_dsync_write_survives_power_loss),
        cmocka_unit_test(direct_write_without_dsync_sits_in_a_volatile_cache),
        cmocka_unit_test(sync_covers_a_page_rewritten_meanwhile),
        cmocka_unit_test(truncation_is_whole_or_not_at_all),
        cmocka_unit_test(full_disk_refuses_new_pages_only),
        cmocka_unit_test(direct_access_must_be_aligned),
        cmocka_unit_test(short_results_are_never_empty),
        cmocka_unit_test(lock_is_exclusive_until_close_or_crash),
        cmocka_unit_test(mapping_follows_the_cache_and_breaks_softly),
        cmocka_unit_test(dead_io_has_no_effect_and_answers_eio),
        cmocka_unit_test(directories_list_rename_and_refuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
