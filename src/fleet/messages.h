/* SPDX-License-Identifier: Apache-2.0 */
/* messages.h -- hello, ack and log-request: both directions, so that hub and agent cannot differ.
 * (status and log are shown and stored as they are; the desired document has its own header.)
 *
 * Threads: any. Memory: none kept. */
#ifndef FLEET_MESSAGES_H
#define FLEET_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "fleet/names.h"
#include "fleet/segment.h"
#include "ledge/error.h"

struct fleet_hello {
    bool online;    /* false: the last will; nothing below is filled then */
    char boot[33];  /* hexadecimal, new at every start of the agent */
    int64_t gen;    /* running generation, 0: none */
    int64_t seen;   /* greatest generation received */
    char state[24]; /* name of a state of deploy_states.h */
    char epoch[FLEET_EPOCH_HEX];
    uint64_t next;  /* seq of the next record */
    uint64_t acked; /* highest seq freed */
    char agent[32]; /* version */
    char cpu[32];   /* kernel rung */
};
bool fleet_hello_write(const struct fleet_hello *hello, struct ledge_buf *text);
LEDGE_NODISCARD enum ledge_status
fleet_hello_parse(const void *text, size_t n, struct fleet_hello *hello, struct ledge_error *err);

struct fleet_ack {
    char epoch[FLEET_EPOCH_HEX];
    uint64_t seq; /* every record up to it is committed */
};
bool fleet_ack_write(const struct fleet_ack *ack, struct ledge_buf *text);
LEDGE_NODISCARD enum ledge_status fleet_ack_parse(const void *text, size_t n, struct fleet_ack *ack,
                                                  struct ledge_error *err);

enum { FLEET_LOG_LINES_MAX = 1000 };
struct fleet_log_request {
    char function[FLEET_NAME_SIZE];
    int32_t limit; /* 1..FLEET_LOG_LINES_MAX */
};
bool fleet_log_request_write(const struct fleet_log_request *request, struct ledge_buf *text);
LEDGE_NODISCARD enum ledge_status fleet_log_request_parse(const void *text, size_t n,
                                                          struct fleet_log_request *request,
                                                          struct ledge_error *err);

#endif
