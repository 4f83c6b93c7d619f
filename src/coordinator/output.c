/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/output.h"

#include <stdlib.h>
#include <string.h>

enum sc_status output_writer_init(struct output_writer *writer, const struct tokenizer *tokenizer,
				  bool is_at_start, uint32_t max_tokens)
{
	*writer = (struct output_writer){ .max_tokens = max_tokens };
	buf_init(&writer->output.text);
	buf_init(&writer->held);
	token_stream_init(&writer->stream, tokenizer, is_at_start);
	writer->tokens = calloc(max_tokens, sizeof writer->tokens[0]);
	writer->output.tokens = writer->tokens;
	if (!writer->tokens ||
	    buf_reserve(&writer->output.text,
			(size_t)OUTPUT_TEXT_BYTES_PER_TOKEN * max_tokens) != SC_OK) {
		output_writer_deinit(writer);
		return SC_E_NOMEM;
	}
	return SC_OK;
}

void output_writer_deinit(struct output_writer *writer)
{
	free(writer->tokens);
	writer->tokens = NULL;
	buf_deinit(&writer->output.text);
	buf_deinit(&writer->held);
}

/* Returns the offset of the first stop string in held, or held's length. */
static size_t find_stop(const struct output_writer *writer)
{
	size_t first = writer->held.length;

	for (uint32_t i = 0; i < writer->n_stops; i++) {
		const char *found = memmem(writer->held.data, writer->held.length,
					   writer->stops[i], strlen(writer->stops[i]));

		if (found && (size_t)(found - writer->held.data) < first)
			first = (size_t)(found - writer->held.data);
	}
	return first;
}

/* Returns how many bytes at held's end could be the start of a stop string. */
static size_t count_doubtful(const struct output_writer *writer)
{
	size_t most = 0;

	for (uint32_t i = 0; i < writer->n_stops; i++) {
		size_t n = strlen(writer->stops[i]) - 1;

		if (n > writer->held.length)
			n = writer->held.length;
		while (n > most && memcmp(writer->held.data + writer->held.length - n,
					  writer->stops[i], n))
			n--;
		if (n > most)
			most = n;
	}
	return most;
}

static enum sc_status show(struct output_writer *writer, size_t n_bytes)
{
	enum sc_status status = buf_add(&writer->output.text, writer->held.data, n_bytes);

	if (status == SC_OK)
		buf_consume(&writer->held, n_bytes);
	return status;
}

static enum sc_status add_text(struct output_writer *writer, uint32_t token)
{
	enum sc_status status = token_stream_add(&writer->stream, token, &writer->held);
	size_t stop;

	if (status != SC_OK)
		return status;
	stop = find_stop(writer);
	if (stop == writer->held.length)
		return show(writer, writer->held.length - count_doubtful(writer));
	status = show(writer, stop);
	buf_truncate(&writer->held, 0);
	writer->output.finish = FINISH_STOP;
	return status;
}

enum sc_status output_writer_add(struct output_writer *writer, uint32_t token, float logprob)
{
	struct output *output = &writer->output;
	enum sc_status status;

	if (!writer->ignore_end && tokenizer_is_end(writer->stream.tokenizer, token)) {
		output_writer_finish(writer, FINISH_STOP);
		return SC_OK;
	}
	status = add_text(writer, token);
	if (status != SC_OK)
		return status;
	writer->tokens[output->n_tokens++] = (struct output_token){
		.id = token, .logprob = logprob, .text_end = (uint32_t)output->text.length,
	};
	if (output->finish == FINISH_NONE && output->n_tokens == writer->max_tokens) {
		output_writer_finish(writer, FINISH_LENGTH);
		writer->tokens[output->n_tokens - 1].text_end = (uint32_t)output->text.length;
	}
	return SC_OK;
}

void output_writer_finish(struct output_writer *writer, enum finish_reason reason)
{
	struct output *output = &writer->output;

	if (output->finish != FINISH_NONE)
		return;
	output->finish = reason;
	/* If memory runs out here, the last few bytes of a text that ends anyway are lost. Watchers
	 * may already have read the last token, so its text_end stays, and the new text lies beyond
	 * it. */
	if (token_stream_finish(&writer->stream, &writer->held) == SC_OK)
		(void)show(writer, writer->held.length);
}

void output_writer_trim(struct output_writer *writer)
{
	size_t n = writer->output.n_tokens ? writer->output.n_tokens : 1;
	struct output_token *tokens = realloc(writer->tokens, n * sizeof tokens[0]);

	if (tokens) {
		writer->tokens = tokens;
		writer->output.tokens = tokens;
	}
	buf_trim(&writer->output.text);
	buf_deinit(&writer->held);
}
