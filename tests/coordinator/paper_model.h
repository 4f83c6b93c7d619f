/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_COORDINATOR_PAPER_MODEL_H
#define STAGECOACH_TESTS_COORDINATOR_PAPER_MODEL_H
/* paper_model - a model of tensors that have sizes but no bytes, for what plans with it. */
#include "model/model.h"

#define PAPER_MAX_LAYERS 9

/* Layer i has a matrix of layer_rows[i] rows of 64; embedding and head have n_vocab rows of 64.
 * Valid until the next call. */
const struct model *paper_model(uint32_t n_layers, const uint64_t *layer_rows, uint64_t n_vocab);

#endif
