/* SPDX-License-Identifier: Apache-2.0 */
/* late.h -- operators that only run late (plan/plan.h): control flow, and what takes or makes
 * something else than tensors of a shape that can be told. X(domain, operator, function in run/) */
#ifndef LEDGE_ENGINE_OPS_LATE_H
#define LEDGE_ENGINE_OPS_LATE_H

/* clang-format off */
#define LEDGE_LATE_LIST(X)                                                                         \
    X("", If, if) X("", Loop, loop) X("", Scan, scan)
/* clang-format on */

#endif
