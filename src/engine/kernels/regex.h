/* SPDX-License-Identifier: Apache-2.0 */
/* regex.h -- regular expressions for RegexFullMatch, in time linear in the text: a program for a
 * machine that follows all alternatives at once (Thompson 1968; Pike's form, Cox 2009). No
 * backtracking, so no text and no pattern takes long.
 *
 * RE2's syntax, as ONNX asks, but for Unicode classes (\p), \C and \Q: literals, . [] [^]
 * [:alpha:], \d \w \s \D \W \S \b \B \A \z ^ $, * + ? {m,n} (lazy ones match the same texts), |,
 * groups, flags i (ASCII), m, s. Text is UTF-8; a byte that is none counts as U+FFFD.
 */
#ifndef LEDGE_ENGINE_KERNELS_REGEX_H
#define LEDGE_ENGINE_KERNELS_REGEX_H

#include <stdbool.h>

#include "engine/kernels/kernel.h"

/* Instructions and ranges of characters that a pattern may take, and its groups' depth. */
enum { LEDGE_REGEX_MAX = 8192, LEDGE_REGEX_DEPTH = 64 };

enum ledge_regex_op {
    LEDGE_REGEX_MATCH,
    LEDGE_REGEX_CLASS,  /* a character in ranges a .. a + b - 1 */
    LEDGE_REGEX_JUMP,   /* to here + a */
    LEDGE_REGEX_SPLIT,  /* to here + a and to here + b */
    LEDGE_REGEX_ASSERT, /* goes on where `a` (see regex.c) holds */
};

struct ledge_regex_step {
    uint8_t op;
    bool negated, folded; /* CLASS */
    int16_t a, b;
};

struct ledge_regex_range {
    uint32_t low, high;
};

struct ledge_regex {
    struct ledge_regex_step *steps; /* room for LEDGE_REGEX_MAX */
    struct ledge_regex_range *ranges;
    int32_t n_steps, n_ranges;
};

/* Compile a NUL-terminated pattern. NULL, or what is wrong with it; *at is then the place. */
const char *ledge_regex_compile(struct ledge_regex *regex, const char *pattern, int32_t *at);

/* Bytes of scratch memory for one match. */
size_t ledge_regex_scratch(const struct ledge_regex *regex);

/* Does the whole text match? */
bool ledge_regex_match(const struct ledge_regex *regex, const char *text, size_t bytes,
                       void *scratch);

/* in {strings}, out {bool}; params struct ledge_regex. */
enum ledge_status ledge_regex_c(const struct ledge_kernel_call *call);

#endif
