/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HF_TOKENIZER_TABLE_H
#define STAGECOACH_HF_TOKENIZER_TABLE_H
/*
 * tokenizer_table - the tokens of a head by their ids: texts, types and scores.
 * Private to this folder. Thread: one at a time.
 */
#include "base/buf.h"
#include "model/gguf_head.h"
#include "model/vocab.h"

struct token_table {
	struct gguf_string *texts;	/* [n]; borrowed, or in memory */
	int32_t *types;			/* [n], enum vocab_type */
	float *scores;			/* [n] */
	size_t n;
	char *memory;			/* texts of tokens that nobody else owns */
};

/* n tokens [PADi] of type unused. The caller calls token_table_deinit in any case. SC_E_NOMEM. */
must_check enum sc_status token_table_init(struct token_table *table, size_t n);
void token_table_deinit(struct token_table *table);

/* Sets token id < n; a text that is set twice stands. Borrows text. */
static inline void token_table_set(struct token_table *table, size_t id, struct gguf_string text,
				   enum vocab_type type)
{
	table->texts[id] = text;
	table->types[id] = type;
}

/* tokenizer.ggml.tokens, token_type and, if with_scores, scores. SC_E_NOMEM. */
must_check enum sc_status token_table_put(const struct token_table *table, bool with_scores,
					  struct gguf_head *head);

#endif
