/*
 * Goal: what any client's library packs comes out again; what is damaged, cut, doubled or endless does not, and costs
 * no more than its bound. Method: the codecs' own libraries pack random data of many sizes; bombs of 1 GiB and more,
 * measured by peak memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <lz4frame.h>
#include <snappy-c.h>
#include <sys/resource.h>
#include <zlib.h>
#include <zstd.h>

#include "base/prng.h"
#include "base/units.h"
#include "golden_kafka.h"
#include "store/compress.h"
#include "views.h"

enum packing { PACK_GZIP, PACK_SNAPPY, PACK_XERIAL, PACK_LZ4, PACK_ZSTD, PACK_COUNT };

static const enum odk_codec codec_of[PACK_COUNT] = {
    ODK_CODEC_GZIP, ODK_CODEC_SNAPPY, ODK_CODEC_SNAPPY, ODK_CODEC_LZ4, ODK_CODEC_ZSTD,
};

struct packed {
    uint8_t *data;
    size_t len;
};

static struct odk_bytes view_of(struct packed packed)
{
    return (struct odk_bytes){ packed.data, packed.len };
}

/* -- packing ------------------------------------------------------------------------------------------------------ */

static struct packed pack_gzip(struct odk_bytes plain)
{
    z_stream stream = { .next_in = (Bytef *)(uintptr_t)plain.data, .avail_in = (uInt)plain.len };
    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t capacity = deflateBound(&stream, plain.len);
    struct packed packed = { malloc(capacity), 0 };
    stream.next_out = packed.data;
    stream.avail_out = (uInt)capacity;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    packed.len = stream.total_out;
    deflateEnd(&stream);
    return packed;
}

static struct packed pack_snappy(struct odk_bytes plain)
{
    struct packed packed = { malloc(snappy_max_compressed_length(plain.len)), snappy_max_compressed_length(plain.len) };
    assert_int_equal(snappy_compress((const char *)plain.data, plain.len, (char *)packed.data, &packed.len), SNAPPY_OK);
    return packed;
}

static void append(struct packed *packed, const void *data, size_t len)
{
    packed->data = realloc(packed->data, packed->len + len);
    assert_non_null(packed->data);
    memcpy(packed->data + packed->len, data, len);
    packed->len += len;
}

static void append_chunk(struct packed *packed, struct odk_bytes chunk)
{
    uint32_t len = __builtin_bswap32((uint32_t)chunk.len);
    append(packed, &len, 4);
    append(packed, chunk.data, chunk.len);
}

#define XERIAL_HEADER "\x82SNAPPY\0\0\0\0\1\0\0\0\1"

static struct packed pack_xerial(struct odk_bytes plain)
{
    struct packed packed = { 0 };
    append(&packed, XERIAL_HEADER, 16);
    for (size_t at = 0; at < plain.len; at += 32768) {
        struct packed chunk = pack_snappy((struct odk_bytes){ plain.data + at, MIN(plain.len - at, 32768) });
        append_chunk(&packed, view_of(chunk));
        free(chunk.data);
    }
    return packed;
}

static struct packed pack_lz4(struct odk_bytes plain)
{
    LZ4F_preferences_t preferences = { .frameInfo = { .contentChecksumFlag = LZ4F_contentChecksumEnabled } };
    size_t capacity = LZ4F_compressFrameBound(plain.len, &preferences);
    struct packed packed = { malloc(capacity), 0 };
    packed.len = LZ4F_compressFrame(packed.data, capacity, plain.data, plain.len, &preferences);
    assert_false(LZ4F_isError(packed.len));
    return packed;
}

static struct packed pack_zstd(struct odk_bytes plain)
{
    size_t capacity = ZSTD_compressBound(plain.len);
    struct packed packed = { malloc(capacity), 0 };
    packed.len = ZSTD_compress(packed.data, capacity, plain.data, plain.len, 3);
    assert_false(ZSTD_isError(packed.len));
    return packed;
}

static struct packed pack(enum packing packing, struct odk_bytes plain)
{
    switch (packing) {
    case PACK_GZIP: return pack_gzip(plain);
    case PACK_SNAPPY: return pack_snappy(plain);
    case PACK_XERIAL: return pack_xerial(plain);
    case PACK_LZ4: return pack_lz4(plain);
    case PACK_ZSTD: return pack_zstd(plain);
    case PACK_COUNT: break;
    }
    fail();
    return (struct packed){ 0 };
}

