/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HF_HF_H
#define STAGECOACH_HF_HF_H
/*
 * hf - reads a model's folder as Hugging Face's tools write it: config.json, *.safetensors,
 * tokenizer.json or tokenizer.model, and what goes with them.
 * The folder becomes the head of a GGUF file in memory, with the keys, names and shapes that
 * llama.cpp's converter would write. The weights stay in the mapped files; what is stored in
 * another order or type is made when a stage loads it. A folder and the file that is converted from
 * it therefore compute the same bits.
 * Nothing is fetched, and pickled weights (.bin, .pt) are never read.
 * Thread: as gguf.h.
 */
#include "base/error.h"
#include "model/gguf.h"

#include <stdbool.h>

/* Chooses the type of each matrix and encodes rows; the callers fill it with quant's functions,
 * which this layer may not use. */
struct hf_rounding {
	/* Returns the type for a tensor that is stored as `tensor` says. */
	enum tensor_type (*choose)(void *arg, const struct gguf *gguf, const struct tensor *tensor);
	/* Encodes n elements, whole blocks, of finite values. SC_E_FORMAT: a value that the type
	 * cannot hold. */
	enum sc_status (*encode)(void *arg, enum tensor_type type, const float *x, size_t n,
				 void *out, struct error *err);
	void *arg;			/* must live until gguf_close */
	uint32_t file_type;		/* general.file_type */
};

struct hf_options {
	const struct hf_rounding *rounding;	/* NULL: types stay as they are */
};

/* Returns true if path is a directory. */
bool hf_is_folder(const char *path);

/* The caller closes the result with gguf_close. err names the file in the folder, for JSON with
 * line and column, and says what to do.
 * SC_E_NOT_FOUND: no config.json, or a file that it needs is missing. SC_E_FORMAT: a file is
 * malformed, or files contradict each other. SC_E_UNSUPPORTED: a family, a type or a tokenizer that
 * is not supported. SC_E_IO, SC_E_NOMEM. */
must_check enum sc_status hf_open(const char *path, const struct hf_options *options,
				  struct gguf **gguf_out, struct error *err);

#endif
