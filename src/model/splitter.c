/* SPDX-License-Identifier: Apache-2.0 */
#include "model/splitter.h"

#include "base/buf.h"
#include "model/byte_alphabet.h"
#include "model/oniguruma.h"
#include "model/quote.h"
#include "model/split_events.h"
#include "model/unicode_class.h"
#include "model/visible_text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define SPACE "[\\p{Z}\\t-\\r\\x{85}]"
/* The package's Punctuation stands still at Unicode 8: these came later, and two left. */
#define NEW_PUNCTUATION \
	"\\x{61D}\\x{9FD}\\x{A76}\\x{C77}\\x{C84}\\x{1B7D}-\\x{1B7E}\\x{2E43}-\\x{2E4F}" \
	"\\x{2E52}-\\x{2E5D}\\x{10EAD}\\x{10F55}-\\x{10F59}\\x{10F86}-\\x{10F89}" \
	"\\x{1144B}-\\x{1144F}\\x{1145A}-\\x{1145B}\\x{1145D}\\x{11660}-\\x{1166C}" \
	"\\x{116B9}\\x{1183B}\\x{11944}-\\x{11946}\\x{119E2}\\x{11A3F}-\\x{11A46}" \
	"\\x{11A9A}-\\x{11A9C}\\x{11A9E}-\\x{11AA2}\\x{11C41}-\\x{11C45}" \
	"\\x{11C70}-\\x{11C71}\\x{11EF7}-\\x{11EF8}\\x{11FFF}\\x{12FF1}-\\x{12FF2}" \
	"\\x{16E97}-\\x{16E9A}\\x{16FE2}\\x{1E95E}-\\x{1E95F}"
#define PUNCTUATION "(?![" NEW_PUNCTUATION "])[\\p{P}$+<=>^`|~\\x{166D}\\x{111C9}]"
#define WORD_CLASS "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{200C}\\x{200D}"
#define WORDS "[" WORD_CLASS "]+|[^" WORD_CLASS "\\p{Z}\\t-\\r\\x{85}]+"

enum op_kind {
	OP_CUT,		/* at the matches of a pattern */
	OP_METASPACE,	/* spaces become visible, one is put in front */
	OP_SPACE,	/* a space is put in front */
	OP_BYTES,	/* from here on, patterns see the byte alphabet */
};

/* A step of the pipeline is one to three of these. */
struct split_op {
	enum op_kind kind;
	struct pattern *pattern;	/* OP_CUT */
	enum split_behavior behavior;
	bool is_inverted;		/* what does not match is a match */
	struct gguf_string replacement;	/* OP_METASPACE */
	enum prepend_scheme scheme;
};

#define LINE_ENDS "[\\r\\n]"
#define MAX_OPS (3 * PIPELINE_MAX_STEPS)

struct splitter {
	size_t n;
	bool is_byte_level;
	bool cuts_lines;	/* no later piece holds a line's end beside anything else */
	struct split_op ops[MAX_OPS];
};

static enum sc_status add_cut(struct splitter *splitter, const char *text, size_t length,
			      enum split_behavior behavior, bool is_inverted, struct error *err)
{
	struct pattern *pattern;
	enum sc_status status = pattern_create(text, length, &pattern, err);

	if (status)
		return status;
	splitter->ops[splitter->n++] = (struct split_op){
		.kind = OP_CUT, .pattern = pattern, .behavior = behavior,
		.is_inverted = is_inverted,
	};
	return SC_OK;
}

static enum sc_status add_known_cut(struct splitter *splitter, const char *pattern,
				    enum split_behavior behavior, bool is_inverted,
				    struct error *err)
{
	return add_cut(splitter, pattern, strlen(pattern), behavior, is_inverted, err);
}

/* A cut at a text that is no pattern. */
static enum sc_status add_text_cut(struct splitter *splitter, struct gguf_string text,
				   enum split_behavior behavior, bool is_inverted,
				   struct error *err)
{
	struct buf pattern = BUF_INIT;
	enum sc_status status = SC_OK;

	for (size_t i = 0; i < text.length && !status; i++) {
		const unsigned char c = (unsigned char)text.data[i];

		if (c < 0x80 && !isalnum(c))
			status = buf_add_format(&pattern, "\\x{%X}", c);
		else
			status = buf_add(&pattern, &text.data[i], 1);
	}
	if (!status)
		status = add_cut(splitter, pattern.data, pattern.length, behavior, is_inverted,
				 err);
	buf_deinit(&pattern);
	return status;
}

static enum sc_status add_regex_cut(struct splitter *splitter, const struct pipeline_step *step,
				    struct error *err)
{
	const struct gguf_string text = step->args[0].text;
	const enum split_behavior behavior = (enum split_behavior)step->args[1].number;
	const char *known = pretokenizer_fast_pattern(text.data, text.length,
						      splitter->cuts_lines);
	struct buf pattern = BUF_INIT;
	enum sc_status status;

