/* SPDX-License-Identifier: Apache-2.0 */
/* split.h -- the options that say which labelled samples are meant; the same for every verb that
 * reads a data set. */
#ifndef CLI_SPLIT_H
#define CLI_SPLIT_H

#include "cli/cli.h"
#include "data/dataset.h"
#include "data/preprocess.h"

struct cli_split {
    const char *data;
    const char *kind;
    const char *labels;
    const char *split;
    double fraction;
    int64_t seed;
    bool stratified;
    const char *preprocess; /* JSON that goes over the model's own, or NULL */
    int64_t limit;
    struct cli_list classes; /* OWNED: cli_list_done() */
};

#define CLI_SPLIT_DEFAULT(part)                                                                    \
    {                                                                                              \
        .kind = "auto", .split = (part), .fraction = 0.2, .seed = 1                                \
    }

#define CLI_SPLIT_OPTIONS(s)                                                                       \
    {"data", 'd', CLI_TEXT, &(s).data, "PATH", "folder of classes, IDX file, or CSV table"},       \
        {"format", 0, CLI_TEXT, &(s).kind, "KIND", "image-folder, idx, csv (default: auto)"},      \
        {"labels", 0, CLI_TEXT, &(s).labels, "X", "file of labels, or a table's label column"},    \
        {"split", 's', CLI_TEXT, &(s).split, "PART", "val, train or all of the samples"},          \
        {"val-fraction", 0, CLI_NUMBER, &(s).fraction, "F", "share of val (default 0.2)"},         \
        {"seed", 0, CLI_INT, &(s).seed, "N", "of the split (default 1)"},                          \
        {"stratified", 0, CLI_FLAG, &(s).stratified, NULL, "the same share of each class"},        \
        {"class", 0, CLI_LIST, &(s).classes, "NAME", "only this class (repeatable)"},              \
        {"preprocess", 0, CLI_TEXT, &(s).preprocess, "JSON", "goes over the model's own"},         \
    {                                                                                              \
        "limit", 'n', CLI_INT, &(s).limit, "N", "at most N samples"                                \
    }

/* What data_set_open() takes; texts are BORROWED. Errors: ERR_ARG (err names the option). */
LEDGE_NODISCARD enum ledge_status
cli_split_spec(const struct cli_split *split, struct data_set_spec *spec, struct ledge_error *err);

/* --preprocess over *preprocess. Errors: ERR_ARG (err names the option). */
LEDGE_NODISCARD enum ledge_status
cli_split_preprocess(const char *json, struct data_preprocess *preprocess, struct ledge_error *err);

#endif
