/*
 * The model against what a real kernel did: ext4, shut down without flushing, mounted again. Each case of that table is
 * one claim here. Where power loss leaves a choice, the claim is over many seeds: never anything else than the allowed
 * outcomes, and each of them at least once.
 */
#include "desk.h"

#include <errno.h>
#include <string.h>

enum { SEEDS = 200 };

static void case_a_synced_bytes_stay_exact(void **state)
{
    (void)state;
    bool exact = false;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct desk desk;
        desk_init(&desk, seed, NULL);
        int32_t file = desk_open(&desk, "a", DESK_NEW);
        assert_int_equal(desk_fill(&desk, file, 'x', 8192, 0), 8192);
        assert_int_equal(desk_sync(&desk, file), 0);
        assert_int_equal(desk_sync_dir(&desk, "/"), 0);
        assert_int_equal(desk_fill(&desk, file, 'y', 8192, 8192), 8192);
        desk_power_cycle(&desk);
        assert_true(desk_holds(&desk, "a", 'x', 0, 8192));
        exact = exact || desk_size(&desk, "a") == 8192;
        desk_deinit(&desk);
    }
    assert_true(exact);
}

static void case_b_name_of_a_synced_file_is_kept_by_kindness_only(void **state)
{
    (void)state;
    for (int strict = 0; strict <= 1; strict++) {
        bool gone = false;
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            struct sim_faults faults = sim_faults_none();
            faults.strict = strict != 0;
            struct desk desk;
            desk_init(&desk, seed, &faults);
            int32_t file = desk_open(&desk, "b", DESK_NEW);
            assert_int_equal(desk_fill(&desk, file, 'x', 5000, 0), 5000);
            assert_int_equal(desk_sync(&desk, file), 0);
            desk_power_cycle(&desk);
            if (desk_size(&desk, "b") < 0)
                gone = true;
            else
                assert_true(desk_holds(&desk, "b", 'x', 0, 5000));
            desk_deinit(&desk);
        }
        assert_int_equal(gone, strict != 0);
    }
}

static void case_c_unsynced_new_file_is_absent_or_empty_or_partial(void **state)
{
    (void)state;
    bool absent = false;
    bool empty = false;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct desk desk;
        desk_init(&desk, seed, NULL);
        int32_t file = desk_open(&desk, "c", DESK_NEW);
        assert_int_equal(desk_fill(&desk, file, 'x', 3000, 0), 3000);
        desk_power_cycle(&desk);
        absent = absent || desk_size(&desk, "c") < 0;
        empty = empty || desk_size(&desk, "c") == 0;
        desk_deinit(&desk);
    }
    assert_true(absent);
    assert_true(empty);
}

static void case_f_rename_is_old_or_new_and_whole(void **state)
{
    (void)state;
    bool old_name = false;
    bool new_name = false;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct desk desk;
        desk_init(&desk, seed, NULL);
        int32_t file = desk_open(&desk, "f.tmp", DESK_NEW);
        assert_int_equal(desk_fill(&desk, file, 'x', 3000, 0), 3000);
        assert_int_equal(desk_sync(&desk, file), 0);
        assert_int_equal(desk_sync_dir(&desk, "/"), 0);
        assert_int_equal(desk.io->ops->rename(desk.io, "f.tmp", "f"), 0);
        desk_power_cycle(&desk);
        assert_true((desk_size(&desk, "f") == 3000) != (desk_size(&desk, "f.tmp") == 3000));
        old_name = old_name || desk_size(&desk, "f.tmp") == 3000;
        new_name = new_name || desk_size(&desk, "f") == 3000;
        desk_deinit(&desk);
    }
    assert_true(old_name);
    assert_true(new_name);
}

static void case_h_hole_before_synced_bytes_reads_zeros(void **state)
{
    (void)state;
    struct desk desk;
    desk_init(&desk, 1, NULL);
    int32_t file = desk_open(&desk, "h", DESK_NEW);
    assert_int_equal(desk_fill(&desk, file, 'x', 4096, 65536), 4096);
    assert_int_equal(desk_sync(&desk, file), 0);
    desk_power_cycle(&desk);
    assert_int_equal(desk_size(&desk, "h"), 69632);
    assert_true(desk_holds(&desk, "h", 0, 0, 65536));
    assert_true(desk_holds(&desk, "h", 'x', 65536, 4096));
    desk_deinit(&desk);
}

