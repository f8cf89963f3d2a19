/* SPDX-License-Identifier: Apache-2.0 */
/* desired.c -- envelopes, desired-state documents and the small messages from hostile bytes.
 *
 * What is accepted must keep the promises its header makes: names that are safe file names, sizes
 * within the limits, a key for every function. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fleet/desired.h"
#include "fleet/envelope.h"
#include "fleet/messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool good)
{
    if (!good) {
        abort();
    }
}

static void check_document(const void *data, size_t size)
{
    static struct fleet_desired d;
    if (fleet_desired_parse(data, size, &d, NULL) != LEDGE_OK) {
        return;
    }
    require(d.gen > 0 && fleet_device_name_ok(d.device) && d.n_models <= FLEET_MODELS_MAX);
    for (size_t i = 0; i < d.n_models; i++) {
        require(fleet_name_ok(d.models[i].name) && fleet_name_ok(d.models[i].file) &&
                fleet_digest_ok(d.models[i].blob.sha256) && d.models[i].blob.size >= 0 &&
                d.models[i].blob.size <= FLEET_MODEL_MAX_BYTES);
    }
    for (size_t i = 0; i < d.n_functions; i++) {
        char key[65];
        require(fleet_function_key(&d.functions[i], key, NULL) == LEDGE_OK && fleet_digest_ok(key));
    }
    fleet_desired_done(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fleet_envelope envelope;
    struct fleet_hello hello;
    struct fleet_ack ack;
    struct fleet_log_request request;
    check_document(data, size);
    if (fleet_envelope_parse(data, size, &envelope, NULL) == LEDGE_OK) {
        check_document(envelope.payload.data, envelope.payload.len);
        fleet_envelope_done(&envelope);
    }
    if (fleet_hello_parse(data, size, &hello, NULL) == LEDGE_OK && hello.online) {
        struct ledge_buf text = LEDGE_BUF_INIT(4096);
        require(fleet_hello_write(&hello, &text));
        require(fleet_hello_parse(text.data, text.len, &hello, NULL) == LEDGE_OK);
        ledge_buf_done(&text);
    }
    if (fleet_ack_parse(data, size, &ack, NULL) == LEDGE_OK) {
        require(strlen(ack.epoch) == FLEET_EPOCH_HEX - 1);
    }
    if (fleet_log_request_parse(data, size, &request, NULL) == LEDGE_OK) {
        require(fleet_name_ok(request.function) && request.limit > 0);
    }
    return 0;
}
