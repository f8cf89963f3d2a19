/* SPDX-License-Identifier: Apache-2.0 */
/* demo_learn.h -- train, compress, evaluate, gate: by the same programs a user runs. */
#ifndef CLI_DEMO_DEMO_LEARN_H
#define CLI_DEMO_DEMO_LEARN_H

#include "cli/demo/demo_hub.h"

struct demo_lesson {
    const char *name;   /* "junior" */
    const char *recipe; /* below examples/ */
    const char *data;   /* folder below work to train and calibrate on */
    const char *test;   /* folder below work that is only tested on */
    const char *gate;   /* below examples/, or NULL: no gate */
    int threads;        /* 0: all cores */
};

struct demo_learned {
    char name[16];
    char int8_path[SYS_PATH];
    char report_path[SYS_PATH];
    double f32_top1, int8_top1; /* 0 .. 1 on the lesson's test folder */
    double all_top1;            /* on every class; FILLED by demo_evaluate() */
};

/* Train work/<name>/, quantise to work/<name>-int8.onnx, evaluate both, gate the int8 model against
 * the float one. Errors: ERR_GATE (says by how much), ERR_STATE (a program failed: names its log).
 */
LEDGE_NODISCARD enum ledge_status demo_learn(const struct demo_run *run,
                                             const struct demo_lesson *lesson,
                                             struct demo_learned *learned, struct ledge_error *err);

/* Top-1 of work/<name>-int8.onnx on work/<test>. */
LEDGE_NODISCARD enum ledge_status demo_evaluate(const struct demo_run *run, const char *name,
                                                const char *test, double *top1,
                                                struct ledge_error *err);

/* Push the int8 model with its report as the next version of "signs". */
LEDGE_NODISCARD enum ledge_status
demo_push(const struct demo_run *run, const struct demo_learned *learned, struct ledge_error *err);

#define DEMO_MODEL "signs"

#endif
