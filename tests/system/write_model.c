/* SPDX-License-Identifier: Apache-2.0 */
/*
 * write_model KIND FILE - a small model for system tests whose numbers are odd.
 *   good           nothing is
 *   spoilt-token   the embedding of the token <|end|> is NaN
 *   spoilt-norm    a gain of the last norm is infinite, so that no token has logits
 *   large-values   the values of layer 3 are over 65504, which its output matrix makes up for
 *   bf16           matrices are BF16
 *   spm            nothing is; the vocabulary is of the SentencePiece kind
 *   tied           nothing is; the embedding is the head, too
 *   tied-start     as `tied`, but the first element of a matrix of layer 3 is another
 *   tied-inside    as `tied`, but an element inside the embedding is another, where no samples are
 *                  taken
 */
#include "tests/model/tiny_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LARGE 1e6f

static float *floats_of(const struct tensor *tensor)
{
	return (float *)(uintptr_t)tensor->data;
}

static void scale(const struct tensor *tensor, float factor)
{
	float *x = floats_of(tensor);

	for (size_t i = 0; i < tensor->n_bytes / sizeof *x; i++)
		x[i] *= factor;
}

/* The tensors lie in the file's bytes. */
static bool change(const struct model *model, const char *kind)
{
	const uint32_t dim = model->hparams.dim;

	if (!strcmp(kind, "spoilt-token")) {
		for (uint32_t i = 0; i < dim; i++)
			floats_of(model->outer[OUTER_TOKEN_EMBD])[TINY_EOS * dim + i] = NAN;
	} else if (!strcmp(kind, "spoilt-norm")) {
		floats_of(model->outer[OUTER_OUTPUT_NORM])[3] = INFINITY;
	} else if (!strcmp(kind, "large-values")) {
		scale(model->layers[3].of[LAYER_ATTN_V], LARGE);
		scale(model->layers[3].of[LAYER_ATTN_OUTPUT], 1 / LARGE);
	} else if (!strcmp(kind, "tied-start")) {
		*floats_of(model->layers[3].of[LAYER_FFN_DOWN]) *= 2;
	} else if (!strcmp(kind, "tied-inside")) {
		floats_of(model->outer[OUTER_TOKEN_EMBD])[1250] *= 2;
	} else if (strcmp(kind, "good") && strcmp(kind, "bf16") && strcmp(kind, "spm") &&
		   strcmp(kind, "tied")) {
		fprintf(stderr, "write_model: no kind '%s'\n", kind);
		return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	struct tiny_model tiny = tiny_llama;
	struct buf bytes = BUF_INIT;
	struct model *model;
	bool is_written;
	FILE *file;

	if (argc != 3)
		return EXIT_FAILURE;
	if (!strcmp(argv[1], "bf16"))
		tiny.type = TENSOR_BF16;
	tiny.is_spm = !strcmp(argv[1], "spm");
	tiny.is_tied = !strncmp(argv[1], "tied", 4);
	model = tiny_model_open(&tiny, &bytes);
	if (!change(model, argv[1]))
		return EXIT_FAILURE;
	file = fopen(argv[2], "wb");
	is_written = file && fwrite(bytes.data, 1, bytes.length, file) == bytes.length;
	if (!file || fclose(file) || !is_written)
		return EXIT_FAILURE;
	model_close(model);
	buf_deinit(&bytes);
	return EXIT_SUCCESS;
}
