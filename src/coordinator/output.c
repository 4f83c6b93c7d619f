/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/output.h"

#include <stdlib.h>
#include <string.h>

/* Of a byte of held text. */
enum byte_mark {
	BYTE_SILENT = 1,	/* in the name of a control token that is not printed */
	BYTE_NAME = 2,		/* in the name of a control token that is printed between marks */
	BYTE_FIRST = 4,		/* the first byte of such a name */
	BYTE_LAST = 8,		/* the last byte of such a name */
};

enum sc_status output_writer_init(struct output_writer *writer, const struct tokenizer *tokenizer,
				  bool is_at_start, uint32_t max_tokens)
{
	*writer = (struct output_writer){ .max_tokens = max_tokens, .limit = FINISH_LENGTH };
	buf_init(&writer->output.text);
	buf_init(&writer->held);
	buf_init(&writer->marks);
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

enum sc_status output_writer_keep_logprobs(struct output_writer *writer, uint32_t n_tops)
{
	writer->output.has_logprobs = true;
	if (!n_tops || !writer->max_tokens)
		return SC_OK;
	writer->tops = calloc((size_t)writer->max_tokens * n_tops, sizeof writer->tops[0]);
	if (!writer->tops)
		return SC_E_NOMEM;
	writer->output.tops = writer->tops;
	writer->output.n_tops = n_tops;
	return SC_OK;
}

void output_writer_deinit(struct output_writer *writer)
{
	free(writer->tokens);
	free(writer->tops);
	writer->tokens = NULL;
	writer->tops = NULL;
	buf_deinit(&writer->output.text);
	buf_deinit(&writer->held);
	buf_deinit(&writer->marks);
}

/* --- held text --- */

static bool has_marks(const struct output_writer *writer)
{
	return writer->n_stops || writer->marks_special;
}

/* Marks what was added to held. */
static enum sc_status mark(struct output_writer *writer, int marks)
{
	size_t n = writer->held.length - writer->marks.length;

	if (!n || !has_marks(writer))
		return SC_OK;
	if (buf_reserve(&writer->marks, n) != SC_OK)
		return SC_E_NOMEM;
	memset(writer->marks.data + writer->marks.length, marks, n);
	writer->marks.length += n;
	return SC_OK;
}

static enum sc_status show_byte(struct buf *text, char byte, int marks)
{
	const char begin = SPECIAL_BEGIN, end = SPECIAL_END;
	enum sc_status status = SC_OK;

	if (marks & BYTE_SILENT)
		return SC_OK;
	if (marks & BYTE_FIRST)
		status = buf_add(text, &begin, 1);
	if (status == SC_OK)
		status = buf_add(text, &byte, 1);
	if (status == SC_OK && marks & BYTE_LAST)
		status = buf_add(text, &end, 1);
	return status;
}

/* Bytes without marks run by run, the others one by one. */
static enum sc_status show_marked(struct output_writer *writer, size_t n_bytes)
{
	const char *marks = writer->marks.data, *held = writer->held.data;
	struct buf *text = &writer->output.text;
	enum sc_status status = SC_OK;

	for (size_t i = 0, n; status == SC_OK && i < n_bytes; i += n) {
		for (n = 0; i + n < n_bytes && !marks[i + n]; n++)
			;
		if (n) {
			status = buf_add(text, held + i, n);
		} else {
			status = show_byte(text, held[i], marks[i]);
			n = 1;
		}
	}
	return status;
}

/* The first n_bytes of held become visible. */
static enum sc_status show(struct output_writer *writer, size_t n_bytes)
{
	enum sc_status status;

	if (!n_bytes)
		return SC_OK;
	status = has_marks(writer) ? show_marked(writer, n_bytes)
				   : buf_add(&writer->output.text, writer->held.data, n_bytes);
	if (status != SC_OK)
		return status;
	buf_consume(&writer->held, n_bytes);
	if (has_marks(writer))
		buf_consume(&writer->marks, n_bytes);
	return SC_OK;
}

/* The largest number of bytes up to n at which held can be cut without cutting a marked name. */
static size_t whole_names(const struct output_writer *writer, size_t n)
{
	const char *marks = writer->marks.data;

	while (n && n < writer->marks.length && marks[n] & BYTE_NAME && !(marks[n] & BYTE_FIRST))
		n--;
	return n;
}

static void stop_at(struct output_writer *writer, uint32_t stop)
{
	buf_truncate(&writer->held, 0);
	buf_truncate(&writer->marks, 0);
	writer->output.finish = FINISH_STOP;
	writer->output.stop_cause = STOP_STRING;
	writer->output.stop = stop;
}

/* Shows what of the held text cannot belong to a stop string. is_final: no text will follow. */
static enum sc_status release(struct output_writer *writer, bool is_final)
{
	size_t n_decided = writer->held.length, n_shown;
	uint32_t stop = STOP_SCAN_NONE;
	enum sc_status status;

	if (writer->n_stops)
		n_decided = writer->n_decided +
			    stop_scan_next(&writer->scan, writer->held.data + writer->n_decided,
					   writer->held.length - writer->n_decided, is_final,
					   &stop);
	n_shown = whole_names(writer, n_decided);
	status = show(writer, n_shown);
	if (status != SC_OK)
		return status;
	writer->n_decided = n_decided - n_shown;
	if (stop != STOP_SCAN_NONE)
		stop_at(writer, stop);
	return SC_OK;
}

/* --- tokens --- */

/* The name of a control token, which token_stream_add does not print. Stop strings see it. */
static enum sc_status add_name(struct output_writer *writer, uint32_t token)
{
	bool is_marked = writer->marks_special;
	enum sc_status status = SC_OK;
	size_t first, n_bytes;
	const char *name = tokenizer_piece(writer->stream.tokenizer, token, &n_bytes);

	if (is_marked)	/* an unfinished character does not continue behind a printed name */
		status = token_stream_finish(&writer->stream, &writer->held);
	if (status == SC_OK)
		status = mark(writer, 0);
	first = writer->held.length;
	if (status == SC_OK)
		status = buf_add(&writer->held, name, n_bytes);
	if (status == SC_OK)
		status = mark(writer, is_marked ? BYTE_NAME : BYTE_SILENT);
	if (status != SC_OK || !is_marked || !n_bytes)
		return status;
	writer->marks.data[first] |= BYTE_FIRST;
	writer->marks.data[first + n_bytes - 1] |= BYTE_LAST;
	return SC_OK;
}

static enum sc_status add_text(struct output_writer *writer, uint32_t token)
{
	enum sc_status status = token_stream_add(&writer->stream, token, &writer->held);

	if (status == SC_OK)
		status = mark(writer, 0);
	if (status == SC_OK && has_marks(writer) && !writer->stream.with_special &&
	    tokenizer_is_special(writer->stream.tokenizer, token))
		status = add_name(writer, token);
	return status == SC_OK ? release(writer, false) : status;
}

static enum stop_cause cause_of(const struct output_writer *writer, uint32_t token)
{
	if (!writer->ignore_end && tokenizer_is_end(writer->stream.tokenizer, token))
		return STOP_END;
	for (uint32_t i = 0; i < writer->n_stop_tokens; i++)
		if (writer->stop_tokens[i] == token)
			return STOP_TOKEN;
	return STOP_NONE;
}

static void store(struct output_writer *writer, uint32_t token, float logprob,
		  const struct token_top *tops)
{
	struct output *output = &writer->output;

	writer->tokens[output->n_tokens] = (struct output_token){
		.id = token, .logprob = logprob, .text_end = (uint32_t)output->text.length,
	};
	if (output->n_tops)
		memcpy(writer->tops + (size_t)output->n_tokens * output->n_tops, tops,
		       output->n_tops * sizeof tops[0]);
	output->n_tokens++;
}

/* A token that ends the output. Text that was held back may hold a stop string, which came
 * before. */
static void finish_at(struct output_writer *writer, enum stop_cause cause, uint32_t token)
{
	struct output *output = &writer->output;

	output_writer_finish(writer, FINISH_STOP);
	if (output->stop_cause != STOP_NONE)
		return;
	output->stop_cause = cause;
	output->stop = token;
}

enum sc_status output_writer_add(struct output_writer *writer, uint32_t token, float logprob,
				 const struct token_top *tops)
{
	struct output *output = &writer->output;
	enum stop_cause cause = cause_of(writer, token);
	enum sc_status status;

	if (!writer->max_tokens) {
		output_writer_finish(writer, FINISH_LENGTH);
		return SC_OK;
	}
	if (cause != STOP_NONE) {
		finish_at(writer, cause, token);
		return SC_OK;
	}
	writer->scan.stops = writer->stops;
	writer->scan.n_stops = output->n_tokens < writer->min_tokens ? 0 : writer->n_stops;
	status = add_text(writer, token);
	if (status != SC_OK)
		return status;
	store(writer, token, logprob, tops);
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
	/* If memory runs out here, the last few bytes of a text that ends anyway are lost. Watchers
	 * may already have read the last token, so its text_end stays, and the new text lies beyond
	 * it. */
	if (token_stream_finish(&writer->stream, &writer->held) == SC_OK &&
	    mark(writer, 0) == SC_OK)
		(void)release(writer, true);
	if (output->finish == FINISH_STOP && (reason == FINISH_LENGTH || reason == FINISH_CONTEXT))
		return;
	if (reason != FINISH_STOP)
		output->stop_cause = STOP_NONE;
	output->finish = reason;
}

static void *shrink(void *memory, size_t n_bytes)
{
	void *smaller = realloc(memory, n_bytes);

	return smaller ? smaller : memory;
}

void output_writer_trim(struct output_writer *writer)
{
	struct output *output = &writer->output;
	size_t n = output->n_tokens ? output->n_tokens : 1;

	writer->tokens = shrink(writer->tokens, n * sizeof writer->tokens[0]);
	output->tokens = writer->tokens;
	if (output->n_tops)
		writer->tops = shrink(writer->tops, n * output->n_tops * sizeof writer->tops[0]);
	output->tops = writer->tops;
	buf_trim(&output->text);
	buf_deinit(&writer->held);
	buf_deinit(&writer->marks);
}