/* Random bytes of few values in runs, so that every codec finds something. */
static uint8_t *plain_of(size_t len, struct prng *prng)
{
    uint8_t *plain = malloc(len + 1);
    for (size_t i = 0; i < len;) {
        size_t run = (size_t)prng_between(prng, 1, 40);
        bool noise = prng_chance(prng, 300000);
        uint8_t value = (uint8_t)prng_next(prng);
        for (; run > 0 && i < len; run--)
            plain[i++] = noise ? (uint8_t)prng_next(prng) : value;
    }
    return plain;
}

static enum odk_err unpack_err(enum packing packing, struct odk_bytes src, size_t bytes_max)
{
    uint8_t *data = NULL;
    size_t len = 0;
    enum odk_err err = decompress(codec_of[packing], src, bytes_max, &data, &len);
    if (err == ODK_OK)
        assert_in_range(len, 0, bytes_max);
    free(data);
    return err;
}

/* -- claims ------------------------------------------------------------------------------------------------------- */

static void assert_comes_back(enum packing packing, struct odk_bytes plain)
{
    struct packed packed = pack(packing, plain);
    uint8_t *data = NULL;
    size_t len = 0;
    assert_int_equal(decompress(codec_of[packing], view_of(packed), plain.len, &data, &len), ODK_OK);
    assert_int_equal(len, plain.len);
    assert_memory_equal(data, plain.data, len);
    free(data);
    if (plain.len > 0)
        assert_int_equal(unpack_err(packing, view_of(packed), plain.len - 1), ODK_ERR_TOO_LARGE);
    assert_int_equal(unpack_err(packing, view_of(packed), (size_t)GIB(4)), ODK_OK);
    free(packed.data);
}

static void what_is_packed_comes_back(void **state)
{
    (void)state;
    static const size_t lens[] = { 1, 2, 100, 4095, 4096, 4097, 32768, 32769, 65536, 100000, 1000000 };
    struct prng prng = { 20240717 };
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        uint8_t *plain = plain_of(lens[i], &prng);
        for (enum packing packing = 0; packing < PACK_COUNT; packing++)
            assert_comes_back(packing, (struct odk_bytes){ plain, lens[i] });
        free(plain);
    }
}

/* What we pack comes out of our own unpacking at every level, in no more than the bound, and in nothing less than it
 * needs. That others can read it is the clients' to show (tests/e2e). */
static void assert_packs(enum odk_codec codec, int level, struct odk_bytes plain)
{
    size_t bound = compress_bound(codec, plain.len), len = 0, plain_len = 0;
    uint8_t *packed = malloc(bound + 1), *data = NULL;
    packed[bound] = 0x5a;
    assert_int_equal(compress_records(codec, level, plain, packed, bound, &len), ODK_OK);
    assert_in_range(len, 1, bound);
    assert_int_equal(packed[bound], 0x5a);
    struct odk_bytes view = { packed, len };
    assert_int_equal(decompress(codec, view, plain.len, &data, &plain_len), ODK_OK);
    assert_int_equal(plain_len, plain.len);
    assert_memory_equal(data, plain.data, plain.len);
    free(data);
    size_t again = 0;
    packed[len - 1] = 0x5a;
    assert_int_equal(compress_records(codec, level, plain, packed, len - 1, &again), ODK_ERR_TOO_LARGE);
    assert_int_equal(packed[len - 1], 0x5a);
    free(packed);
}

static void what_we_pack_comes_back(void **state)
{
    (void)state;
    static const size_t lens[] = { 1, 100, 32767, 32768, 32769, 100000 };
    static const struct {
        enum odk_codec codec;
        int level;
    } ways[] = {
        { ODK_CODEC_GZIP, -1 },    { ODK_CODEC_GZIP, 1 }, { ODK_CODEC_GZIP, 9 },  { ODK_CODEC_SNAPPY, 0 },
        { ODK_CODEC_LZ4, 9 },      { ODK_CODEC_LZ4, 1 },  { ODK_CODEC_LZ4, 17 },  { ODK_CODEC_ZSTD, 3 },
        { ODK_CODEC_ZSTD, -131072 }, { ODK_CODEC_ZSTD, 22 },
    };
    struct prng prng = { 20241130 };
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        uint8_t *plain = plain_of(lens[i], &prng);
        for (size_t w = 0; w < sizeof(ways) / sizeof(ways[0]); w++)
            assert_packs(ways[w].codec, ways[w].level, (struct odk_bytes){ plain, lens[i] });
        free(plain);
    }
}

