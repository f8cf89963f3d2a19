/* SPDX-License-Identifier: Apache-2.0 */
/* late.h -- operators that only run late (plan/plan.h): control flow, and what takes or makes
 * something else than tensors of a shape that can be told. X(domain, operator, function in run/) */
#ifndef LEDGE_ENGINE_OPS_LATE_H
#define LEDGE_ENGINE_OPS_LATE_H

#include "engine/graph/graph.h"

/* A Cast to strings: not the operator of that name but CastToString of the list. */
static inline bool ledge_late_is_text_cast(const struct ledge_node *node)
{
    return node->op[0] == 'C' && node->op[1] == 'a' && node->op[2] == 's' && node->op[3] == 't' &&
           node->op[4] == '\0' && ledge_node_int(node, "to", 0) == LEDGE_STRING;
}

/* clang-format off */
#define LEDGE_LATE_LIST(X)                                                                         \
    X("", If, if) X("", Loop, loop) X("", Scan, scan)                                              \
    X("", SequenceEmpty, sequence_empty) X("", SequenceConstruct, sequence_construct)              \
    X("", SequenceAt, sequence_at) X("", SequenceInsert, sequence_insert)                          \
    X("", SequenceErase, sequence_erase) X("", SequenceLength, sequence_length)                    \
    X("", SplitToSequence, split_to_sequence) X("", ConcatFromSequence, concat_from_sequence)      \
    X("", SequenceMap, sequence_map) X("", Optional, optional)                                     \
    X("", OptionalGetElement, optional_get) X("", OptionalHasElement, optional_has)                \
    X("", StringConcat, string_concat) X("", StringSplit, string_split)                            \
    X("", StringNormalizer, string_normalizer) X("ledge", CastToString, cast_to_string)
/* clang-format on */

#endif
