/* SPDX-License-Identifier: Apache-2.0 */
#include "model/pretokenizer.h"

#include "base/buf.h"
#include "model/pattern.h"
#include "model/quote.h"
#include "model/visible_text.h"

#include <stdlib.h>
#include <string.h>

struct pretokenizer {
	const struct pretokenizer_row *row;
	size_t n_patterns;
	struct pattern *patterns[PRE_MAX_PATTERNS];
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

/* The table's patterns are right, so one that does not compile is a bug. */
static enum sc_status compile(const char *text, struct pattern **pattern_out, struct error *err)
{
	enum sc_status status = pattern_create(text, strlen(text), pattern_out, err);

	return status == SC_E_UNSUPPORTED ? SC_E_INTERNAL : status;
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
		status = compile(row->patterns[pre->n_patterns],
				 &pre->patterns[pre->n_patterns], err);
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
		pattern_destroy(pre->patterns[i]);
	free(pre);
}

unsigned pretokenizer_flags(const struct pretokenizer *pre)
{
	return pre->row->flags;
}

/* The state of one call of pretokenizer_split. */
struct split {
	const struct pretokenizer *pre;
	const char *seen;	/* what the patterns see, */
	const char *text;	/* and what the words are cut from, at the same offsets */
	struct matcher *matcher;
	pretokenizer_word *on_word;
	void *context;
	struct error *err;
};

/* Finds the first match at or after `from` in the n bytes at start. *begin_out is n if there is
 * none. */
static enum sc_status find_match(const struct split *split, size_t level, size_t start, size_t n,
				 size_t from, size_t *begin_out, size_t *end_out)
{
	enum sc_status status = pattern_find(split->pre->patterns[level], split->matcher,
					     split->seen + start, n, from, false, begin_out,
					     end_out, split->err);

	if (status)
		error_prefix(split->err, "pre-tokenizer %.*s: pattern %zu",
			     (int)strcspn(split->pre->row->names, " "), split->pre->row->names,
			     level + 1);
	else if (*begin_out > n)
		*begin_out = *end_out = n;
	return status;
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

enum sc_status pretokenizer_split(const struct pretokenizer *pre, const char *text, size_t n_bytes,
				  pretokenizer_word *on_word, void *context, struct error *err)
{
	struct split split = {
		.pre = pre, .text = text, .on_word = on_word, .context = context,
		.err = err,
	};
	struct visible_text visible;
	enum sc_status status = visible_text_init(&visible, text, n_bytes);

	if (status)
		return status;
	split.seen = visible.data;
	status = matcher_create(n_bytes, &split.matcher);
	if (!status)
		status = cut(&split, 0, 0, n_bytes);
	matcher_destroy(split.matcher);
	visible_text_deinit(&visible);
	return status;
}