/* Noise does not shrink: the bounds must hold all the same. */
static void noise_fits_its_bound(void **state)
{
    (void)state;
    struct prng prng = { 4 };
    uint8_t *noise = malloc(200000);
    for (size_t i = 0; i < 200000; i++)
        noise[i] = (uint8_t)prng_next(&prng);
    for (size_t len = 1; len <= 200000; len = len * 3 + 1)
        for (enum odk_codec codec = ODK_CODEC_GZIP; codec <= ODK_CODEC_ZSTD; codec++)
            assert_packs(codec, 1, (struct odk_bytes){ noise, len });
    free(noise);
}

static void higher_levels_pack_tighter(void **state)
{
    (void)state;
    struct prng prng = { 5 };
    uint8_t *plain = plain_of(300000, &prng), *packed = malloc(600000);
    static const struct {
        enum odk_codec codec;
        int low, high;
    } rows[] = { { ODK_CODEC_GZIP, 1, 9 }, { ODK_CODEC_LZ4, 9, 12 }, { ODK_CODEC_ZSTD, -50, 19 } };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct odk_bytes src = { plain, 300000 };
        size_t low = 0, high = 0;
        assert_int_equal(compress_records(rows[i].codec, rows[i].low, src, packed, 600000, &low), ODK_OK);
        assert_int_equal(compress_records(rows[i].codec, rows[i].high, src, packed, 600000, &high), ODK_OK);
        assert_true(high < low);
    }
    free(packed);
    free(plain);
}

static void nothing_comes_back_as_nothing(void **state)
{
    (void)state;
    for (enum packing packing = 0; packing < PACK_COUNT; packing++)
        assert_comes_back(packing, (struct odk_bytes){ (const uint8_t *)"", 0 });
}

static void every_cut_is_noticed(void **state)
{
    (void)state;
    struct prng prng = { 7 };
    uint8_t *plain = plain_of(3000, &prng);
    for (enum packing packing = 0; packing < PACK_COUNT; packing++) {
        if (packing == PACK_XERIAL)
            continue; /* has no end mark: a cut between chunks is seen by the record walk */
        struct packed packed = pack(packing, (struct odk_bytes){ plain, 3000 });
        for (size_t len = 0; len < packed.len; len++) {
            uint8_t *cut = copy_of((struct odk_bytes){ packed.data, len });
            assert_int_not_equal(unpack_err(packing, (struct odk_bytes){ cut, len }, (size_t)MIB(1)), ODK_OK);
            free(cut);
        }
        free(packed.data);
    }
    free(plain);
}

static void bytes_behind_the_end_are_refused(void **state)
{
    (void)state;
    struct prng prng = { 8 };
    uint8_t *plain = plain_of(3000, &prng);
    for (enum packing packing = 0; packing < PACK_COUNT; packing++) {
        struct packed packed = pack(packing, (struct odk_bytes){ plain, 3000 });
        size_t len = packed.len;
        append(&packed, "\0", 1);
        assert_int_equal(unpack_err(packing, view_of(packed), (size_t)MIB(1)), ODK_ERR_CORRUPT);
        packed.len = len;
        struct packed second = pack(packing, (struct odk_bytes){ plain, 3000 });
        append(&packed, second.data, second.len);
        assert_int_equal(unpack_err(packing, view_of(packed), (size_t)MIB(1)), ODK_ERR_CORRUPT);
        free(second.data);
        free(packed.data);
    }
    free(plain);
}

static void xerial_lengths_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *tail;
        size_t len;
    } bad[] = {
        { "\x7f\xff\xff\xff\1", 5 }, { "\xff\xff\xff\xff\1", 5 },           { "\0\0\0\0", 4 }, { "\0\0\0", 3 },
        { "\0\0\0\2\1", 5 },         { "\0\0\0\5\xff\xff\xff\xff\x0f", 9 }, /* a block of 5 bytes that claims 4 GiB */
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct packed packed = { 0 };
        append(&packed, XERIAL_HEADER, 16);
        append(&packed, bad[i].tail, bad[i].len);
        assert_int_equal(unpack_err(PACK_XERIAL, view_of(packed), (size_t)GIB(8)), ODK_ERR_CORRUPT);
        free(packed.data);
    }
    assert_int_equal(unpack_err(PACK_XERIAL, (struct odk_bytes){ (const uint8_t *)XERIAL_HEADER, 16 }, 10), ODK_OK);
}

