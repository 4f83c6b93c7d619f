/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HF_TOKENIZER_JSON_H
#define STAGECOACH_HF_TOKENIZER_JSON_H
/*
 * tokenizer_json - a tokenizer.json in two parts: the vocabulary and the merges, which are read from
 * front to back, and everything else, as a tree.
 * Private to this folder. Thread: one at a time.
 */
#include "base/mapped_file.h"
#include "base/strmap.h"
#include "hf/parts.h"

#include <stdbool.h>

/* Texts one after the other. */
struct string_list {
	struct buf bytes;
	size_t *starts;		/* [n + 1] */
	size_t n, n_max;
};
void string_list_deinit(struct string_list *list);
must_check enum sc_status string_list_end(struct string_list *list);	/* the bytes so far are one */

static inline struct gguf_string string_list_get(const struct string_list *list, size_t i)
{
	return (struct gguf_string){
		.data = list->bytes.data + list->starts[i],
		.length = list->starts[i + 1] - list->starts[i],
	};
}

struct tokenizer_json {
	struct mapped_file file;
	json_t *root;			/* model.vocab and model.merges are null in it */
	size_t vocab_at, merges_at;	/* offsets in the file; 0: not there */

	struct string_list texts;		/* the model's tokens as the file lists them */
	uint32_t *ids;			/* [texts.n] */
	double *scores;			/* [texts.n]; NULL unless the vocabulary has scores */
	size_t n_ids;			/* one more than the highest id */
	struct strmap *by_text;		/* of each text, where it is in texts */
};

/* Opens and reads all but the merges. The caller calls tokenizer_json_close. SC_E_NOT_FOUND: there
 * is no such file. SC_E_FORMAT, SC_E_IO, SC_E_NOMEM. */
must_check enum sc_status tokenizer_json_open(const char *folder, struct tokenizer_json *json_out,
					      struct error *err);
void tokenizer_json_close(struct tokenizer_json *json);

/* Reads the merges as texts "LEFT RIGHT". SC_E_FORMAT. SC_E_UNSUPPORTED: a part holds a space. */
must_check enum sc_status tokenizer_json_merges(const struct tokenizer_json *json,
						struct string_list *merges_out, struct error *err);

/* TOKEN_NONE if the model has no token of this text. */
uint32_t tokenizer_json_find(const struct tokenizer_json *json, const char *text, size_t length);

#endif
