/* SPDX-License-Identifier: Apache-2.0 */
/* base64.h -- RFC 4648 section 4: the standard alphabet, with padding, nothing else accepted. */
#ifndef LEDGE_BASE_BASE64_H
#define LEDGE_BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Append the text of n bytes; false when the buffer refuses. */
bool ledge_base64_encode(const void *bytes, size_t n, struct ledge_buf *text);

/* Append the bytes of n characters of text. False, with nothing appended, when the text is not
 * exactly what the encoder writes (length, alphabet, padding, zero spare bits), or the buffer
 * refuses. */
bool ledge_base64_decode(const char *text, size_t n, struct ledge_buf *bytes);

#endif
