/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/tensor_hashes.h"

#include <stdio.h>
#include <stdlib.h>

struct tensor_hashes {
	const struct model *model;
	size_t n_tensors;
	struct known {
		uint64_t hash;		/* 0: nobody has said it */
		char whose[192];
	} known[];			/* [n_tensors] */
};

enum sc_status tensor_hashes_create(const struct model *model,
				    struct tensor_hashes **hashes_out)
{
	size_t n = model_n_tensors(model);
	struct tensor_hashes *hashes = calloc(1, sizeof *hashes + n * sizeof hashes->known[0]);

	if (!hashes)
		return SC_E_NOMEM;
	hashes->model = model;
	hashes->n_tensors = n;
	*hashes_out = hashes;
	return SC_OK;
}

void tensor_hashes_destroy(struct tensor_hashes *hashes)
{
	free(hashes);
}

enum sc_status tensor_hashes_note(struct tensor_hashes *hashes, uint32_t i, uint64_t hash,
				  const char *whose, struct error *err)
{
	struct known *known;

	if (i >= hashes->n_tensors)
		return error_set(err, SC_E_PROTOCOL, "sent a hash of tensor %u, but the model has "
				 "%zu tensors", i, hashes->n_tensors);
	known = &hashes->known[i];
	if (!known->hash) {
		known->hash = hash;
		snprintf(known->whose, sizeof known->whose, "%s", whose);
	}
	if (known->hash == hash)
		return SC_OK;
	return error_set(err, SC_E_INVALID, "tensor '%s' has other data than that of %s, although "
			 "the headers of the model files are the same: copy the same file to all "
			 "machines, and start this worker again",
			 model_tensor(hashes->model, i)->name, known->whose);
}
