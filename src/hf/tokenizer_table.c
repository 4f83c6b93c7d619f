/* SPDX-License-Identifier: Apache-2.0 */
#include "hf/tokenizer_table.h"

#include <stdio.h>
#include <stdlib.h>

#define PAD_BYTES 16	/* of "[PAD4294967295]" with its NUL */

enum sc_status token_table_init(struct token_table *table, size_t n)
{
	*table = (struct token_table){ .n = n };
	table->texts = calloc(n, sizeof table->texts[0]);
	table->types = calloc(n, sizeof table->types[0]);
	table->scores = calloc(n, sizeof table->scores[0]);
	table->memory = malloc(n * PAD_BYTES);
	if (!table->texts || !table->types || !table->scores || !table->memory)
		return SC_E_NOMEM;
	for (size_t i = 0; i < n; i++) {
		char *text = table->memory + i * PAD_BYTES;
		const int length = snprintf(text, PAD_BYTES, "[PAD%u]", (unsigned)i);

		token_table_set(table, i, (struct gguf_string){
			.data = text, .length = (size_t)length,
		}, VOCAB_UNUSED);
	}
	return SC_OK;
}

void token_table_deinit(struct token_table *table)
{
	free(table->texts);
	free(table->types);
	free(table->scores);
	free(table->memory);
}

enum sc_status token_table_put(const struct token_table *table, bool with_scores,
			       struct gguf_head *head)
{
	enum sc_status status = gguf_head_add_strings(head, "tokenizer.ggml.tokens", table->texts,
						      table->n);

	if (!status && with_scores)
		status = gguf_head_add_array(head, "tokenizer.ggml.scores", GGUF_F32,
					     table->scores, table->n);
	return status ? status : gguf_head_add_array(head, "tokenizer.ggml.token_type", GGUF_I32,
						     table->types, table->n);
}
