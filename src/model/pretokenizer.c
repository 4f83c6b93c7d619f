/* SPDX-License-Identifier: Apache-2.0 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "model/pretokenizer.h"

#include "base/buf.h"
#include "base/utf8.h"
#include "model/quote.h"

#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#define HIDDEN_BYTE 0x1A		/* replaces a byte that is not UTF-8 */
#define MATCH_LIMIT 10000000u		/* backtracking steps per match, and 16 more per byte */
#define HEAP_LIMIT_KIB (256u << 10)	/* the interpreter's memory for backtracking */
#define JIT_STACK_MIN (32u << 10)
#define JIT_STACK_MAX (1u << 20)

struct pretokenizer {
	const struct pretokenizer_row *row;
	size_t n_patterns;
	pcre2_code *codes[PRE_MAX_PATTERNS];
};

const struct pretokenizer_row *pretokenizer_find(const char *name, size_t length)
{
	for (const struct pretokenizer_row *row = pretokenizer_rows; row->names; row++) {
		const char *known = row->names;

		while (*known) {
			size_t n_known = strcspn(known, " ");

			if (n_known == length && !memcmp(known, name, length))
				return row;
			known += n_known + (known[n_known] == ' ');
		}
	}
	return NULL;
}

static enum sc_status refuse_name(const char *name, size_t length, struct error *err)
{
	struct buf names = BUF_INIT;
	enum sc_status status = SC_OK;

	/* All names would not fit in an error. */
	for (const struct pretokenizer_row *row = pretokenizer_rows; row->names && !status; row++)
		status = buf_add_format(&names, " %.*s", (int)strcspn(row->names, " "), row->names);
	status = error_set(err, SC_E_UNSUPPORTED, "'%s' is not known; known names (without their "
			   "synonyms):%s", quote(name, length).text,
			   names.data);
	buf_deinit(&names);
	return status;
}

static enum sc_status compile(const char *pattern, pcre2_code **code_out, struct error *err)
{
	int number;
	size_t offset;
	char text[120];
	pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
					 PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C,
					 &number, &offset, NULL);

	if (!code && number == PCRE2_ERROR_HEAP_FAILED)
		return error_set(err, SC_E_NOMEM, "no memory for a pre-tokenizer");
	if (!code) {
		pcre2_get_error_message(number, (PCRE2_UCHAR *)text, sizeof text);
		return error_set(err, SC_E_INTERNAL, "pattern %s: offset %zu: %s", pattern, offset,
				 text);
	}
	/* Fails where executable memory is forbidden. Matching then uses the interpreter. */
	(void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
	*code_out = code;
	return SC_OK;
}

enum sc_status pretokenizer_create(const char *name, size_t length, struct pretokenizer **pre_out,
				   struct error *err)
{
	const struct pretokenizer_row *row = pretokenizer_find(name, length);
	struct pretokenizer *pre;
	enum sc_status status = SC_OK;

	if (!row)
		return refuse_name(name, length, err);
	pre = calloc(1, sizeof *pre);
	if (!pre)
		return error_set(err, SC_E_NOMEM, "no memory for a pre-tokenizer");
	pre->row = row;
	while (!status && row->patterns[pre->n_patterns]) {
		status = compile(row->patterns[pre->n_patterns], &pre->codes[pre->n_patterns], err);
		if (!status)
			pre->n_patterns++;
	}
	if (status) {
		pretokenizer_destroy(pre);
		return status;
	}
	*pre_out = pre;
	return SC_OK;
}

void pretokenizer_destroy(struct pretokenizer *pre)
{
	if (!pre)
		return;
	for (size_t i = 0; i < pre->n_patterns; i++)
		pcre2_code_free(pre->codes[i]);
	free(pre);
}

unsigned pretokenizer_flags(const struct pretokenizer *pre)
{
	return pre->row->flags;
}

/* The state of one call of pretokenizer_split. PCRE2's matching memory belongs to one thread. */
struct split {
	const struct pretokenizer *pre;
	const char *seen;	/* what the patterns see, */
	const char *text;	/* and what the words are cut from, at the same offsets */
	pcre2_match_context *limits;
	pcre2_match_data *match;
	pcre2_jit_stack *stack;
	pretokenizer_word *on_word;
	void *context;
	struct error *err;
};

/* Finds the first match at or after `from` in the n bytes at start. *begin_out is n if there is
 * none. */
