/*
 * Reads a topic's records in place, from another process than the server's: mappings of the segment files, no copy, no
 * socket. Prints one line for each record: partition, offset, timestamp and length of the value; then how many there were.
 *
 *   cc read_topic.c $(pkg-config --cflags --libs libodradek) -o read_topic
 *   ./read_topic /var/lib/odradek orders
 *
 * Exit code 1: something could not be read; where, is said on stderr.
 */
#include <stdio.h>
#include <string.h>

#include <odradek/inspect.h>

static void on_line(void *context, enum odk_diag_level level, const char *line)
{
    (void)context;
    (void)level;
    fprintf(stderr, "%s\n", line);
}

/* The records of one batch. Of a compressed one the iterator owns what came out until its end. */
static enum odk_err print_batch(int32_t partition, const struct odk_batch_at *batch, unsigned long long *count)
{
    struct odk_record_iter it;
    struct odk_record record;
    enum odk_err err = odk_batch_check_crc(batch->bytes);
    if (err != ODK_OK)
        return err;
    if (odk_record_iter_init(&it, batch->bytes, ODK_INSPECT_RECORDS_BYTES_MAX) == ODK_OK) {
        while (odk_record_next(&it, &record)) {
            printf("%d %lld %lld %zu\n", partition, (long long)record.offset, (long long)record.timestamp,
                   record.value.len);
            ++*count;
        }
    }
    return odk_record_iter_end(&it);
}

static enum odk_err print_partition(struct odk_dir *dir, const struct odk_part_name *name, unsigned long long *count)
{
    struct odk_part *part;
    struct odk_batch_at batch;
    enum odk_err err = odk_part_open(dir, name->folder, &part);
    if (err != ODK_OK)
        return err;
    struct odk_reader *reader = odk_reader_new(part);
    odk_reader_seek(reader, odk_part_start(part));
    while ((err = odk_reader_next(reader, &batch)) == ODK_OK)
        if ((err = print_batch(name->partition, &batch, count)) != ODK_OK)
            break;
    if (err == ODK_ERR_NOT_FOUND || err == ODK_ERR_TRUNCATED) /* the end; or a batch that is being written */
        err = ODK_OK;
    else
        fprintf(stderr, "%s: %s\n", name->folder, odk_err_text(err));
    odk_reader_free(reader);
    odk_part_close(part);
    return err;
}

int main(int argc, char **argv)
{
    struct odk_io_options options = { .kind = ODK_IO_POSIX };
    struct odk_diag diag = { .write = on_line, .least = ODK_DIAG_WARN };
    struct odk_io *io;
    struct odk_dir *dir;
    char why[256];
    size_t first;
    unsigned long long count = 0;
    int code = 0;
    if (argc != 3) {
        fprintf(stderr, "usage: read_topic DATA-DIR TOPIC\n");
        return 2;
    }
    if (odk_io_open(&options, &io, why, sizeof(why)) != ODK_OK) {
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    if (odk_dir_open(io, &diag, argv[1], &dir) != ODK_OK)
        return 1;
    size_t partitions = odk_dir_find(dir, odk_str_from(argv[2]), &first);
    for (size_t i = 0; i < partitions; i++)
        if (print_partition(dir, odk_dir_at(dir, first + i), &count) != ODK_OK)
            code = 1;
    printf("%llu records in %zu partitions\n", count, partitions);
    odk_dir_close(dir);
    io->ops->free(io);
    return code;
}
