/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_COORDINATOR_PAPER_MODEL_H
#define STAGECOACH_TESTS_COORDINATOR_PAPER_MODEL_H
/* paper_model - a model of tensors that have sizes but no bytes, for what plans with it. */
#include "model/model.h"
#include "model/stage_sizes.h"

#define PAPER_MAX_LAYERS 9

/* Layer i has a matrix of layer_rows[i] rows of 64; embedding and head have n_vocab rows of 64.
 * Valid until the next call. */
const struct model *paper_model(uint32_t n_layers, const uint64_t *layer_rows, uint64_t n_vocab);

/* Gives the model of the last call a second group: all layers but every fourth have this window. */
void paper_model_add_window(uint32_t window);

/* Made-up numbers of that many equal workers, for blocks of 16 positions: 128 bytes of a position in
 * a layer. Each number is another one, so that none can stand for another. */
#define PAPER_SIZES {						\
	.fixed_bytes = 1 << 20, .head_bytes = 150000, .layer_bytes = 700,	\
	.caches = { { 16 * 128, 1100, 130, 50000, 23 }, { 16 * 64, 1200, 140, 60000, 29 },	\
		    { 16 * 32, 1300, 150, 70000, 31 }, { 16 * 16, 1400, 160, 80000, 37 } },	\
	.block_bytes = 17, .table_block_bytes = 19, .thread_bytes = 300000,	\
	.shared_most_bytes = 1 << 20, .token_block_bytes = 64, .draw_bytes = 90000,	\
	.draw_context_block_bytes = 128, .max_draw_threads = 16,	\
}
extern const struct stage_sizes paper_sizes[PAPER_MAX_LAYERS];

#endif
