/* SPDX-License-Identifier: Apache-2.0 */
/* error.h -- status codes and the error object that carries the detail.
 *
 * Every function that can fail returns enum ledge_status and takes, last, a struct ledge_error that
 * the caller owns (NULL is allowed: the code alone is then returned). Values are append-only and
 * never reused.
 */
#ifndef LEDGE_ERROR_H
#define LEDGE_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) || defined(__clang__)
#define LEDGE_API               __attribute__((visibility("default")))
#define LEDGE_NODISCARD         __attribute__((warn_unused_result))
#define LEDGE_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define LEDGE_API
#define LEDGE_NODISCARD
#define LEDGE_PRINTF(fmt, args)
#endif

/* X(name, value, text) */
#define LEDGE_STATUS_LIST(X)                                                                       \
    X(OK, 0, "ok")                                                                                 \
    X(ERR_ARG, 1, "invalid argument")                                                              \
    X(ERR_NOMEM, 2, "out of memory")                                                               \
    X(ERR_IO, 3, "input or output failed")                                                         \
    X(ERR_FORMAT, 4, "malformed data")                                                             \
    X(ERR_UNSUPPORTED, 5, "not supported")                                                         \
    X(ERR_SHAPE, 6, "shape mismatch")                                                              \
    X(ERR_DTYPE, 7, "data type mismatch")                                                          \
    X(ERR_RANGE, 8, "value out of range")                                                          \
    X(ERR_STATE, 9, "wrong state")                                                                 \
    X(ERR_NOT_FOUND, 10, "not found")                                                              \
    X(ERR_EXISTS, 11, "already exists")                                                            \
    X(ERR_AUTH, 12, "not authorised")                                                              \
    X(ERR_NETWORK, 13, "network failure")                                                          \
    X(ERR_TIMEOUT, 14, "timed out")                                                                \
    X(ERR_FULL, 15, "no space left")                                                               \
    X(ERR_CORRUPT, 16, "data is corrupt")                                                          \
    X(ERR_CANCELLED, 17, "cancelled")                                                              \
    X(ERR_INTERNAL, 18, "internal error")                                                          \
    X(ERR_GATE, 19, "gate not passed")

enum ledge_status {
#define LEDGE_STATUS_ENUM(name, value, text) LEDGE_##name = (value),
    LEDGE_STATUS_LIST(LEDGE_STATUS_ENUM)
#undef LEDGE_STATUS_ENUM
};

/* What went wrong, in one line that names what and where. FILLED by the failing call, untouched on
 * success. */
struct ledge_error {
    enum ledge_status status;
    char text[512];
};

/* The fixed text of a code, e.g. "shape mismatch"; never NULL. */
LEDGE_API const char *ledge_status_text(enum ledge_status status);

/* The name of a code, e.g. "ERR_SHAPE"; never NULL. */
LEDGE_API const char *ledge_status_name(enum ledge_status status);

#ifdef __cplusplus
}
#endif
#endif
