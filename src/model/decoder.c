/* SPDX-License-Identifier: Apache-2.0 */
#include "model/decoder.h"

#include "model/byte_alphabet.h"
#include "model/unicode_class.h"
#include "model/vocab.h"

#include <string.h>

static enum sc_status refuse(const char *what, struct error *err)
{
	return error_set(err, SC_E_UNSUPPORTED, "decoder: %s is not supported", what);
}

static bool is_one_character(struct gguf_string text)
{
	uint32_t code;

	return text.length && unicode_read(text.data, text.length, &code) == text.length;
}

/* Checks one step and notes what it does at the start. *is_fused: the steps before it made one text
 * of all tokens. */
static enum sc_status check_step(struct decoder *decoder, const struct pipeline_step *step,
				 bool *is_fused, struct error *err)
{
	switch (step->kind) {
	case DECODE_FUSE:
	case DECODE_BYTE_LEVEL:
		if (*is_fused && step->kind == DECODE_BYTE_LEVEL)
			return refuse("ByteLevel behind Fuse", err);
		*is_fused = true;
		return SC_OK;
	case DECODE_STRIP:
		if (!is_one_character(step->args[0].text))
			return refuse("Strip of more than one character", err);
		if (!*is_fused)
			return SC_OK;
		if (step->args[1].number > 1 || step->args[2].number)
			return refuse("Strip of the end of a text", err);
		if (step->args[1].number && decoder->start != START_PLAIN)
			return refuse("a second step for the start of a text", err);
		if (step->args[1].number)
			decoder->start = START_STRIP;
		decoder->mark = step->args[0].text;
		return SC_OK;
	case DECODE_METASPACE:
		if (*is_fused || decoder->start != START_PLAIN ||
		    !is_one_character(step->args[0].text))
			return refuse("Metaspace in this place", err);
		if (step->args[1].number != PREPEND_NEVER)
			decoder->start = START_DROP;
		decoder->mark = step->args[0].text;
		return SC_OK;
	case DECODE_REPLACE:
		if (*is_fused || !step->args[0].text.length)
			return refuse("Replace in this place", err);
		return SC_OK;
	default:
		return *is_fused ? refuse("ByteFallback behind Fuse", err) : SC_OK;
	}
}

enum sc_status decoder_init(struct decoder *decoder, struct pipeline_steps steps,
			    struct error *err)
{
	bool is_fused = false;
	enum sc_status status = SC_OK;

	*decoder = (struct decoder){ .steps = steps, .joins_with_space = !steps.n };
	for (size_t i = 0; i < steps.n && !status; i++)
		status = check_step(decoder, &steps.steps[i], &is_fused, err);
	if (!status && decoder->joins_with_space) {
		decoder->start = START_STRIP;
		decoder->mark = (struct gguf_string){ .data = " ", .length = 1 };
	}
	return status;
}

/* Appends text with each `from` replaced by `to`. */
static enum sc_status add_replaced(struct gguf_string text, struct gguf_string from,
				   struct gguf_string to, struct buf *out)
{
	enum sc_status status = SC_OK;

	for (size_t at = 0; at < text.length && !status;) {
		const char *found = memmem(text.data + at, text.length - at, from.data,
					   from.length);
		const size_t end = found ? (size_t)(found - text.data) : text.length;

		status = buf_add(out, text.data + at, end - at);
		if (!status && found)
			status = buf_add(out, to.data, to.length);
		at = found ? end + from.length : end;
	}
	return status;
}

static enum sc_status add_bytes(struct gguf_string text, struct buf *out)
{
	bool is_pure;
	size_t n;

	if (buf_reserve(out, text.length))
		return SC_E_NOMEM;
	n = byte_alphabet_decode(text.data, text.length, out->data + out->length, &is_pure);
	if (!is_pure)
		return buf_add(out, text.data, text.length);
	out->length += n;
	out->data[out->length] = '\0';
	return SC_OK;
}

static enum sc_status add_byte_or_text(struct gguf_string text, struct buf *out)
{
	const int byte = vocab_byte_of_text(text);
	const char c = (char)byte;

	return byte < 0 ? buf_add(out, text.data, text.length) : buf_add(out, &c, 1);
}

static enum sc_status add_stripped(struct gguf_string text, const struct pipeline_step *step,
				   struct buf *out)
{
	const struct gguf_string mark = step->args[0].text;
	size_t begin = 0, end = text.length;

	for (uint32_t i = 0; i < step->args[1].number && end - begin >= mark.length &&
	     !memcmp(text.data + begin, mark.data, mark.length); i++)
		begin += mark.length;
	for (uint32_t i = 0; i < step->args[2].number && end - begin >= mark.length &&
	     !memcmp(text.data + end - mark.length, mark.data, mark.length); i++)
		end -= mark.length;
	return buf_add(out, text.data + begin, end - begin);
}

static enum sc_status add_step(const struct pipeline_step *step, bool is_fused,
			       struct gguf_string text, struct buf *out)
{
	const struct gguf_string space = { .data = " ", .length = 1 };

	switch (step->kind) {
	case DECODE_BYTE_LEVEL:
		return add_bytes(text, out);
	case DECODE_BYTE_FALLBACK:
		return add_byte_or_text(text, out);
	case DECODE_METASPACE:
		return add_replaced(text, step->args[0].text, space, out);
	case DECODE_REPLACE:
		return add_replaced(text, step->args[0].text, step->args[1].text, out);
	case DECODE_STRIP:
		if (!is_fused)
			return add_stripped(text, step, out);
		return buf_add(out, text.data, text.length);
	default:
		return buf_add(out, text.data, text.length);
	}
}

enum sc_status decoder_add(const struct decoder *decoder, struct gguf_string text,
			   struct buf *out)
{
	struct buf work[2] = { BUF_INIT, BUF_INIT };
	bool is_fused = false;
	enum sc_status status = SC_OK;

	for (size_t i = 0; i < decoder->steps.n && !status; i++) {
		const struct pipeline_step *step = &decoder->steps.steps[i];

		buf_truncate(&work[i % 2], 0);
		status = add_step(step, is_fused, text, &work[i % 2]);
		is_fused = is_fused || step->kind == DECODE_FUSE ||
			   step->kind == DECODE_BYTE_LEVEL;
		text = (struct gguf_string){
			.data = work[i % 2].data, .length = work[i % 2].length,
		};
	}
	if (!status && decoder->joins_with_space)
		status = buf_add(out, " ", 1);
	if (!status)
		status = buf_add(out, text.data, text.length);
	buf_deinit(&work[0]);
	buf_deinit(&work[1]);
	return status;
}
