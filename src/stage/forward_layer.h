/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_STAGE_FORWARD_LAYER_H
#define STAGECOACH_STAGE_FORWARD_LAYER_H
/*
 * forward_layer - one layer of the forward pass. Private to forward.c.
 */
#include "stage/forward.h"

/* Runs all rows of the step through layer `index` of the range; cached is the layer's index in its
 * group's cache. x[n_rows][dim] is the residual stream. */
void forward_layer(struct forward *f, const struct step *step, uint32_t index, uint32_t cached,
		   float *x);

/* The norm of the model's layers and head; bias may be NULL. */
struct norm forward_norm(const struct model *model, const float *gain, const float *bias);

/* Whether layers need these of the arrays in struct forward. */
bool forward_needs_branch(const struct model *model);
bool forward_needs_normed2(const struct model *model);
bool forward_needs_up(const struct model *model);

#endif
