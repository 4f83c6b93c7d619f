/* SPDX-License-Identifier: Apache-2.0 */
/* Model files: every key through every getter, every tensor row, and opening as a model. */
#include "tests/fuzz/fuzz.h"
#include "tests/model/broken_gguf.h"
#include "tests/model/read_gguf.h"
#include "tests/model/tiny_model.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = { .status = SC_OK };
	enum sc_status model_status;
	enum sc_status status;

	status = read_gguf(data, size, &model_status, &err);
	if (!status)
		status = model_status;
	/* A failure says what failed. */
	if (status != err.status || (status && strncmp(err.text, "memory: ", 8)))
		abort();
	return 0;
}

static void small_model(unsigned i, struct buf *seed)
{
	static const enum tensor_type types[] = { TENSOR_F32, TENSOR_F16, TENSOR_BF16, TENSOR_Q8_0,
						  TENSOR_Q4_0 };
	struct tiny_model tiny = i & 1 ? tiny_qwen2 : tiny_llama;

	tiny.type = types[i % 5];
	tiny.n_layers = 1;
	tiny.n_vocab = 264;
	tiny.dim = 32;
	tiny.ffn_dim = 32;
	tiny.n_heads = 2;
	tiny.n_kv_heads = 1;
	tiny.is_tied = i & 1;
	tiny.has_rope_factors = i & 2;
	tiny.rope_factor = i & 4 ? 2.0f : 1.0f;
	tiny_model_write(&tiny, seed);
}

bool fuzz_seed(unsigned i, struct buf *seed)
{
	const unsigned n_models = 8;

	if (i < n_models)
		small_model(i, seed);
	else if (i - n_models < n_broken_ggufs)
		broken_ggufs[i - n_models].make(seed);
	else
		return false;
	return true;
}
