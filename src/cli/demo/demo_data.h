/* SPDX-License-Identifier: Apache-2.0 */
/* demo_data.h -- find the demo's pictures and lay them out for the story.
 *
 * Flow:    --data | LEDGE_DATA | download | generator -> [demo_data.h] -> demo_story.h
 * Where the pictures come from is told in every output by `origin`; generated ones say SIMULATED.
 */
#ifndef CLI_DEMO_DEMO_DATA_H
#define CLI_DEMO_DEMO_DATA_H

#include <stdbool.h>
#include <stddef.h>

#include "ledge/error.h"

enum { DEMO_CLASSES = 10, DEMO_CAMERAS = 3, DEMO_JUNIOR_CLASSES = 3 };

struct demo_picture {
    char *path;      /* OWNED */
    char sha256[65]; /* of the file: the name it has on a camera, which gives nothing away */
    int label;       /* index into labels */
};

struct demo_data {
    struct demo_picture *pictures; /* OWNED, sorted by sha256 */
    size_t n;
    char labels[DEMO_CLASSES][32];
    int n_labels;
    char origin[256];
    bool simulated;
};

/* How many pictures each part of the story got. */
struct demo_split {
    int junior_train, camera, test, junior_test;
};

/* Find pictures: folder option (a folder of class folders) when given, else images/sign-digits
 * under LEDGE_DATA, else the download of Sign Language Digits into work/download, else generated
 * parts in work/generated. OWNED: demo_data_done(). Errors: ERR_NOT_FOUND, ERR_FORMAT (fewer than 4
 * classes, or too few pictures). */
LEDGE_NODISCARD enum ledge_status demo_data_find(const char *option, const char *work,
                                                 struct demo_data *data, struct ledge_error *err);
void demo_data_done(struct demo_data *data);

/* Write the generator's pictures into folder and read them. OWNED: demo_data_done(). */
LEDGE_NODISCARD enum ledge_status demo_data_generate(const char *folder, struct demo_data *data,
                                                     struct ledge_error *err);

/* Copy into work: test/<label>/ (20% of each class, never trained on), test-junior/<label>/ (those
 * of the first three classes), junior/<label>/ (half of what is left of the first three), cam-1 ..
 * cam-3/ (all other pictures, by digest, without labels). */
LEDGE_NODISCARD enum ledge_status demo_data_lay_out(const struct demo_data *data, const char *work,
                                                    struct demo_split *split,
                                                    struct ledge_error *err);

/* The true label of a picture by its digest, for the automatic labeller; NULL when it is none of
 * ours. */
const char *demo_data_label(const struct demo_data *data, const char *sha256);

#endif
