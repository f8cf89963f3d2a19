/* SPDX-License-Identifier: Apache-2.0 */
/* ledge.h -- the whole public API in one include. */
#ifndef LEDGE_LEDGE_H
#define LEDGE_LEDGE_H

#include "ledge/custom.h"
#include "ledge/error.h"
#include "ledge/model.h"
#include "ledge/ops_library.h"
#include "ledge/session.h"
#include "ledge/tensor.h"
#include "ledge/version.h"

#endif