	if (behavior == SPLIT_ISOLATED && text.length == strlen(LINE_ENDS) &&
	    !memcmp(text.data, LINE_ENDS, text.length))
		splitter->cuts_lines = true;
	if (known)
		return add_known_cut(splitter, known, behavior, step->args[2].number, err);
	status = oniguruma_translate(text.data, text.length, &pattern, err);
	if (!status)
		status = add_cut(splitter, pattern.data, pattern.length, behavior,
				 step->args[2].number, err);
	buf_deinit(&pattern);
	return status;
}

static enum sc_status add_byte_level(struct splitter *splitter, const struct pipeline_step *step,
				     struct error *err)
{
	enum sc_status status = SC_OK;

	if (splitter->is_byte_level)
		return error_set(err, SC_E_UNSUPPORTED,
				 "pre-tokenizer: a second ByteLevel is not supported");
	if (step->args[0].number)
		splitter->ops[splitter->n++] = (struct split_op){ .kind = OP_SPACE };
	if (step->args[1].number)
		status = add_known_cut(splitter, pretokenizer_find("gpt-2", 5)->patterns[0],
				       SPLIT_ISOLATED, false, err);
	if (!status)
		splitter->ops[splitter->n++] = (struct split_op){ .kind = OP_BYTES };
	splitter->is_byte_level = true;
	return status;
}

static enum sc_status add_metaspace(struct splitter *splitter, const struct pipeline_step *step,
				    struct error *err)
{
	if (splitter->is_byte_level)
		return error_set(err, SC_E_UNSUPPORTED,
				 "pre-tokenizer: Metaspace behind ByteLevel is not supported");
	splitter->ops[splitter->n++] = (struct split_op){
		.kind = OP_METASPACE, .replacement = step->args[0].text,
		.scheme = (enum prepend_scheme)step->args[1].number,
	};
	if (!step->args[2].number)
		return SC_OK;
	return add_text_cut(splitter, step->args[0].text, SPLIT_MERGED_WITH_NEXT, false, err);
}

static enum sc_status add_step(struct splitter *splitter, const struct pipeline_step *step,
			       struct error *err)
{
	enum sc_status status;

	switch (step->kind) {
	case SPLIT_TEXT:
		return add_text_cut(splitter, step->args[0].text, step->args[1].number,
				    step->args[2].number, err);
	case SPLIT_REGEX:
		return add_regex_cut(splitter, step, err);
	case SPLIT_BYTE_LEVEL:
		return add_byte_level(splitter, step, err);
	case SPLIT_METASPACE:
		return add_metaspace(splitter, step, err);
	case SPLIT_DIGITS:
		return add_known_cut(splitter, "\\p{N}", step->args[0].number
				     ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS, false, err);
	case SPLIT_WHITESPACE:
		return add_known_cut(splitter, WORDS, SPLIT_REMOVED, true, err);
	case SPLIT_WHITESPACE_ONLY:
		return add_known_cut(splitter, SPACE, SPLIT_REMOVED, false, err);
	case SPLIT_PUNCTUATION:
		return add_known_cut(splitter, PUNCTUATION, step->args[0].number, false, err);
	default:
		status = add_known_cut(splitter, SPACE, SPLIT_REMOVED, false, err);
		return status ? status : add_known_cut(splitter, PUNCTUATION, SPLIT_ISOLATED,
						       false, err);
	}
}

enum sc_status splitter_create(struct pipeline_steps steps, struct splitter **splitter_out,
			       struct error *err)
{
	struct splitter *splitter = calloc(1, sizeof *splitter);
	enum sc_status status = SC_OK;

	if (!splitter)
		return error_set(err, SC_E_NOMEM, "no memory for a pre-tokenizer");
	for (size_t i = 0; i < steps.n && !status; i++)
		status = add_step(splitter, &steps.steps[i], err);
	if (status) {
		splitter_destroy(splitter);
		return status;
	}
	*splitter_out = splitter;
	return SC_OK;
}

void splitter_destroy(struct splitter *splitter)
{
	if (!splitter)
		return;
	for (size_t i = 0; i < splitter->n; i++)
		pattern_destroy(splitter->ops[i].pattern);
	free(splitter);
}

bool splitter_is_byte_level(const struct splitter *splitter)
{
	return splitter->is_byte_level;
}

bool splitter_drops_text(const struct splitter *splitter)
{
	for (size_t i = 0; i < splitter->n; i++)
		if (splitter->ops[i].kind == OP_CUT &&
		    splitter->ops[i].behavior == SPLIT_REMOVED)
			return true;
	return false;
}

/* What a level writes for each of its pieces. */
struct level {
	struct buf seen, text;
};

