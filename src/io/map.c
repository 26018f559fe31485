#include "io/os.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "io/sigbus.h"

#define RESIDENT_PAGES 1024u /* asked at once */

size_t os_page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

void *os_mem_new(struct odk_io *io, size_t len)
{
    (void)io;
    void *mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return mem == MAP_FAILED ? NULL : mem;
}

void os_mem_free(struct odk_io *io, void *mem, size_t len)
{
    (void)io;
    if (!mem)
        return;
    int failed = munmap(mem, len);
    ASSERT(failed == 0);
}

int32_t os_map(struct odk_io *io, int32_t file, uint64_t len, struct odk_io_map *ret_map)
{
    (void)io;
    if (len == 0) {
        *ret_map = (struct odk_io_map){ .slot = -1 };
        return 0;
    }
    void *data = mmap(NULL, len, PROT_READ, MAP_SHARED, os_fd(file), 0);
    if (data == MAP_FAILED)
        return -errno;
    struct odk_io_map before = *ret_map;
    *ret_map = (struct odk_io_map){ .data = data, .len = len };
    int32_t slot = sigbus_watch(ret_map);
    if (slot < 0) {
        (void)munmap(data, len);
        *ret_map = before;
        return slot;
    }
    ret_map->slot = slot;
    return 0;
}

void os_unmap(struct odk_io *io, struct odk_io_map *map)
{
    (void)io;
    if (map->slot < 0 || !map->data)
        return;
    sigbus_forget(map->slot);
    struct iovec pages = os_pages(map->data, map->len);
    int failed = munmap(pages.iov_base, pages.iov_len);
    ASSERT(failed == 0);
    *map = (struct odk_io_map){ .slot = -1, .broken = map->broken };
}

struct iovec os_pages(const void *data, size_t len)
{
    uintptr_t begin = align_down((uintptr_t)data, os_page_bytes());
    uintptr_t end = align_up((uintptr_t)data + len, os_page_bytes());
    return (struct iovec){ .iov_base = (void *)begin, .iov_len = end - begin };
}

bool os_resident(struct odk_io *io, const void *data, size_t len)
{
    (void)io;
    const size_t page = os_page_bytes();
    struct iovec pages = os_pages(data, len);
    char *at = pages.iov_base;
    for (size_t left = pages.iov_len; left > 0;) {
        unsigned char present[RESIDENT_PAGES];
        size_t part = MIN(left, RESIDENT_PAGES * page);
        if (mincore(at, part, present) < 0)
            return false;
        for (size_t i = 0; i < part / page; i++) {
            if (!(present[i] & 1))
                return false;
        }
        at += part;
        left -= part;
    }
    return true;
}

int32_t os_prefault_result(int32_t result)
{
    return result == -EFAULT || result == -EHWPOISON ? -EIO : result;
}