static void case_i_removed_file_can_come_back(void **state)
{
    (void)state;
    bool back = false;
    bool gone = false;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct desk desk;
        desk_init(&desk, seed, NULL);
        int32_t file = desk_open(&desk, "i", DESK_NEW);
        assert_int_equal(desk_fill(&desk, file, 'x', 3000, 0), 3000);
        assert_int_equal(desk_sync(&desk, file), 0);
        assert_int_equal(desk_sync_dir(&desk, "/"), 0);
        assert_int_equal(desk.io->ops->close(desk.io, file), 0);
        assert_int_equal(desk.io->ops->unlink(desk.io, "i"), 0);
        assert_int_equal(desk_size(&desk, "i"), -1);
        desk_power_cycle(&desk);
        back = back || desk_holds(&desk, "i", 'x', 0, 3000);
        gone = gone || desk_size(&desk, "i") < 0;
        desk_deinit(&desk);
    }
    assert_true(back);
    assert_true(gone);
}

static void removed_and_synced_file_stays_away(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct desk desk;
        desk_init(&desk, seed, NULL);
        int32_t file = desk_open(&desk, "i", DESK_NEW);
        assert_int_equal(desk_fill(&desk, file, 'x', 3000, 0), 3000);
        assert_int_equal(desk_sync(&desk, file), 0);
        assert_int_equal(desk.io->ops->unlink(desk.io, "i"), 0);
        assert_int_equal(desk_sync_dir(&desk, "/"), 0);
        desk_power_cycle(&desk);
        assert_int_equal(desk_size(&desk, "i"), -1);
        desk_deinit(&desk);
    }
}

static void case_r_late_page_can_be_valid_behind_a_hole(void **state)
{
    (void)state;
    bool seen = false;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct desk desk;
        desk_init(&desk, seed, NULL);
        int32_t file = desk_open(&desk, "r", DESK_NEW);
        assert_int_equal(desk_fill(&desk, file, 'x', 4096, 0), 4096);
        assert_int_equal(desk_sync(&desk, file), 0);
        assert_int_equal(desk_sync_dir(&desk, "/"), 0);
        assert_int_equal(desk_fill(&desk, file, 'y', 3 * 4096, 4096), 3 * 4096);
        desk_power_cycle(&desk);
        seen = seen || (desk_holds(&desk, "r", 0, 4096, 8192) && desk_holds(&desk, "r", 'y', 12288, 4096));
        desk_deinit(&desk);
    }
    assert_true(seen);
}

static void strict_directories_need_each_parent_synced(void **state)
{
    (void)state;
    struct sim_faults faults = sim_faults_none();
    faults.strict = true;
    for (int parent_synced = 0; parent_synced <= 1; parent_synced++) {
        bool lost = false;
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            struct desk desk;
            desk_init(&desk, seed, &faults);
            assert_int_equal(desk.io->ops->mkdir(desk.io, "dir"), 0);
            int32_t file = desk_open(&desk, "dir/file", DESK_NEW);
            assert_int_equal(desk_fill(&desk, file, 'x', 100, 0), 100);
            assert_int_equal(desk_sync(&desk, file), 0);
            assert_int_equal(desk_sync_dir(&desk, "dir"), 0);
            if (parent_synced)
                assert_int_equal(desk_sync_dir(&desk, "."), 0);
            desk_power_cycle(&desk);
            lost = lost || !desk_holds(&desk, "dir/file", 'x', 0, 100);
            desk_deinit(&desk);
        }
        assert_int_equal(lost, parent_synced == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(case_a_synced_bytes_stay_exact),
        cmocka_unit_test(case_b_name_of_a_synced_file_is_kept_by_kindness_only),
        cmocka_unit_test(case_c_unsynced_new_file_is_absent_or_empty_or_partial),
        cmocka_unit_test(case_f_rename_is_old_or_new_and_whole),
        cmocka_unit_test(case_h_hole_before_synced_bytes_reads_zeros),
        cmocka_unit_test(case_i_removed_file_can_come_back),
        cmocka_unit_test(removed_and_synced_file_stays_away),
        cmocka_unit_test(case_r_late_page_can_be_valid_behind_a_hole),
        cmocka_unit_test(strict_directories_need_each_parent_synced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