struct splitter_scratch {
	const struct splitter *splitter;
	struct level *levels;	/* [splitter->n + 1] */
	struct matcher *matcher;
	/* of one call of splitter_split */
	pretokenizer_word *on_word;
	void *context;
	struct error *err;
};

/* A part of the text between two steps. Behind OP_BYTES, seen has one character for each byte of
 * text; otherwise both are of one length. */
struct piece {
	const char *seen;	/* what patterns see */
	const char *text;	/* what words are cut from */
	size_t n_seen, n_text;
	bool is_first;		/* begins where the whole text begins */
	bool is_view;		/* behind OP_BYTES */
};

static enum sc_status apply(struct splitter_scratch *run, size_t i, struct piece piece);

/* --- cuts --- */

struct cut {
	struct splitter_scratch *run;
	size_t i;		/* of the operation */
	struct piece piece;
	size_t seen_at, text_at;	/* a place in both texts; it only moves forward */
};

/* Moves to `at` in what is seen. Returns the place in the text. */
static size_t move_to(struct cut *cut, size_t at)
{
	if (!cut->piece.is_view)
		return at;
	while (cut->seen_at < at)
		cut->text_at += ((uint8_t)cut->piece.seen[cut->seen_at++] & 0xC0) != 0x80;
	return cut->text_at;
}

static enum sc_status on_span(void *context, size_t begin, size_t end)
{
	struct cut *cut = context;
	const size_t text_begin = move_to(cut, begin), text_end = move_to(cut, end);

	return apply(cut->run, cut->i + 1, (struct piece){
		.seen = cut->piece.seen + begin, .n_seen = end - begin,
		.text = cut->piece.text + text_begin, .n_text = text_end - text_begin,
		.is_first = cut->piece.is_first && !begin, .is_view = cut->piece.is_view,
	});
}

static enum sc_status cut(struct splitter_scratch *run, size_t i, struct piece piece)
{
	const struct split_op *op = &run->splitter->ops[i];
	struct cut cut = { .run = run, .i = i, .piece = piece };
	struct split_events events;
	struct pattern_matches matches;
	size_t at = 0, begin, end;
	bool is_found = true;
	enum sc_status status = SC_OK;

	split_events_init(&events, op->behavior, op->is_inverted, on_span, &cut);
	pattern_matches_init(&matches, op->pattern, run->matcher, piece.seen, piece.n_seen);
	while (!status) {
		status = pattern_matches_next(&matches, &is_found, &begin, &end, run->err);
		if (status)
			error_prefix(run->err, "pre-tokenizer: step %zu", i + 1);
		if (status || !is_found)
			break;
		if (at != begin)
			status = split_events_add(&events, at, begin, false);
		if (!status)
			status = split_events_add(&events, begin, end, true);
		at = end;
	}
	if (!status && at != piece.n_seen)
		status = split_events_add(&events, at, piece.n_seen, false);
	return status ? status : split_events_end(&events);
}

/* --- steps that write --- */

static enum sc_status write_both(struct level *level, const char *bytes, size_t n, bool is_utf8)
{
	enum sc_status status = buf_add(&level->text, bytes, n);

	return status || is_utf8 ? status : buf_add(&level->seen, bytes, n);
}

/* The piece that the level's buffers hold. */
static struct piece written(const struct level *level, struct piece from)
{
	const bool is_utf8 = from.seen == from.text;

	from.text = level->text.data;
	from.n_text = level->text.length;
	from.seen = is_utf8 ? level->text.data : level->seen.data;
	from.n_seen = is_utf8 ? level->text.length : level->seen.length;
	return from;
}

static struct level *clear_level(struct splitter_scratch *run, size_t i)
{
	struct level *level = &run->levels[i];

	buf_truncate(&level->seen, 0);
	buf_truncate(&level->text, 0);
	return level;
}

/* Copies the piece and puts a space in front of it, as ByteLevel does with add_prefix_space. */
static enum sc_status put_space(struct splitter_scratch *run, size_t i, struct piece piece)
{
	struct level *level;
	enum sc_status status;
	const bool is_utf8 = piece.seen == piece.text;

	if (piece.text[0] == ' ')
		return apply(run, i + 1, piece);
	level = clear_level(run, i);
	status = write_both(level, " ", 1, is_utf8);
	if (!status)
		status = buf_add(&level->text, piece.text, piece.n_text);
	if (!status && !is_utf8)
		status = buf_add(&level->seen, piece.seen, piece.n_seen);
	return status ? status : apply(run, i + 1, written(level, piece));
}

static enum sc_status replace_spaces(struct level *level, struct gguf_string by,
				     struct piece piece)
{
	const bool is_utf8 = piece.seen == piece.text;
	enum sc_status status = SC_OK;

