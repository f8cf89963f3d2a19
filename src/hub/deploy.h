/* SPDX-License-Identifier: Apache-2.0 */
/* deploy.h -- private to deploy.c (routes, states) and desired.c (documents). */
#ifndef HUB_DEPLOY_H
#define HUB_DEPLOY_H

#include "hub/hub.h"

/* Where a device stands before a new document is made for it. */
struct hub_base {
    bool known;
    int64_t gen;      /* of the document that the new one starts from; 0: none */
    int64_t next_gen; /* of the new one */
    json_t *document; /* OWNED; {} when there is none */
};

/* Errors: ERR_NOT_FOUND (no such device). */
LEDGE_NODISCARD enum ledge_status hub_desired_base(struct hub *hub, const char *device,
                                                   struct hub_base *base, struct ledge_error *err);

/* The stored document of a generation; {} for generation 0. OWNED. */
LEDGE_NODISCARD enum ledge_status hub_desired_document(struct hub *hub, const char *device,
                                                       int64_t gen, json_t **document,
                                                       struct ledge_error *err);

/* Lists as they stand in a document, from [{"name","version",…}] of a request; kind "model" or
 * "function". A missing version means the newest. Errors: ERR_FORMAT, ERR_NOT_FOUND. */
LEDGE_NODISCARD enum ledge_status hub_desired_units(struct hub *hub, const char *kind,
                                                    const json_t *asked, json_t **units,
                                                    struct ledge_error *err);

/* Replace or add each of `units` in list `key` of the document, by name. */
LEDGE_NODISCARD enum ledge_status hub_desired_merge(json_t *document, const char *key,
                                                    const json_t *units, struct ledge_error *err);

/* Inside a transaction: number, check, sign and store the document as the device's next generation.
 * Errors: ERR_RANGE (more than a device takes). */
LEDGE_NODISCARD enum ledge_status hub_desired_store(struct hub *hub, const char *device,
                                                    int64_t gen, json_t *document,
                                                    struct ledge_error *err);

#endif
