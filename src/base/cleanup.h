/* SPDX-License-Identifier: Apache-2.0 */
/* cleanup.h -- scope-bound release for the hosted folders (gcc and clang). base, engine and fleet
 * use goto instead. */
#ifndef LEDGE_BASE_CLEANUP_H
#define LEDGE_BASE_CLEANUP_H

#define LEDGE_CLEANUP(function) __attribute__((cleanup(function)))

#endif
