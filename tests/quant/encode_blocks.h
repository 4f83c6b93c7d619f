/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_QUANT_ENCODE_BLOCKS_H
#define STAGECOACH_TESTS_QUANT_ENCODE_BLOCKS_H
/* encode_blocks - every type of weights for tests: what tiny_model's encode may be. */
#include "base/buf.h"
#include "model/tensor.h"

void encode_blocks(enum tensor_type type, const float *x, size_t n, struct buf *out);

#endif
