/* SPDX-License-Identifier: Apache-2.0 */
/* segment.h -- records and segments: the same bytes in the outbox's files, over MQTT and over HTTPS
 * (docs/records.md draws both tables).
 *
 * Flow:    function -> agent's outbox -> [segment] -> broker or HTTPS -> hub's ingest
 * Threads: any. Memory: none; what is read points into the caller's bytes (BORROWED).
 *
 * Segment header (64 bytes, little-endian):
 *   0 magic "LSG1" | 4 u16 version 1 | 6 u16 header bytes 64 | 8 epoch[16] | 24 u64 first seq
 *   32 u32 records (0: still appended to) | 36 u32 0 | 40 u64 created ms | 48 zeros | 60 u32
 * CRC-32C Record (32 bytes, then meta, then body): 0 u32 bytes of meta + body | 4 u32 CRC-32C of
 * bytes 8... | 8 u64 seq | 16 u64 time ms 24 u16 kind | 26 u16 class | 28 u32 bytes of meta | 32
 * meta, body */
#ifndef FLEET_SEGMENT_H
#define FLEET_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "ledge/error.h"

enum {
    FLEET_SEGMENT_HEADER = 64,
    FLEET_RECORD_HEADER = 32,
    FLEET_RECORD_MAX = 16 * 1024 * 1024, /* meta + body */
    FLEET_META_MAX = 64 * 1024,
    FLEET_KEY_MAX = 200, /* bytes of a producer's own id, "key" in the meta */
    FLEET_EPOCH = 16,
    FLEET_EPOCH_HEX = 33,
};

/* X(name, value on the wire) */
#define FLEET_RECORD_KINDS(X)                                                                      \
    X(prediction, 1)                                                                               \
    X(sample, 2)                                                                                   \
    X(alert, 3)                                                                                    \
    X(metric, 4)                                                                                   \
    X(log, 5)
#define FLEET_RECORD_CLASSES(X)                                                                    \
    X(critical, 0)                                                                                 \
    X(normal, 1)                                                                                   \
    X(bulk, 2)

enum fleet_kind {
#define FLEET_ENUM(name, value) FLEET_KIND_##name = (value),
    FLEET_RECORD_KINDS(FLEET_ENUM)
#undef FLEET_ENUM
};
enum fleet_class {
#define FLEET_ENUM(name, value) FLEET_CLASS_##name = (value),
    FLEET_RECORD_CLASSES(FLEET_ENUM)
#undef FLEET_ENUM
};

/* "prediction" <-> 1; NULL and false for what is not in the tables. */
const char *fleet_kind_name(int kind);
bool fleet_kind_parse(const char *name, int *kind);
const char *fleet_class_name(int class_of_service);
bool fleet_class_parse(const char *name, int *class_of_service);

struct fleet_segment_header {
    uint8_t epoch[FLEET_EPOCH];
    uint64_t first; /* seq of the first record */
    uint32_t count; /* 0: still appended to */
    int64_t created_ms;
};

struct fleet_record {
    uint64_t seq;
    int64_t time_ms;
    int kind;
    int class_of_service;
    const void *meta; /* JSON text, not NUL-terminated */
    size_t meta_bytes;
    const void *body;
    size_t body_bytes;
};

/* Bytes that a record takes. */
size_t fleet_record_size(const struct fleet_record *record);

/* Append; false when the buffer refuses, or the record is over the limits. */
bool fleet_segment_put_header(struct ledge_buf *buf, const struct fleet_segment_header *header);
bool fleet_record_put(struct ledge_buf *buf, const struct fleet_record *record);

/* The header at bytes. Errors: ERR_FORMAT (magic, version, size), ERR_CORRUPT (CRC). */
LEDGE_NODISCARD enum ledge_status fleet_segment_header_read(const void *bytes, size_t n,
                                                            struct fleet_segment_header *header,
                                                            struct ledge_error *err);

/* One record from a stream.
 *   FLEET_TAKE_RECORD  record FILLED, *used = its bytes
 *   FLEET_TAKE_MORE    *used = how many bytes are needed in all (so far as known)
 *   FLEET_TAKE_BAD     length, kind, class or CRC wrong: the stream ends here */
enum fleet_take { FLEET_TAKE_RECORD, FLEET_TAKE_MORE, FLEET_TAKE_BAD };
enum fleet_take fleet_record_take(const void *bytes, size_t n, struct fleet_record *record,
                                  size_t *used);

/* A whole, sealed segment: header, then exactly count records with seq first, first + 1, ... and
 * nothing behind them. each(arg, record) is called for every record after the whole segment was
 * checked, so a bad one has no effect at all; returning false stops (ERR_CANCELLED).
 * Errors: ERR_FORMAT, ERR_CORRUPT. */
LEDGE_NODISCARD enum ledge_status
fleet_segment_read(const void *bytes, size_t n, struct fleet_segment_header *header,
                   bool (*each)(void *arg, const struct fleet_record *record), void *arg,
                   struct ledge_error *err);

#endif
