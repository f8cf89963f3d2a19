/* SPDX-License-Identifier: Apache-2.0 */
/* rotate_files.h -- the files of a rotation: each function can be killed anywhere and called again.
 * Private to rotate*.c. */
#ifndef AGENT_ROTATE_FILES_H
#define AGENT_ROTATE_FILES_H

#include "agent/rotate.h"

const char *rotate_state_name(enum agent_rotate_state state);

/* The journal. Unreadable or absent: IDLE. */
enum agent_rotate_state rotate_read(const struct agent_config *config);
enum ledge_status rotate_write(const struct agent_config *config, enum agent_rotate_state state,
                               struct ledge_error *err);

/* next.key and next.csr, made once. csr: appended to. */
enum ledge_status rotate_prepare(const struct agent_config *config, struct ledge_buf *csr,
                                 struct ledge_error *err);
/* next.crt. Errors: ERR_FORMAT (not a certificate for next.key). */
enum ledge_status rotate_keep(const struct agent_config *config, const char *pem,
                              struct ledge_error *err);
enum ledge_status rotate_next_tls(const struct agent_config *config, struct sys_tls **tls,
                                  struct ledge_error *err);
/* device.* to prev.*, next.* to device.*; and prev.* to device.*. */
enum ledge_status rotate_switch(const struct agent_config *config, struct ledge_error *err);
enum ledge_status rotate_back(const struct agent_config *config, struct ledge_error *err);
bool rotate_has_old(const struct agent_config *config);
/* Remove next.* and prev.*. */
enum ledge_status rotate_tidy(const struct agent_config *config, struct ledge_error *err);

#endif
