/* For tests of inspect: a directory filled by hand, and one that is looked into. Include behind drive.h. */
#pragma once
#include <sys/stat.h>

#include <odradek/inspect.h>

#include "views.h"

struct look {
    struct odk_io *io;
    struct odk_dir *dir;
    struct odk_part *part;
};

static inline enum odk_err look_open_dir(struct look *look, const char *path)
{
    struct odk_io_options options = { .kind = ODK_IO_POSIX };
    char why[256];
    *look = (struct look){ 0 };
    assert_int_equal(odk_io_open(&options, &look->io, why, sizeof(why)), ODK_OK);
    return odk_dir_open(look->io, NULL, path, &look->dir);
}

/* folder NULL: the directory only. */
static inline void look_into(struct look *look, const char *path, const char *folder)
{
    assert_int_equal(look_open_dir(look, path), ODK_OK);
    if (folder)
        assert_int_equal(odk_part_open(look->dir, folder, &look->part), ODK_OK);
}

static inline void look_away(struct look *look)
{
    odk_part_close(look->part);
    odk_dir_close(look->dir);
    look->io->ops->free(look->io);
}

static inline void place_make(char dir[256])
{
    (void)snprintf(dir, 256, "%s/odk-look-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(dir));
}

static inline void place_folder(const char *dir, const char *name)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_int_equal(mkdir(path, 0755), 0);
}

static inline void place_file(const char *dir, const char *name, struct odk_bytes content)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(content.data ? content.data : (const uint8_t *)"", 1, content.len, file), content.len);
    assert_int_equal(fclose(file), 0);
}

static inline void place_remove(const char *dir)
{
    char command[512];
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
}
