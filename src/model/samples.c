/* SPDX-License-Identifier: Apache-2.0 */
/* Samples of tensors' bytes. Few pages are read, so this is fast also for a file that is not in the
 * kernel's cache. */
#include "model/model.h"

#include "base/integers.h"
#include "model/tensor_source.h"

#include <stdlib.h>
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

/* Hashes bytes that must be made first: with the whole rows, or the whole blocks of a vector, that
 * have them. */
static enum sc_status hash_made(const struct tensor *tensor, struct piece piece, uint64_t *hash,
				struct error *err)
{
	const struct tensor_type_info *info = tensor_type_info(tensor->type);
	const bool is_matrix = tensor->n_dims > 1;
	const uint64_t unit = is_matrix ? tensor->dims[0] : info->block_length;
	const uint64_t unit_bytes = is_matrix ? tensor_row_bytes(tensor) : info->block_bytes;
	const uint64_t first = piece.first / unit_bytes;
	const uint64_t n = div_up(piece.first + piece.n_bytes, unit_bytes) - first;
	uint8_t *bytes = malloc(n * unit_bytes);
	enum sc_status status;

	if (!bytes)
		return error_set(err, SC_E_NOMEM, "tensor '%s': no memory for a sample",
				 tensor->name);
	status = tensor_read(tensor, first * unit, n * unit, bytes, err);
	if (!status)
		*hash = XXH3_64bits_withSeed(bytes + (piece.first - first * unit_bytes),
					     piece.n_bytes, *hash);
	free(bytes);
	return status;
}

static enum sc_status hash_piece(const struct tensor *tensor, struct piece piece, uint64_t *hash,
				 struct error *err)
{
	if (!tensor->data)
		return hash_made(tensor, piece, hash, err);
	*hash = XXH3_64bits_withSeed((const uint8_t *)tensor->data + piece.first, piece.n_bytes,
				     *hash);
	return SC_OK;
}

/* Requests all pieces first, so that the disk has many requests at once. */
enum sc_status model_take_samples(struct model *model, struct error *err)
{
	const size_t n = gguf_n_tensors(model->gguf);
	enum sc_status status = SC_OK;
	uint64_t hash = 0;

	for (size_t i = 0; i < n * PIECES; i++) {
		const struct tensor *tensor = gguf_tensor(model->gguf, i / PIECES);
		struct piece piece = piece_of(tensor, i % PIECES);

		tensor_expect(tensor, piece.first, piece.n_bytes);
	}
	for (size_t i = 0; !status && i < n * PIECES; i++) {
		const struct tensor *tensor = gguf_tensor(model->gguf, i / PIECES);

		status = hash_piece(tensor, piece_of(tensor, i % PIECES), &hash, err);
	}
	if (!status)
		model->samples = hash ? hash : 1;
	return status;
}
