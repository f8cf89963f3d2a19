/* SPDX-License-Identifier: Apache-2.0 */
/* preprocess_model.c -- preprocessing of an opened model: apart, so that what needs no model does
 * not link one. */
#include "base/status.h"
#include "data/preprocess.h"

enum ledge_status data_preprocess_of_model(const struct ledge_model *model,
                                           struct data_preprocess *preprocess,
                                           struct ledge_error *err)
{
    struct ledge_tensor_info input;
    if (ledge_model_n_inputs(model) != 1 || ledge_model_input(model, 0, &input) != LEDGE_OK) {
        return ledge_fail(err, LEDGE_ERR_SHAPE, "model has %d inputs, one picture is needed",
                          (int)ledge_model_n_inputs(model));
    }
    struct data_preprocess made;
    const char *json = ledge_model_metadata(model, DATA_KEY_PREPROCESS);
    LEDGE_TRY(data_preprocess_guess(&input, &made, err));
    if (json != NULL) {
        LEDGE_TRY(data_preprocess_parse(json, &made, err));
    }
    *preprocess = made;
    return LEDGE_OK;
}
