/* SPDX-License-Identifier: Apache-2.0 */
/* select.h -- what a build of the library has in it. Everything, unless CMake was told
 * -DLEDGE_OPS=...: then ledge_selection.h (written by cmake/LedgeSelect.cmake) defines one name as
 * 1 for each thing that is wanted, what is not wanted leaves no entry in any table, and the linker
 * drops the functions that nothing refers to.
 *
 *   LEDGE_OP_<name>        operator of any domain but TFLite's;  LEDGE_OP_tfl_<name>  one of those
 *   LEDGE_PASS_<name>      pass of plan/passes.c or step of plan/plan.c that is not always there
 *   LEDGE_IMPORT_<format>  reader
 *   LEDGE_PART_FIXED       kernels' parts in fixed point: with any operator of TFLite
 *
 *   LEDGE_PART_<name>      other things that only some models or callers need:
 * cmake/LedgeSelect.cmake LEDGE_KERNEL_<name>    kernels that planning chose for a model, by names
 * without instruction set
 *
 *   LEDGE_KEEP(word)(tokens)   tokens where word is wanted, else nothing
 *   LEDGE_HAS(word)            1 where word is wanted, else 0: the compiler drops what hangs on it
 *   LEDGE_CHOSEN               1 where anything may be left out
 */
#ifndef LEDGE_ENGINE_PORT_SELECT_H
#define LEDGE_ENGINE_PORT_SELECT_H

#define LEDGE_KEEP_1(...) __VA_ARGS__
#ifndef LEDGE_SELECTED
#define LEDGE_KEEP(word) LEDGE_KEEP_1
#define LEDGE_HAS(word)  1
#define LEDGE_CHOSEN     0
#else
#include "ledge_selection.h"
/* A word that is defined is 1, and LEDGE_COMMA_##1 shifts the second argument along. */
#define LEDGE_COMMA_1           0,
#define LEDGE_SECOND(a, b, ...) b
#define LEDGE_IS_3(...)         LEDGE_SECOND(__VA_ARGS__)
#define LEDGE_IS_2(comma)       LEDGE_IS_3(comma 1, 0, 0)
#define LEDGE_IS_1(value)       LEDGE_IS_2(LEDGE_COMMA_##value)
#define LEDGE_KEEP_0(...)
#define LEDGE_KEEP_CHOSEN(is) LEDGE_KEEP_##is
#define LEDGE_KEEP_CHOOSE(is) LEDGE_KEEP_CHOSEN(is)
#define LEDGE_KEEP(word)      LEDGE_KEEP_CHOOSE(LEDGE_IS_1(word))
#define LEDGE_HAS(word)       LEDGE_IS_1(word)
#define LEDGE_CHOSEN          1
#endif

/* The loops of the consistent mode: no table of them where they are left out. */
#define LEDGE_CONSISTENT LEDGE_HAS(LEDGE_PART_CONSISTENT)

/* A kernel that only some models need; NULL where LEDGE_OPS left it out. */
#define LEDGE_KERNEL(word, function) (LEDGE_HAS(LEDGE_KERNEL_##word) ? (function) : NULL)

#endif