static void other_frames_are_refused(void **state)
{
    (void)state;
    static const uint8_t zstd_skippable[] = { 0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4 };
    assert_int_equal(unpack_err(PACK_ZSTD, VIEW(zstd_skippable), 100), ODK_ERR_CORRUPT);
    assert_int_equal(unpack_err(PACK_LZ4, VIEW(zstd_skippable), 100), ODK_ERR_CORRUPT);
    static const uint8_t zlib_not_gzip[] = { 0x78, 0x9c, 0x03, 0x00, 0x00, 0x00, 0x00, 0x01 };
    assert_int_equal(unpack_err(PACK_GZIP, VIEW(zlib_not_gzip), 100), ODK_ERR_CORRUPT);
    uint8_t *data;
    size_t len;
    assert_int_equal(decompress((enum odk_codec)5, VIEW(zlib_not_gzip), 100, &data, &len), ODK_ERR_UNSUPPORTED);
}

static void a_wider_window_than_kafkas_is_refused(void **state)
{
    (void)state;
    /* Frame header with a window descriptor: exponent << 3, window 2^(10 + exponent); one empty last block. */
    uint8_t frame[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x00, 17 << 3, 0x01, 0x00, 0x00 };
    assert_int_equal(unpack_err(PACK_ZSTD, VIEW(frame), 100), ODK_OK);
    frame[5] = 18 << 3;
    assert_int_equal(unpack_err(PACK_ZSTD, VIEW(frame), 100), ODK_ERR_CORRUPT);
}

/* -- bombs -------------------------------------------------------------------------------------------------------- */

#define BOMB_BYTES GIB(1)
#define PIECE      ((size_t)MIB(1))

/* 1 MiB of zeros deflated up to a byte boundary, repeated; the end is never reached. */
static struct packed bomb_gzip(void)
{
    uint8_t *zeros = calloc(PIECE, 1);
    uint8_t *piece = malloc(PIECE);
    struct packed bomb = { 0 };
    z_stream stream = { .next_out = piece, .avail_out = (uInt)PIECE };
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    for (int i = 0; i < 2; i++) {
        stream.next_in = zeros;
        stream.avail_in = (uInt)PIECE;
        stream.next_out = piece;
        stream.avail_out = (uInt)PIECE;
        assert_int_equal(deflate(&stream, Z_FULL_FLUSH), Z_OK);
        append(&bomb, piece, PIECE - stream.avail_out);
    }
    for (uint64_t bytes = 2 * PIECE; bytes < BOMB_BYTES; bytes += PIECE)
        append(&bomb, piece, PIECE - stream.avail_out);
    deflateEnd(&stream);
    free(piece);
    free(zeros);
    return bomb;
}

/* One literal, then copies of 64 bytes in 3 bytes each: as dense as the format gets. */
static struct packed bomb_snappy(uint64_t bytes)
{
    struct packed bomb = { malloc((size_t)(bytes / 64 * 3 + 16)), 0 };
    uint64_t left = bytes;
    for (; left >= 0x80; left >>= 7)
        bomb.data[bomb.len++] = (uint8_t)(left | 0x80);
    bomb.data[bomb.len++] = (uint8_t)left;
    bomb.data[bomb.len++] = 0;
    bomb.data[bomb.len++] = 0;
    for (uint64_t at = 1; at < bytes; at += 64) {
        uint64_t run = bytes - at < 64 ? bytes - at : 64;
        bomb.data[bomb.len++] = (uint8_t)(((run - 1) << 2) | 2);
        bomb.data[bomb.len++] = 1;
        bomb.data[bomb.len++] = 0;
    }
    return bomb;
}

static struct packed bomb_xerial(void)
{
    struct packed chunk = bomb_snappy(PIECE);
    struct packed bomb = { 0 };
    append(&bomb, XERIAL_HEADER, 16);
    for (uint64_t bytes = 0; bytes < MIB(64); bytes += PIECE)
        append_chunk(&bomb, view_of(chunk));
    free(chunk.data);
    return bomb;
}

