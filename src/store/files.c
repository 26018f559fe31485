#include "store/files.h"

#include <stdlib.h>

void files_init(struct files *files, struct odk_io *io, uint32_t maps_max)
{
    *files = (struct files){ .io = io, .maps_max = maps_max };
    list_init(&files->idle);
}

static void map_close(struct files *files, struct file_map *map)
{
    ASSERT(map->pins == 0);
    list_remove(&map->link);
    if (map->home)
        *map->home = NULL;
    files->io->ops->unmap(files->io, &map->map);
    files->map_count--;
    free(map);
}

void files_deinit(struct files *files)
{
    if (!files->io)
        return;
    list_each(node, &files->idle) {
        map_close(files, list_entry(node, struct file_map, link));
    }
}

static enum odk_err map_open(struct files *files, const char *path, uint64_t len_min, struct file_map **ret_map)
{
    struct odk_io *io = files->io;
    int32_t file = io->ops->open(io, path, ODK_IO_READ);
    if (file < 0)
        return odk_err_from_errno(file);
    struct file_map *map = xcalloc(1, sizeof(*map));
    map->map.slot = -1;
    int64_t size = io->ops->size(io, file);
    enum odk_err err = ODK_OK;
    if (size < 0)
        err = odk_err_from_errno((int32_t)size);
    else if ((uint64_t)size < len_min)
        err = ODK_ERR_TRUNCATED;
    else if (size > 0)
        err = odk_err_from_errno(io->ops->map(io, file, (uint64_t)size, &map->map));
    (void)io->ops->close(io, file);
    if (err != ODK_OK) {
        free(map);
        return err;
    }
    *ret_map = map;
    return ODK_OK;
}

static enum odk_err map_replace(struct files *files, struct file_map **home, const char *path, uint64_t len_min)
{
    struct file_map *map = NULL;
    if (*home && (*home)->map.broken) /* the new one faults its pages again; the old one stays zeros */
        files_let_go(files, home);
    enum odk_err err = map_open(files, path, len_min, &map);
    if (err != ODK_OK)
        return err;
    files_let_go(files, home);
    map->home = home;
    *home = map;
    list_push_back(&files->idle, &map->link);
    files->map_count++;
    /* The newest stands last: it is never the one that goes. */
    while (files->map_count > files->maps_max && files->idle.next != &map->link)
        map_close(files, list_entry(files->idle.next, struct file_map, link));
    return ODK_OK;
}

enum odk_err files_map(struct files *files, struct file_map **home, const char *path, uint64_t len)
{
    if (*home && (*home)->map.len >= len && !(*home)->map.broken)
        return ODK_OK;
    return map_replace(files, home, path, len);
}

enum odk_err files_map_whole(struct files *files, struct file_map **home, const char *path)
{
    return *home ? ODK_OK : map_replace(files, home, path, 0);
}

void files_let_go(struct files *files, struct file_map **home)
{
    struct file_map *map = *home;
    if (!map)
        return;
    *home = NULL;
    map->home = NULL;
    if (map->pins == 0)
        map_close(files, map);
}

void file_map_pin(struct files *files, struct file_map *map)
{
    (void)files;
    list_remove(&map->link);
    map->pins++;
}

void file_map_unpin(struct files *files, struct file_map *map)
{
    ASSERT(map->pins > 0);
    if (--map->pins > 0)
        return;
    if (map->home)
        list_push_back(&files->idle, &map->link);
    else
        map_close(files, map);
}
