/* SPDX-License-Identifier: Apache-2.0 */
/* banned.h -- calls that no code of this tree makes: included last by every .c that wants the
 * compiler to say so; tools/check_style.py finds them everywhere. */
#ifndef LEDGE_BASE_BANNED_H
#define LEDGE_BASE_BANNED_H
#if !defined(__clang__) /* its fortified headers make macros of them, which cannot be poisoned */
#pragma GCC poison strcpy strcat sprintf vsprintf gets strtok gmtime localtime rand srand
#endif
#endif
