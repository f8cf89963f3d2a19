/* SPDX-License-Identifier: Apache-2.0 */
/* untar.h -- unpack a POSIX ustar archive of plain files into a folder.
 *
 * Bytes are hostile: names with "..", absolute names, links and devices are refused, sizes are
 * checked against the archive. Source: IEEE Std 1003.1, pax, "ustar Interchange Format".
 */
#ifndef CLI_UNTAR_H
#define CLI_UNTAR_H

#include <stddef.h>

#include "ledge/error.h"

/* Unpack n bytes below folder (made if absent); *files is the number written. Errors: ERR_FORMAT
 * (names the entry), ERR_IO. */
LEDGE_NODISCARD enum ledge_status cli_untar(const void *bytes, size_t n, const char *folder,
                                            int *files, struct ledge_error *err);

#endif
