/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/output.h"

#include <stdlib.h>
#include <string.h>

enum sc_status output_writer_init(struct output_writer *writer, const struct tokenizer *tokenizer,
				  bool is_at_start, uint32_t max_tokens)
{
	*writer = (struct output_writer){ .max_tokens = max_tokens, .limit = FINISH_LENGTH };
	buf_init(&writer->output.text);
	buf_init(&writer->held);
	buf_init(&writer->silent);
	token_stream_init(&writer->stream, tokenizer, is_at_start);
	writer->tokens = calloc(max_tokens ? max_tokens : 1, sizeof writer->tokens[0]);
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
	buf_deinit(&writer->silent);
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

static enum sc_status show_all(struct output_writer *writer, size_t n_bytes)
{
	return buf_add(&writer->output.text, writer->held.data, n_bytes);
}

/* Run by run, without what is silent. */
static enum sc_status show_loud(struct output_writer *writer, size_t n_bytes)
{
	const char *silent = writer->silent.data;
	enum sc_status status = SC_OK;

	for (size_t i = 0, n; status == SC_OK && i < n_bytes; i += n) {
		for (n = 1; i + n < n_bytes && silent[i + n] == silent[i]; n++)
			;
		if (!silent[i])
			status = buf_add(&writer->output.text, writer->held.data + i, n);
	}
	return status;
}

/* The first n_bytes of held become visible. */
static enum sc_status show(struct output_writer *writer, size_t n_bytes)
{
	enum sc_status status = writer->n_stops ? show_loud(writer, n_bytes)
						: show_all(writer, n_bytes);

	if (status != SC_OK)
		return status;
	buf_consume(&writer->held, n_bytes);
	if (writer->n_stops)
		buf_consume(&writer->silent, n_bytes);
	return SC_OK;
}

/* Say of what was added to held whether it is silent. */
static enum sc_status mark(struct output_writer *writer, bool is_silent)
{
	size_t n = writer->held.length - writer->silent.length;

	if (!writer->n_stops)
		return SC_OK;
	if (buf_reserve(&writer->silent, n) != SC_OK)
		return SC_E_NOMEM;
	memset(writer->silent.data + writer->silent.length, is_silent, n);
	writer->silent.length += n;
	return SC_OK;
}

/* The name of a control token that is not printed: stop strings see it. */
static enum sc_status add_silent(struct output_writer *writer, uint32_t token)
{
	const struct tokenizer *tokenizer = writer->stream.tokenizer;
	size_t n_bytes;
	const char *name = tokenizer_piece(tokenizer, token, &n_bytes);
	enum sc_status status = buf_add(&writer->held, name, n_bytes);

	return status == SC_OK ? mark(writer, true) : status;
}

static enum sc_status add_text(struct output_writer *writer, uint32_t token)
{
	enum sc_status status = token_stream_add(&writer->stream, token, &writer->held);
	size_t stop;

	if (status == SC_OK)
		status = mark(writer, false);
	if (status == SC_OK && writer->n_stops && !writer->stream.with_special &&
	    tokenizer_is_special(writer->stream.tokenizer, token))
		status = add_silent(writer, token);
	if (status != SC_OK)
		return status;
	stop = find_stop(writer);
	if (stop == writer->held.length)
		return show(writer, writer->held.length - count_doubtful(writer));
	status = show(writer, stop);
	buf_truncate(&writer->held, 0);
	buf_truncate(&writer->silent, 0);
	writer->output.finish = FINISH_STOP;
	return status;
}

enum sc_status output_writer_add(struct output_writer *writer, uint32_t token, float logprob)
{
	struct output *output = &writer->output;
	enum sc_status status;

	if (!writer->max_tokens) {
		output_writer_finish(writer, FINISH_LENGTH);
		return SC_OK;
	}
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
		output_writer_finish(writer, writer->limit);
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
	if (token_stream_finish(&writer->stream, &writer->held) == SC_OK &&
	    mark(writer, false) == SC_OK)
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
	buf_deinit(&writer->silent);
}
