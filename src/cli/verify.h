/* SPDX-License-Identifier: Apache-2.0 */
/* verify.h -- one model with known answers: run it, compare.
 *
 * A case is a folder with model.onnx and test_data_set_N/{input,output}_I.pb, or with io.npz whose
 * arrays are named after the model's inputs and outputs. A data.json beside the model may hold rtol
 * and atol.
 */
#ifndef CLI_VERIFY_H
#define CLI_VERIFY_H

#include "cli/tensor_io.h"
#include "engine/graph/graph.h"

enum cli_verdict {
    CLI_PASS,
    CLI_UNSUPPORTED, /* refused with a line that says why */
    CLI_WRONG,       /* ran, another answer */
    CLI_BROKEN,      /* an error that is no refusal */
};

struct cli_case {
    enum cli_verdict verdict;
    int32_t sets; /* data sets compared */
    bool random;  /* made of random numbers: judged by shape and type, 0 and 1 as such */
    bool given;   /* some inputs had to be given as constants (shapes known only at run time) */
    double worst; /* greatest |a - b| over all outputs */
    struct ledge_error why; /* of the first that did not pass */
};

struct cli_verify_options {
    double rtol, atol;
    bool raw;        /* run the graph as it stands in the file: no passes */
    bool bf16;       /* hold weights so */
    bool consistent; /* with the numerics that are the same everywhere */
};

/* Run all data sets of one folder. */
void cli_verify_case(const char *folder, const struct cli_verify_options *options,
                     struct cli_case *result);

/* Is this a .tflite file with its known answer beside it (verify_csv.c)? */
bool cli_verify_is_csv(const char *model);

/* Run it and compare. */
void cli_verify_csv(const char *model, const struct cli_verify_options *options,
                    struct cli_case *result);

/* |a - b| <= atol + rtol * |b| for every element, same type and shape; NaN equals NaN. Errors:
 * ERR_DTYPE, ERR_SHAPE, ERR_RANGE (err names the first element). worst is raised to the greatest
 * difference. */
LEDGE_NODISCARD enum ledge_status cli_compare(const struct ledge_view *a,
                                              const struct ledge_view *b, double rtol, double atol,
                                              double *worst, struct ledge_error *err);

#endif
