/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/serve_event.h"

#include <string.h>

#define MAX_DEPTH 64

struct skim {
	const char *at;
	const char *end;
};

struct span {
	const char *start;
	size_t length;
};

static void skip_blanks(struct skim *skim)
{
	while (skim->at < skim->end && strchr(" \t\r\n", *skim->at) && *skim->at)
		skim->at++;
}

static bool take_char(struct skim *skim, char c)
{
	skip_blanks(skim);
	if (skim->at == skim->end || *skim->at != c)
		return false;
	skim->at++;
	return true;
}

/* A string with its quotes; escapes are skipped, not checked. */
static bool skip_string(struct skim *skim)
{
	if (!take_char(skim, '"'))
		return false;
	while (skim->at < skim->end) {
		char c = *skim->at++;

		if (c == '"')
			return true;
		if (c == '\\' && skim->at < skim->end)
			skim->at++;
	}
	return false;
}

/* A number or a word. */
static bool skip_word(struct skim *skim)
{
	const char *start = skim->at;

	while (skim->at < skim->end && *skim->at && !strchr(" \t\r\n,:]}[{\"", *skim->at))
		skim->at++;
	return skim->at > start;
}

/* An object or array, whatever is in it, as long as its brackets match. */
static bool skip_nested(struct skim *skim)
{
	char open[MAX_DEPTH];
	unsigned depth = 0;

	do {
		char c;

		skip_blanks(skim);
		if (skim->at == skim->end)
			return false;
		c = *skim->at;
		if (c == '{' || c == '[') {
			if (depth == MAX_DEPTH)
				return false;
			open[depth++] = c == '{' ? '}' : ']';
			skim->at++;
		} else if (c == '}' || c == ']') {
			if (open[--depth] != c)
				return false;
			skim->at++;
		} else if (c == ',' || c == ':') {
			skim->at++;
		} else if (!(c == '"' ? skip_string(skim) : skip_word(skim))) {
			return false;
		}
	} while (depth);
	return true;
}

static bool take_value(struct skim *skim, struct span *value_out)
{
	const char *start;
	bool is_good;

	skip_blanks(skim);
	start = skim->at;
	if (start == skim->end)
		return false;
	if (*start == '{' || *start == '[')
		is_good = skip_nested(skim);
	else if (*start == '"')
		is_good = skip_string(skim);
	else
		is_good = skip_word(skim);
	*value_out = (struct span){ start, (size_t)(skim->at - start) };
	return is_good;
}

static bool is_text(const struct span *span, const char *text)
{
	return span->length == strlen(text) && memcmp(span->start, text, span->length) == 0;
}

static bool parse_count(const struct span *value, uint32_t *count_out)
{
	uint64_t count = 0;

	for (size_t i = 0; i < value->length; i++) {
		if (value->start[i] < '0' || value->start[i] > '9')
			return false;
		count = count * 10 + (uint64_t)(value->start[i] - '0');
		if (count > UINT32_MAX)
			return false;
	}
	*count_out = (uint32_t)count;
	return value->length > 0;
}

static enum sc_status broken(const char *text, size_t n_bytes, struct error *err)
{
	return error_set(err, SC_E_PROTOCOL, "an event is no JSON object of a completion: %.*s",
			 n_bytes < 80 ? (int)n_bytes : 80, text);
}

/* key comes with its quotes. */
static bool take_member(const struct span *key, const struct span *value,
			struct completion_event *event)
{
	if (is_text(key, "\"stop\"")) {
		event->is_last = is_text(value, "true");
		return event->is_last || is_text(value, "false");
	}
	if (is_text(key, "\"tokens_predicted\""))
		return parse_count(value, &event->n_predicted);
	if (is_text(key, "\"tokens_evaluated\""))
		return parse_count(value, &event->n_evaluated);
	return true;
}

enum sc_status completion_event_parse(const char *text, size_t n_bytes,
				      struct completion_event *event_out, struct error *err)
{
	struct skim skim = { text, text + n_bytes };
	struct completion_event event = { .is_last = false };
	bool is_more = true;

	if (!take_char(&skim, '{'))
		return broken(text, n_bytes, err);
	while (is_more) {
		struct span key, value;

		skip_blanks(&skim);
		key.start = skim.at;
		if (!skip_string(&skim))
			return broken(text, n_bytes, err);
		key.length = (size_t)(skim.at - key.start);
		if (!take_char(&skim, ':') || !take_value(&skim, &value))
			return broken(text, n_bytes, err);
		if (is_text(&key, "\"error\""))
			return error_set(err, SC_E_UNAVAILABLE, "the server failed: %.*s",
					 value.length < 300 ? (int)value.length : 300,
					 value.start);
		if (!take_member(&key, &value, &event))
			return broken(text, n_bytes, err);
		is_more = take_char(&skim, ',');
	}
	if (!take_char(&skim, '}'))
		return broken(text, n_bytes, err);
	skip_blanks(&skim);
	if (skim.at != skim.end)
		return broken(text, n_bytes, err);
	*event_out = event;
	return SC_OK;
}
