/* SPDX-License-Identifier: Apache-2.0 */
/* split.c -- options of a data set -> data_set_spec. */
#include "cli/split.h"

#include <string.h>

#include "base/status.h"

enum ledge_status cli_split_spec(const struct cli_split *split, struct data_set_spec *spec,
                                 struct ledge_error *err)
{
    static const char *const parts[] = {"all", "train", "val"}; /* as enum data_part */
    struct data_set_spec made = {.path = split->data,
                                 .labels = split->labels,
                                 .val_fraction = split->fraction,
                                 .seed = (uint64_t)split->seed,
                                 .stratified = split->stratified,
                                 .limit = split->limit,
                                 .classes = split->classes.items,
                                 .n_classes = (int32_t)split->classes.n};
    size_t part = 0;
    while (part < CLI_COUNT(parts) && strcmp(parts[part], split->split) != 0) {
        part++;
    }
    if (split->data == NULL) {
        return ledge_fail(err, LEDGE_ERR_ARG, "--data PATH is needed");
    }
    if (part == CLI_COUNT(parts)) {
        return ledge_fail(err, LEDGE_ERR_ARG, "--split: val, train or all, not '%s'", split->split);
    }
    if (!data_kind_parse(split->kind, &made.kind)) {
        return ledge_fail(err, LEDGE_ERR_ARG, "--format: image-folder, idx, csv or auto, not '%s'",
                          split->kind);
    }
    if (!(split->fraction >= 0 && split->fraction <= 1)) {
        return ledge_fail(err, LEDGE_ERR_ARG, "--val-fraction: '%g' is not 0 to 1",
                          split->fraction);
    }
    if (split->limit < 0 || split->seed < 0) {
        return ledge_fail(err, LEDGE_ERR_ARG, "%s: '%lld' is negative",
                          split->limit < 0 ? "the number of samples" : "--seed",
                          (long long)(split->limit < 0 ? split->limit : split->seed));
    }
    made.part = (enum data_part)part;
    *spec = made;
    return LEDGE_OK;
}

enum ledge_status cli_split_preprocess(const char *json, struct data_preprocess *preprocess,
                                       struct ledge_error *err)
{
    struct ledge_error why;
    return data_preprocess_parse(json, preprocess, &why) == LEDGE_OK
               ? LEDGE_OK
               : ledge_fail(err, LEDGE_ERR_ARG, "--preprocess: %s", why.text);
}
