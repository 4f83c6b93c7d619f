/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_MODEL_WINDOWS_H
#define STAGECOACH_TESTS_MODEL_WINDOWS_H
/* windows - a model whose layers see only so many positions, whatever its file says. */
#include "model/model.h"

/* Layer i gets windows[i % n]; 0: none. Layers of the same window are a group, in the order in which
 * they come. Call it before the model is used. */
void windows_set(struct model *model, const uint32_t *windows, uint32_t n);

#endif
