/* SPDX-License-Identifier: Apache-2.0 */
/* Samples of tensors' bytes. Few pages are read, so this is fast also for a file that is not in the
 * kernel's cache. */
#include "model/model.h"

#include "base/integers.h"

#include <xxhash.h>

enum {
	PIECES = 3,		/* of a tensor: at its start, in its middle, at its end */
	PIECE_BYTES = 4096,
};

struct piece {
	size_t first;
	size_t n_bytes;
};

static struct piece piece_of(const struct tensor *tensor, unsigned i)
{
	size_t n_bytes = min_of(tensor->n_bytes, PIECE_BYTES);

	return (struct piece){ (tensor->n_bytes - n_bytes) / (PIECES - 1) * i, n_bytes };
}

/* Requests all pieces first, so that the disk has many requests at once. */
void model_take_samples(struct model *model)
{
	const size_t n = gguf_n_tensors(model->gguf);
	uint64_t hash = 0;

	for (size_t i = 0; i < n * PIECES; i++) {
		const struct tensor *tensor = gguf_tensor(model->gguf, i / PIECES);
		struct piece piece = piece_of(tensor, i % PIECES);

		tensor_expect(tensor, piece.first, piece.n_bytes);
	}
	for (size_t i = 0; i < n * PIECES; i++) {
		const struct tensor *tensor = gguf_tensor(model->gguf, i / PIECES);
		struct piece piece = piece_of(tensor, i % PIECES);

		hash = XXH3_64bits_withSeed((const uint8_t *)tensor->data + piece.first,
					    piece.n_bytes, hash);
	}
	model->samples = hash ? hash : 1;
}
