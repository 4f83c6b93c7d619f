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

/* What was found so far. */
struct found {
	struct completion_event event;
	struct span error;	/* start NULL: none */
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

typedef bool take_member(const struct span *key, const struct span *value, struct found *found);

/* Passes each member of an object to take; keys come with their quotes. */
static bool take_object(struct skim *skim, take_member *take, struct found *found)
{
	bool is_more = true;

	if (!take_char(skim, '{'))
		return false;
	while (is_more) {
		struct span key, value;

		skip_blanks(skim);
		key.start = skim->at;
		if (!skip_string(skim))
			return false;
		key.length = (size_t)(skim->at - key.start);
		if (!take_char(skim, ':') || !take_value(skim, &value) ||
		    !take(&key, &value, found))
			return false;
		is_more = take_char(skim, ',');
	}
	return take_char(skim, '}');
}

static bool take_of_usage(const struct span *key, const struct span *value,
			  struct found *found)
{
	if (is_text(key, "\"completion_tokens\""))
		return parse_count(value, &found->event.n_predicted);
	if (is_text(key, "\"prompt_tokens\""))
		return parse_count(value, &found->event.n_evaluated);
	return true;
}

static bool take_of_choice(const struct span *key, const struct span *value,
			   struct found *found)
{
	if (is_text(key, "\"finish_reason\""))
		found->event.has_token = is_text(value, "null");
	return true;
}

static bool take_usage(const struct span *value, struct found *found)
{
	struct skim skim = { value->start, value->start + value->length };

	if (is_text(value, "null"))
		return true;
	found->event.is_last = true;
	return take_object(&skim, take_of_usage, found);
}

/* The first of the choices, if there is one. */
static bool take_choices(const struct span *value, struct found *found)
{
	struct skim skim = { value->start, value->start + value->length };

	if (!take_char(&skim, '['))
		return false;
	return take_char(&skim, ']') || take_object(&skim, take_of_choice, found);
}

static bool take_top(const struct span *key, const struct span *value,
		     struct found *found)
{
	if (is_text(key, "\"error\""))
		found->error = *value;
	if (is_text(key, "\"stop\"")) {
		found->event.is_last = is_text(value, "true");
		return found->event.is_last || is_text(value, "false");
	}
	if (is_text(key, "\"tokens_predicted\""))
		return parse_count(value, &found->event.n_predicted);
	if (is_text(key, "\"tokens_evaluated\""))
		return parse_count(value, &found->event.n_evaluated);
	if (is_text(key, "\"choices\""))
		return take_choices(value, found);
	if (is_text(key, "\"usage\""))
		return take_usage(value, found);
	return true;
}

enum sc_status completion_event_parse(const char *text, size_t n_bytes,
				      struct completion_event *event_out, struct error *err)
{
	struct skim skim = { text, text + n_bytes };
	struct found found = { .error = { .start = NULL } };
	const bool is_good = take_object(&skim, take_top, &found);
	const struct span *error = &found.error;

	if (error->start)
		return error_set(err, SC_E_UNAVAILABLE, "the server failed: %.*s",
				 error->length < 300 ? (int)error->length : 300, error->start);
	skip_blanks(&skim);
	if (!is_good || skim.at != skim.end)
		return error_set(err, SC_E_PROTOCOL, "an event is no JSON object of a completion: "
				 "%.*s", n_bytes < 80 ? (int)n_bytes : 80, text);
	*event_out = found.event;
	return SC_OK;
}
