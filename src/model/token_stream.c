/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes one token at a time. Only the start of an unfinished character is ever held back. */
#include "model/tokenizer.h"

#include "base/utf8.h"
#include "model/vocab.h"

#include <string.h>

static const char replacement[] = "\uFFFD";

void token_stream_init(struct token_stream *stream, const struct tokenizer *tokenizer,
		       bool is_at_start)
{
	*stream = (struct token_stream){ .tokenizer = tokenizer, .is_at_start = is_at_start };
}

/* Takes one more byte. *out must have room for everything that this byte completes. */
static void take_byte(struct token_stream *stream, uint8_t byte, char **out)
{
	stream->pending[stream->n_pending++] = byte;
	while (stream->n_pending) {
		int next = utf8_next(stream->pending, stream->n_pending);
		unsigned n_done = (unsigned)(next > 0 ? next : -next);

		if (!next)
			return;
		if (next > 0) {
			memcpy(*out, stream->pending, n_done);
			*out += n_done;
		} else {
			memcpy(*out, replacement, sizeof replacement - 1);
			*out += sizeof replacement - 1;
		}
		stream->n_pending -= n_done;
		memmove(stream->pending, stream->pending + n_done, stream->n_pending);
	}
}

enum sc_status token_stream_add(struct token_stream *stream, uint32_t token, struct buf *text)
{
	const struct vocab *vocab = tokenizer_vocab(stream->tokenizer);
	bool is_at_start = stream->is_at_start;
	struct gguf_string piece;
	char *out;

	if (token >= vocab->n)
		return SC_E_INVALID;
	piece = vocab_print(vocab, token, stream->with_special, &is_at_start);
	/* In the worst case every byte becomes U+FFFD. */
	if (buf_reserve(text, (stream->n_pending + piece.length) * (sizeof replacement - 1)))
		return SC_E_NOMEM;
	stream->is_at_start = is_at_start;
	out = text->data + text->length;
	for (size_t i = 0; i < piece.length; i++)
		take_byte(stream, (uint8_t)piece.data[i], &out);
	*out = '\0';
	text->length = (size_t)(out - text->data);
	return SC_OK;
}

enum sc_status token_stream_finish(struct token_stream *stream, struct buf *text)
{
	enum sc_status status = SC_OK;

	/* The pending bytes are one unfinished character and become one U+FFFD. */
	if (stream->n_pending)
		status = buf_add(text, replacement, sizeof replacement - 1);
	if (!status)
		stream->n_pending = 0;
	return status;
}