	for (size_t at = 0; at < piece.n_text && !status;) {
		const char *space = memchr(piece.text + at, ' ', piece.n_text - at);
		const size_t end = space ? (size_t)(space - piece.text) : piece.n_text;

		status = buf_add(&level->text, piece.text + at, end - at);
		if (!status && !is_utf8)
			status = buf_add(&level->seen, piece.seen + at, end - at);
		if (!status && space)
			status = write_both(level, by.data, by.length, is_utf8);
		at = end + 1;
	}
	return status;
}

static enum sc_status put_metaspace(struct splitter_scratch *run, size_t i, struct piece piece)
{
	const struct split_op *op = &run->splitter->ops[i];
	const struct gguf_string by = op->replacement;
	struct level *level = clear_level(run, i);
	const bool has_space = piece.text[0] == ' ' ||
			       (piece.n_text >= by.length &&
				!memcmp(piece.text, by.data, by.length));
	enum sc_status status = SC_OK;

	if (!has_space && (op->scheme == PREPEND_ALWAYS ||
			   (op->scheme == PREPEND_FIRST && piece.is_first)))
		status = write_both(level, by.data, by.length, piece.seen == piece.text);
	if (!status)
		status = replace_spaces(level, by, piece);
	if (!status && level->text.length > INT32_MAX)
		status = error_set(run->err, SC_E_TOO_LARGE, "text: expected at most %d bytes "
				   "with its spaces replaced", INT32_MAX);
	return status ? status : apply(run, i + 1, written(level, piece));
}

/* Writes what patterns see behind ByteLevel. If no step is left, nobody looks. */
static enum sc_status see_bytes(struct splitter_scratch *run, size_t i, struct piece piece)
{
	struct level *level;
	char *to;

	if (i + 1 == run->splitter->n)
		return run->on_word(run->context, piece.text, piece.n_text);
	level = clear_level(run, i);
	if (buf_reserve(&level->seen, 2 * piece.n_text))
		return SC_E_NOMEM;
	to = level->seen.data;
	for (size_t k = 0; k < piece.n_text; k++)
		to += unicode_write(byte_alphabet_code((uint8_t)piece.text[k]), to);
	*to = '\0';
	level->seen.length = (size_t)(to - level->seen.data);
	piece.seen = level->seen.data;
	piece.n_seen = level->seen.length;
	piece.is_view = true;
	return apply(run, i + 1, piece);
}

/* Applies the operations from number i on. Recurses at most MAX_OPS times as deep as split_events
 * calls. */
static enum sc_status apply(struct splitter_scratch *run, size_t i, struct piece piece)
{
	if (!piece.n_text)
		return SC_OK;
	if (i == run->splitter->n)
		return run->on_word(run->context, piece.text, piece.n_text);
	switch (run->splitter->ops[i].kind) {
	case OP_CUT:
		return cut(run, i, piece);
	case OP_METASPACE:
		return put_metaspace(run, i, piece);
	case OP_SPACE:
		return put_space(run, i, piece);
	default:
		return see_bytes(run, i, piece);
	}
}

enum sc_status splitter_scratch_create(const struct splitter *splitter, size_t n_bytes,
				       struct splitter_scratch **scratch_out)
{
	struct splitter_scratch *scratch = calloc(1, sizeof *scratch);

	if (!scratch)
		return SC_E_NOMEM;
	scratch->splitter = splitter;
	scratch->levels = calloc(splitter->n + 1, sizeof scratch->levels[0]);
	if (!scratch->levels) {
		free(scratch);
		return SC_E_NOMEM;
	}
	for (size_t i = 0; i < splitter->n; i++) {
		buf_init(&scratch->levels[i].seen);
		buf_init(&scratch->levels[i].text);
	}
	if (matcher_create(n_bytes, &scratch->matcher)) {
		splitter_scratch_destroy(scratch);
		return SC_E_NOMEM;
	}
	*scratch_out = scratch;
	return SC_OK;
}

void splitter_scratch_destroy(struct splitter_scratch *scratch)
{
	if (!scratch)
		return;
	for (size_t i = 0; i < scratch->splitter->n; i++) {
		buf_deinit(&scratch->levels[i].seen);
		buf_deinit(&scratch->levels[i].text);
	}
	matcher_destroy(scratch->matcher);
	free(scratch->levels);
	free(scratch);
}

enum sc_status splitter_split(struct splitter_scratch *scratch, const char *text, size_t n_bytes,
			      bool is_first, pretokenizer_word *on_word, void *context,
			      struct error *err)
{
	struct visible_text visible;
	enum sc_status status = visible_text_init(&visible, text, n_bytes);

	if (status)
		return status;
	scratch->on_word = on_word;
	scratch->context = context;
	scratch->err = err;
	status = apply(scratch, 0, (struct piece){
		.seen = visible.data, .text = text, .n_seen = n_bytes, .n_text = n_bytes,
		.is_first = is_first,
	});
	visible_text_deinit(&visible);
	return status;
}
