/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HF_PARTS_H
#define STAGECOACH_HF_PARTS_H
/*
 * parts - what the parts of src/hf give each other. Private to this folder.
 * hf_open: family_find chooses the row by config.json; config_put writes the hyper-parameters;
 * store_open maps the weights; tensors_put writes the directory of tensors and their sources;
 * tokenizer_put the vocabulary, for as many rows as the embedding has.
 */
#include "base/error.h"
#include "hf/hf.h"
#include "model/gguf_head.h"
#include "model/tensor_source.h"

#include <jansson.h>

/* --- json_file.c --- */

/* Reads folder/name. SC_E_NOT_FOUND: no such file. SC_E_FORMAT: err has line and column; the value
 * is not an object; the file is too large. SC_E_IO, SC_E_NOMEM. The caller calls json_decref.
 * As Python's tools write it: an integer beyond 64 bits becomes a real, Infinity becomes null. Of
 * equal keys the last counts. Strings may have NUL bytes (json_string_length). */
must_check enum sc_status json_file_load(const char *folder, const char *name, json_t **json_out,
					 struct error *err);
/* The same, but NULL if there is no such file. */
must_check enum sc_status json_file_maybe(const char *folder, const char *name, json_t **json_out,
					  struct error *err);

/* --- safetensors.c, store.c: the tensors of all *.safetensors of a folder --- */

/* Element types as safetensors names them. */
enum hf_dtype { HF_F32, HF_F16, HF_BF16, HF_F8_E4M3, HF_I64, HF_I32, HF_U8, HF_OTHER };

#define HF_MAX_DIMS 4

/* A stored tensor. dims are in torch's order: dims[0] varies slowest. */
struct hf_stored {
	const char *name;
	enum hf_dtype dtype;
	unsigned n_dims;
	uint64_t dims[HF_MAX_DIMS];
	const uint8_t *data;	/* in the mapping; may be unaligned */
	uint64_t n_bytes;
	const char *dtype_name;	/* as the file says it, for errors; or "other" */
	const char *file;	/* the shard's path, for errors */
	/* FP8: each element is multiplied by the scale of its block of scale_rows x scale_columns
	 * elements. The last blocks may be cut. NULL without a scale. */
	const struct hf_stored *scale;
	uint64_t scale_rows, scale_columns;
	bool is_scale;		/* of another tensor's elements or activations: no tensor itself */
};

struct hf_store;

/* Checks headers, offsets and the index. Borrows config for quantization_config. */
must_check enum sc_status hf_store_open(const char *folder, const json_t *config,
					struct hf_store **store_out, struct error *err);
void hf_store_close(struct hf_store *store);
const struct hf_stored *hf_store_find(const struct hf_store *store, const char *name);
size_t hf_store_n(const struct hf_store *store);
const struct hf_stored *hf_store_get(const struct hf_store *store, size_t i);
/* SC_E_IO: a file was changed since it was opened. */
must_check enum sc_status hf_store_check(const struct hf_store *store, struct error *err);
/* Elements [first, first + n) in memory order, as float, with their scales. dtype must not be
 * HF_OTHER. */
void hf_stored_f32(const struct hf_stored *stored, uint64_t first, uint64_t n, float *out);
/* As tensor_expect and tensor_release, for these elements. */
void hf_stored_expect(const struct hf_stored *stored, uint64_t first, uint64_t n);
void hf_stored_release(const struct hf_stored *stored, uint64_t first, uint64_t n);
/* Bytes of one element; 0 for HF_OTHER. */
size_t hf_dtype_bytes(enum hf_dtype dtype);
/* The files with weights; i < hf_store_n_files. */
size_t hf_store_n_files(const struct hf_store *store);
struct gguf_part hf_store_part(const struct hf_store *store, size_t i);

/* --- family.c, config.c --- */

struct hf_family;

/* By architectures[0], else model_type. SC_E_UNSUPPORTED: err names it and the nearest that
 * works. */
must_check enum sc_status hf_family_find(const json_t *config, const char *folder,
					 const struct hf_family **family_out, struct error *err);

/* Writes general.architecture and every key of the architecture, but for what the tensors say. */
must_check enum sc_status hf_config_put(const struct hf_family *family, const json_t *config,
					const char *folder, struct gguf_head *head,
					struct error *err);

/* --- tensors.c, recipe.c --- */

/* Tensors in the order of the head's directory, and the sources that make them; owned. */
struct hf_tensors {
	struct hf_store *store;			/* owned once hf_tensors_put succeeded */
	const struct tensor_source **sources;	/* [n] */
	size_t n;
	void *memory;				/* private */
};

/* Adds every tensor of the model to the head. A tensor of the store that nothing uses is an error,
 * unless the family lists it as harmless (rotary inv_freq, attention masks).
 * SC_E_FORMAT: a missing tensor or a wrong shape. */
must_check enum sc_status hf_tensors_put(const struct hf_family *family, const json_t *config,
					 struct hf_store *store, struct gguf_head *head,
					 struct hf_tensors *tensors_out, struct error *err);
void hf_tensors_deinit(struct hf_tensors *tensors);

/* --- tokenizer.c: tokenizer.json or tokenizer.model, tokenizer_config.json,
 * generation_config.json, chat_template.jinja --- */

/* tokenizer.ggml.* and tokenizer.chat_template. n_vocab: rows of the embedding; unused tokens fill
 * up what the tokenizer lacks. */
must_check enum sc_status hf_tokenizer_put(const char *folder, const json_t *config,
					   uint32_t n_vocab, struct gguf_head *head,
					   struct error *err);

#endif