static struct packed bomb_lz4(void)
{
    uint8_t *zeros = calloc(PIECE, 1);
    LZ4F_cctx *context;
    LZ4F_preferences_t preferences = { .frameInfo = { .blockSizeID = LZ4F_max4MB }, .autoFlush = 1 };
    size_t capacity = LZ4F_compressBound(PIECE, &preferences);
    uint8_t *piece = malloc(capacity);
    struct packed bomb = { 0 };
    assert_false(LZ4F_isError(LZ4F_createCompressionContext(&context, LZ4F_VERSION)));
    append(&bomb, piece, LZ4F_compressBegin(context, piece, capacity, &preferences));
    for (uint64_t bytes = 0; bytes < BOMB_BYTES; bytes += PIECE)
        append(&bomb, piece, LZ4F_compressUpdate(context, piece, capacity, zeros, PIECE, NULL));
    append(&bomb, piece, LZ4F_compressEnd(context, piece, capacity, NULL));
    LZ4F_freeCompressionContext(context);
    free(piece);
    free(zeros);
    return bomb;
}

static struct packed bomb_zstd(void)
{
    uint8_t *zeros = calloc(PIECE, 1);
    uint8_t *piece = malloc(PIECE);
    struct packed bomb = { 0 };
    ZSTD_CCtx *context = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 27); /* the widest that is taken */
    for (uint64_t bytes = 0; bytes < BOMB_BYTES; bytes += PIECE) {
        ZSTD_inBuffer in = { zeros, PIECE, 0 };
        ZSTD_outBuffer out = { piece, PIECE, 0 };
        ZSTD_EndDirective end = bytes + PIECE < BOMB_BYTES ? ZSTD_e_flush : ZSTD_e_end;
        assert_int_equal(ZSTD_compressStream2(context, &out, &in, end), 0);
        append(&bomb, piece, out.pos);
    }
    ZSTD_freeCCtx(context);
    free(piece);
    free(zeros);
    return bomb;
}

static size_t peak_bytes(void)
{
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return (size_t)usage.ru_maxrss * 1024;
}

#define BOMB_BYTES_MAX  ((size_t)MIB(4))
#define BOMB_MEMORY_MAX ((size_t)MIB(64)) /* a sanitizer keeps freed memory for a while */

static void bombs_stop_at_the_bound(void **state)
{
    (void)state;
    struct packed bombs[PACK_COUNT] = { bomb_gzip(), bomb_snappy(BOMB_BYTES), bomb_xerial(), bomb_lz4(), bomb_zstd() };
    for (enum packing packing = 0; packing < PACK_COUNT; packing++) {
        size_t before = peak_bytes();
        assert_int_equal(unpack_err(packing, view_of(bombs[packing]), BOMB_BYTES_MAX), ODK_ERR_TOO_LARGE);
        assert_in_range(peak_bytes() - before, 0, BOMB_MEMORY_MAX);
        free(bombs[packing].data);
    }
}

static void what_java_framed_comes_back(void **state)
{
    (void)state;
    uint8_t *data;
    size_t len;
    struct odk_bytes records = { golden_snappy_large + 61, sizeof(golden_snappy_large) - 61 };
    assert_memory_equal(records.data, "\x82SNAPPY", 7);
    assert_int_equal(decompress(ODK_CODEC_SNAPPY, records, 50000, &data, &len), ODK_OK);
    assert_in_range(len, 40001, 40020); /* the value, and what frames one record */
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_packed_comes_back),
        cmocka_unit_test(what_we_pack_comes_back),
        cmocka_unit_test(noise_fits_its_bound),
        cmocka_unit_test(higher_levels_pack_tighter),
        cmocka_unit_test(nothing_comes_back_as_nothing),
        cmocka_unit_test(every_cut_is_noticed),
        cmocka_unit_test(bytes_behind_the_end_are_refused),
        cmocka_unit_test(xerial_lengths_are_checked),
        cmocka_unit_test(other_frames_are_refused),
        cmocka_unit_test(a_wider_window_than_kafkas_is_refused),
        cmocka_unit_test(bombs_stop_at_the_bound),
        cmocka_unit_test(what_java_framed_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
