#include "io/os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define FILE_MODE      0644
#define DIRECTORY_MODE 0755

static int32_t result_of(int returned)
{
    return returned < 0 ? -errno : 0;
}

static int open_flags(uint32_t flags)
{
    int how = O_CLOEXEC | O_RDONLY;
    if (flags & ODK_IO_WRITE)
        how = O_CLOEXEC | ((flags & ODK_IO_READ) ? O_RDWR : O_WRONLY);
    how |= (flags & ODK_IO_CREATE) ? O_CREAT : 0;
    how |= (flags & ODK_IO_EXCLUSIVE) ? O_EXCL : 0;
    how |= (flags & ODK_IO_DIRECT) ? O_DIRECT : 0;
    how |= (flags & ODK_IO_DSYNC) ? O_DSYNC : 0;
    how |= (flags & ODK_IO_DIRECTORY) ? O_DIRECTORY : 0;
    return how;
}

int32_t os_open(struct odk_io *io, const char *path, uint32_t flags)
{
    (void)io;
    int fd;
    do
        fd = open(path, open_flags(flags), FILE_MODE);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return -errno;
    ASSERT(fd < INT32_MAX / 2);
    return (fd << 1) + ((flags & ODK_IO_DIRECTORY) ? 1 : 0);
}

int32_t os_close(struct odk_io *io, int32_t file)
{
    (void)io;
    ASSERT(file >= 0);
    return result_of(close(os_fd(file)));
}

int64_t os_size(struct odk_io *io, int32_t file)
{
    (void)io;
    struct stat info;
    return fstat(os_fd(file), &info) < 0 ? -errno : (int64_t)info.st_size;
}

int32_t os_truncate(struct odk_io *io, int32_t file, uint64_t size)
{
    (void)io;
    if (size > INT64_MAX)
        return -EFBIG;
    int returned;
    do
        returned = ftruncate(os_fd(file), (off_t)size);
    while (returned < 0 && errno == EINTR);
    return result_of(returned);
}

int32_t os_lock(struct odk_io *io, int32_t file)
{
    (void)io;
    return result_of(flock(os_fd(file), LOCK_EX | LOCK_NB));
}

int32_t os_mkdir(struct odk_io *io, const char *path)
{
    (void)io;
    return result_of(mkdir(path, DIRECTORY_MODE));
}

int32_t os_rename(struct odk_io *io, const char *from, const char *to)
{
    (void)io;
    return result_of(rename(from, to));
}

int32_t os_unlink(struct odk_io *io, const char *path)
{
    (void)io;
    return result_of(remove(path));
}

/* Some file systems do not say the type in the directory. */
static bool entry_is_directory(DIR *dir, const struct dirent *entry)
{
    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_DIR;
    struct stat info;
    return fstatat(dirfd(dir), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode);
}

int32_t os_list(struct odk_io *io, const char *path, void (*entry)(void *context, const char *name, bool is_directory),
                void *context)
{
    (void)io;
    DIR *dir = opendir(path);
    if (!dir)
        return -errno;
    errno = 0;
    for (struct dirent *found = readdir(dir); found; errno = 0, found = readdir(dir)) {
        if (strcmp(found->d_name, ".") != 0 && strcmp(found->d_name, "..") != 0)
            entry(context, found->d_name, entry_is_directory(dir, found));
    }
    int32_t result = -errno; /* readdir's, 0 at the end */
    (void)closedir(dir);
    return result;
}

int32_t os_space(struct odk_io *io, const char *path, uint64_t *ret_free, uint64_t *ret_total)
{
    (void)io;
    struct statvfs info;
    if (statvfs(path, &info) < 0)
        return -errno;
    *ret_free = (uint64_t)info.f_bavail * info.f_frsize;
    *ret_total = (uint64_t)info.f_blocks * info.f_frsize;
    return 0;
}

int64_t os_modified_ms(struct odk_io *io, const char *path)
{
    (void)io;
    struct stat info;
    if (stat(path, &info) < 0)
        return -errno;
    return (int64_t)info.st_mtim.tv_sec * 1000 + info.st_mtim.tv_nsec / 1000000;
}
