/* SPDX-License-Identifier: Apache-2.0 */
/* What the endpoints need of the tokenizer and of jobs beside fake_engine.c. A token's piece is its
 * number in brackets. */
#include "engine/engine.h"

#include <stdio.h>

const char *tokenizer_piece(const struct tokenizer *tokenizer, uint32_t token, size_t *n_bytes_out)
{
	static char text[24];

	(void)tokenizer;
	*n_bytes_out = (size_t)snprintf(text, sizeof text, "<%u>", token);
	return text;
}

bool tokenizer_is_end(const struct tokenizer *tokenizer, uint32_t token)
{
	(void)tokenizer;
	return token == 257;
}

void token_stream_init(struct token_stream *stream, const struct tokenizer *tokenizer,
		       bool is_at_start)
{
	*stream = (struct token_stream){ .tokenizer = tokenizer, .is_at_start = is_at_start };
}

enum sc_status token_stream_add(struct token_stream *stream, uint32_t token, struct buf *text)
{
	const char byte = (char)token;

	(void)stream;
	return token < 256 ? buf_add(text, &byte, 1) : SC_OK;
}

const float *job_prompt_scores(const struct job *job, uint32_t *n_out)
{
	(void)job;
	*n_out = 0;
	return NULL;
}

const struct token_top *job_prompt_tops(const struct job *job, uint32_t *n_tops_out)
{
	(void)job;
	*n_tops_out = 0;
	return NULL;
}

