/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/messages.h"

#include <inttypes.h>
#include <string.h>

#include "base/status.h"
#include "fleet/fields.h"

enum { MESSAGE_MAX = 8192 };

static enum ledge_status open_message(const void *text, size_t n, const char *what, json_t **object,
                                      struct ledge_error *err)
{
    json_t *read = NULL;
    int64_t v = 0;
    LEDGE_TRY(fleet_fields_parse(text, n, MESSAGE_MAX, what, &read, err));
    enum ledge_status status = fleet_field_int(read, what, "v", 1, 1, &v, err);
    if (status != LEDGE_OK) {
        json_decref(read);
        return status;
    }
    *object = read;
    return LEDGE_OK;
}

/* Text that fits and holds only letters, digits and "._-+": it is shown and stored elsewhere. */
static enum ledge_status get_word(const json_t *object, const char *what, const char *key,
                                  char *word, size_t size, struct ledge_error *err)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-+";
    const char *text;
    LEDGE_TRY(fleet_field_text(object, what, key, &text, err));
    if (strlen(text) >= size || strspn(text, letters) != strlen(text)) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "%s: \"%s\" is no word of at most %zu letters",
                          what, key, size - 1);
    }
    memcpy(word, text, strlen(text) + 1);
    return LEDGE_OK;
}

static enum ledge_status get_epoch(const json_t *object, const char *what,
                                   char epoch[FLEET_EPOCH_HEX], struct ledge_error *err)
{
    const char *text;
    LEDGE_TRY(fleet_field_text(object, what, "epoch", &text, err));
    if (strlen(text) != FLEET_EPOCH_HEX - 1 ||
        strspn(text, "0123456789abcdef") != FLEET_EPOCH_HEX - 1) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "%s: \"epoch\" is not 32 hexadecimal digits",
                          what);
    }
    memcpy(epoch, text, FLEET_EPOCH_HEX);
    return LEDGE_OK;
}

static enum ledge_status get_seq(const json_t *object, const char *what, const char *key,
                                 uint64_t *seq, struct ledge_error *err)
{
    int64_t value;
    LEDGE_TRY(fleet_field_int(object, what, key, 0, INT64_MAX / 2, &value, err));
    *seq = (uint64_t)value;
    return LEDGE_OK;
}

bool fleet_hello_write(const struct fleet_hello *h, struct ledge_buf *text)
{
    if (!h->online) {
        return ledge_buf_text(text, "{\"v\":1,\"online\":false}");
    }
    return ledge_buf_printf(text,
                            "{\"v\":1,\"online\":true,\"boot\":\"%s\",\"gen\":%" PRId64
                            ",\"seen\":%" PRId64 ",\"state\":\"%s\",\"epoch\":\"%s\",\"next\":"
                            "%" PRIu64 ",\"acked\":%" PRIu64 ",\"agent\":\"%s\",\"cpu\":\"%s\"}",
                            h->boot, h->gen, h->seen, h->state, h->epoch, h->next, h->acked,
                            h->agent, h->cpu);
}

static enum ledge_status parse_hello(const json_t *object, struct fleet_hello *h,
                                     struct ledge_error *err)
{
    const char *what = "hello";
    const json_t *online = json_object_get(object, "online");
    if (!json_is_boolean(online)) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "hello: \"online\" is missing or no boolean");
    }
    h->online = json_is_true(online);
    if (!h->online) {
        return LEDGE_OK;
    }
    LEDGE_TRY(get_word(object, what, "boot", h->boot, sizeof h->boot, err));
    LEDGE_TRY(fleet_field_int(object, what, "gen", 0, INT64_MAX / 2, &h->gen, err));
    LEDGE_TRY(fleet_field_int(object, what, "seen", 0, INT64_MAX / 2, &h->seen, err));
    LEDGE_TRY(get_word(object, what, "state", h->state, sizeof h->state, err));
    LEDGE_TRY(get_epoch(object, what, h->epoch, err));
    LEDGE_TRY(get_seq(object, what, "next", &h->next, err));
    LEDGE_TRY(get_seq(object, what, "acked", &h->acked, err));
    LEDGE_TRY(get_word(object, what, "agent", h->agent, sizeof h->agent, err));
    return get_word(object, what, "cpu", h->cpu, sizeof h->cpu, err);
}

enum ledge_status fleet_hello_parse(const void *text, size_t n, struct fleet_hello *hello,
                                    struct ledge_error *err)
{
    json_t *object = NULL;
    struct fleet_hello read = {.online = false};
    LEDGE_TRY(open_message(text, n, "hello", &object, err));
    enum ledge_status status = parse_hello(object, &read, err);
    json_decref(object);
    if (status == LEDGE_OK) {
        *hello = read;
    }
    return status;
}

bool fleet_ack_write(const struct fleet_ack *ack, struct ledge_buf *text)
{
    return ledge_buf_printf(text, "{\"v\":1,\"epoch\":\"%s\",\"seq\":%" PRIu64 "}", ack->epoch,
                            ack->seq);
}

enum ledge_status fleet_ack_parse(const void *text, size_t n, struct fleet_ack *ack,
                                  struct ledge_error *err)
{
    json_t *object = NULL;
    struct fleet_ack read;
    LEDGE_TRY(open_message(text, n, "ack", &object, err));
    enum ledge_status status = get_epoch(object, "ack", read.epoch, err);
    if (status == LEDGE_OK) {
        status = get_seq(object, "ack", "seq", &read.seq, err);
    }
    json_decref(object);
    if (status == LEDGE_OK) {
        *ack = read;
    }
    return status;
}

bool fleet_log_request_write(const struct fleet_log_request *request, struct ledge_buf *text)
{
    return ledge_buf_printf(text, "{\"v\":1,\"function\":\"%s\",\"limit\":%" PRId32 "}",
                            request->function, request->limit);
}

enum ledge_status fleet_log_request_parse(const void *text, size_t n,
                                          struct fleet_log_request *request,
                                          struct ledge_error *err)
{
    json_t *object = NULL;
    struct fleet_log_request read;
    int64_t limit = 200;
    LEDGE_TRY(open_message(text, n, "log-request", &object, err));
    enum ledge_status status =
        fleet_field_name(object, "log-request", "function", read.function, err);
    if (status == LEDGE_OK && json_object_get(object, "limit") != NULL) {
        status =
            fleet_field_int(object, "log-request", "limit", 1, FLEET_LOG_LINES_MAX, &limit, err);
    }
    json_decref(object);
    if (status == LEDGE_OK) {
        read.limit = (int32_t)limit;
        *request = read;
    }
    return status;
}
