/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/envelope.h"

#include <string.h>

#include "base/base64.h"
#include "base/digest.h"
#include "base/status.h"
#include "fleet/fields.h"
#include "fleet/names.h"

static const char domain[] = "ledge-desired-v1\n"; /* one signature is good for one purpose */

void fleet_keyid(const uint8_t public_key[FLEET_PUBLIC_KEY], char keyid[FLEET_KEYID_SIZE])
{
    uint8_t digest[LEDGE_SHA256_BYTES];
    ledge_sha256(public_key, FLEET_PUBLIC_KEY, digest);
    ledge_hex(digest, 8, keyid);
}

bool fleet_signed_bytes(const void *payload, size_t n, struct ledge_buf *bytes)
{
    return ledge_buf_text(bytes, domain) && ledge_buf_add(bytes, payload, n);
}

static enum ledge_status decode(const json_t *object, const char *key, struct ledge_buf *bytes,
                                struct ledge_error *err)
{
    const char *text;
    LEDGE_TRY(fleet_field_text(object, "envelope", key, &text, err));
    if (!ledge_base64_decode(text, strlen(text), bytes)) {
        return ledge_fail(err, LEDGE_ERR_FORMAT,
                          "envelope: \"%s\" is no base64 text of at most %zu"
                          " bytes",
                          key, bytes->max);
    }
    return LEDGE_OK;
}

static enum ledge_status parse_fields(const json_t *object, struct ledge_buf *payload,
                                      struct ledge_buf *sig, const char **keyid,
                                      struct ledge_error *err)
{
    LEDGE_TRY(fleet_field_text(object, "envelope", "keyid", keyid, err));
    if (strlen(*keyid) != FLEET_KEYID_SIZE - 1) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "envelope: \"keyid\" is not 16 digits");
    }
    LEDGE_TRY(decode(object, "payload", payload, err));
    LEDGE_TRY(decode(object, "sig", sig, err));
    if (sig->len != FLEET_SIGNATURE) {
        return ledge_fail(err, LEDGE_ERR_FORMAT, "envelope: a signature of %zu bytes", sig->len);
    }
    return LEDGE_OK;
}

enum ledge_status fleet_envelope_parse(const void *text, size_t n, struct fleet_envelope *envelope,
                                       struct ledge_error *err)
{
    json_t *object = NULL;
    const char *keyid = NULL;
    struct ledge_buf payload = LEDGE_BUF_INIT(FLEET_DOCUMENT_MAX);
    struct ledge_buf sig = LEDGE_BUF_INIT(FLEET_SIGNATURE);
    LEDGE_TRY(fleet_fields_parse(text, n, FLEET_PAYLOAD_MAX, "envelope", &object, err));
    enum ledge_status status = parse_fields(object, &payload, &sig, &keyid, err);
    if (status == LEDGE_OK) {
        envelope->payload = payload;
        memcpy(envelope->keyid, keyid, FLEET_KEYID_SIZE);
        memcpy(envelope->sig, sig.data, FLEET_SIGNATURE);
    } else {
        ledge_buf_done(&payload);
    }
    ledge_buf_done(&sig);
    json_decref(object);
    return status;
}

void fleet_envelope_done(struct fleet_envelope *envelope)
{
    ledge_buf_done(&envelope->payload);
}

enum ledge_status fleet_envelope_write(const void *payload, size_t n,
                                       const uint8_t public_key[FLEET_PUBLIC_KEY],
                                       const uint8_t sig[FLEET_SIGNATURE], struct ledge_buf *text,
                                       struct ledge_error *err)
{
    char keyid[FLEET_KEYID_SIZE];
    fleet_keyid(public_key, keyid);
    if (n > FLEET_DOCUMENT_MAX ||
        !ledge_buf_printf(text, "{\"keyid\":\"%s\",\"payload\":\"", keyid) ||
        !ledge_base64_encode(payload, n, text) || !ledge_buf_text(text, "\",\"sig\":\"") ||
        !ledge_base64_encode(sig, FLEET_SIGNATURE, text) || !ledge_buf_text(text, "\"}")) {
        return ledge_fail(err, LEDGE_ERR_FULL, "envelope: a document of %zu bytes is too large", n);
    }
    return LEDGE_OK;
}

static int add_piece(const char *bytes, size_t n, void *arg)
{
    return ledge_buf_add(arg, bytes, n) ? 0 : -1;
}

enum ledge_status fleet_canonical(const struct json_t *value, struct ledge_buf *text,
                                  struct ledge_error *err)
{
    size_t flags = JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY;
    return json_dump_callback(value, add_piece, text, flags) == 0
               ? LEDGE_OK
               : ledge_fail(err, LEDGE_ERR_FULL, "JSON text over %zu bytes", text->max);
}
