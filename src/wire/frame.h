/*
 * The outside of a message: length prefix, request header, response header. Pure functions over bytes.
 *
 *     frame    := length:int32 header body
 *     request  := key:int16 version:int16 correlation_id:int32 client_id:string? [tags]
 *     response := correlation_id:int32 [tags]
 *
 * The bracketed tags are there in flexible versions (header v2 of requests, v1 of responses). client_id keeps its
 * two-byte length in both. Responses to ApiVersions never have the tags: the client that reads them may not know
 * yet which version it will get.
 */
#pragma once
#include "wire/out.h"
#include "wire/table.h"

#define FRAME_LENGTH_BYTES 4u

enum frame_result {
    FRAME_PARTIAL, /* more bytes are needed */
    FRAME_WHOLE,
    FRAME_REFUSED, /* length is negative, zero or above the limit: close the connection */
};

/*
 * Looks for one frame at the start of what was received.
 *
 * body_bytes_max  bound on the length, from wire_limits.h or stricter
 * ret_body        FRAME_WHOLE: the frame behind its length prefix, a view into received
 * ret_len         FRAME_WHOLE and FRAME_PARTIAL: bytes of the whole frame with its prefix; 0 while not even the prefix
 *                 is there
 */
enum frame_result frame_next(struct odk_bytes received, uint32_t body_bytes_max, struct odk_bytes *ret_body,
                             size_t *ret_len);

struct request_header {
    int16_t key;
    int16_t version;
    int32_t correlation_id;
    struct odk_str client_id; /* data NULL = null; a view into the frame */
};

enum header_result {
    HEADER_OK,              /* the body follows, in a version that can be read */
    HEADER_MALFORMED,       /* close */
    HEADER_UNKNOWN_KEY,     /* close */
    HEADER_UNKNOWN_VERSION, /* ApiVersions: answer in version 0 with error 35; else close */
};

/*
 * Reads the header and leaves the reader at the body.
 *
 * With UNKNOWN_KEY and UNKNOWN_VERSION, key, version and correlation_id are valid and nothing else has been read:
 * a version that is not known may have a header that is not known.
 */
enum header_result request_header_decode(struct request_header *ret, struct rd *r);

/* The server's side: length prefix and header of a response; the body follows through the generated encoder. */
void response_begin(struct out *out, int16_t key, int16_t version, int32_t correlation_id);
/* Completes the frame. False: it must not be sent. */
MUST_USE bool response_end(struct out *out);

/* The client's side. key and version must be known. */
void request_begin(struct out *out, const struct request_header *header);
MUST_USE bool request_end(struct out *out);
/* Reads the header of a response to (key, version), leaves the reader at the body. */
MUST_USE bool response_header_decode(struct rd *r, int16_t key, int16_t version, int32_t *ret_correlation_id);