static enum sc_status find_match(const struct split *split, size_t level, size_t start, size_t n,
				 size_t from, size_t *begin_out, size_t *end_out)
{
	const pcre2_code *code = split->pre->codes[level];
	PCRE2_SPTR seen = (PCRE2_SPTR)split->seen + start;
	uint32_t options = PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY;
	const size_t *offsets = pcre2_get_ovector_pointer(split->match);
	int found = pcre2_match(code, seen, n, from, options, split->match, split->limits);

	if (found == PCRE2_ERROR_JIT_STACKLIMIT)
		found = pcre2_match(code, seen, n, from, options | PCRE2_NO_JIT, split->match,
				    split->limits);
	if (found == PCRE2_ERROR_NOMATCH) {
		*begin_out = *end_out = n;
		return SC_OK;
	}
	if (found == PCRE2_ERROR_NOMEMORY)
		return error_set(split->err, SC_E_NOMEM, "no memory to match %zu bytes", n);
	if (found < 0)
		return error_set(split->err, SC_E_TOO_LARGE,
				 "pre-tokenizer %.*s: pattern %zu gave up on %zu bytes (PCRE2 %d)",
				 (int)strcspn(split->pre->row->names, " "), split->pre->row->names,
				 level + 1, n, found);
	*begin_out = offsets[0];
	*end_out = offsets[1];
	return SC_OK;
}

/* Cuts n bytes at start with the patterns from `level` on. Recurses at most PRE_MAX_PATTERNS
 * deep. */
static enum sc_status cut(const struct split *split, size_t level, size_t start, size_t n)
{
	size_t at = 0;

	if (level == split->pre->n_patterns)
		return split->on_word(split->context, split->text + start, n);
	while (at < n) {
		size_t begin = n, end = n;
		enum sc_status status = find_match(split, level, start, n, at, &begin, &end);

		if (!status && begin > at)
			status = cut(split, level + 1, start + at, begin - at);
		if (!status && end > begin)
			status = cut(split, level + 1, start + begin, end - begin);
		if (status)
			return status;
		at = end;
	}
	return SC_OK;
}

/* Copies the text and replaces each byte that is not UTF-8. Returns NULL if memory runs out. */
static char *hide_bytes(const char *text, size_t n_bytes)
{
	char *copy = malloc(n_bytes);

	if (!copy)
		return NULL;
	memcpy(copy, text, n_bytes);
	for (size_t at = 0; at < n_bytes;) {
		at += utf8_valid_length(copy + at, n_bytes - at);
		if (at < n_bytes)
			copy[at++] = HIDDEN_BYTE;
	}
	return copy;
}

static bool init_matching(struct split *split, size_t n_bytes)
{
	split->limits = pcre2_match_context_create(NULL);
	split->match = pcre2_match_data_create(1, NULL);
	split->stack = pcre2_jit_stack_create(JIT_STACK_MIN, JIT_STACK_MAX, NULL);
	if (!split->limits || !split->match)
		return false;
	pcre2_set_match_limit(split->limits, n_bytes > (UINT32_MAX - MATCH_LIMIT) / 16
			      ? UINT32_MAX : MATCH_LIMIT + 16 * (uint32_t)n_bytes);
	pcre2_set_heap_limit(split->limits, HEAP_LIMIT_KIB);
	/* Without a stack the matcher uses 32 KiB of the thread's stack. */
	if (split->stack)
		pcre2_jit_stack_assign(split->limits, NULL, split->stack);
	return true;
}

enum sc_status pretokenizer_split(const struct pretokenizer *pre, const char *text, size_t n_bytes,
				  pretokenizer_word *on_word, void *context, struct error *err)
{
	struct split split = {
		.pre = pre, .seen = text, .text = text, .on_word = on_word, .context = context,
		.err = err,
	};
	char *copy = NULL;
	enum sc_status status = SC_E_NOMEM;

	if (utf8_valid_length(text, n_bytes) < n_bytes) {
		split.seen = copy = hide_bytes(text, n_bytes);
		if (!copy)
			goto out;
	}
	if (init_matching(&split, n_bytes))
		status = cut(&split, 0, 0, n_bytes);
out:
	pcre2_jit_stack_free(split.stack);
	pcre2_match_data_free(split.match);
	pcre2_match_context_free(split.limits);
	free(copy);
	return status;
}
