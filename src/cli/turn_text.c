/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/turn_text.h"

#include <string.h>

#define QUOTE "\"\"\""
#define QUOTE_LENGTH 3

void turn_text_init(struct turn_text *turn)
{
	*turn = (struct turn_text){ .is_begun = false };
	buf_init(&turn->text);
}

void turn_text_deinit(struct turn_text *turn)
{
	buf_deinit(&turn->text);
}

void turn_text_reset(struct turn_text *turn)
{
	buf_truncate(&turn->text, 0);
	turn->is_begun = turn->is_quoted = turn->is_literal = false;
}

static bool begins_quote(const struct turn_text *turn, const char *line, size_t n_bytes)
{
	return !turn->is_begun && n_bytes >= QUOTE_LENGTH && !memcmp(line, QUOTE, QUOTE_LENGTH);
}

static bool ends_quote(const char *line, size_t n_bytes)
{
	return n_bytes >= QUOTE_LENGTH && !memcmp(line + n_bytes - QUOTE_LENGTH, QUOTE,
						  QUOTE_LENGTH);
}

static enum sc_status append(struct turn_text *turn, const char *line, size_t n_bytes)
{
	enum sc_status status = SC_OK;

	if (turn->text.length + n_bytes > TURN_TEXT_MAX)
		return SC_E_TOO_LARGE;
	/* The line after """ alone is the first one. */
	if (turn->is_begun && (turn->text.length || !turn->is_quoted))
		status = buf_add(&turn->text, "\n", 1);
	return status == SC_OK ? buf_add(&turn->text, line, n_bytes) : status;
}

static enum sc_status add_quoted(struct turn_text *turn, const char *line, size_t n_bytes)
{
	bool is_last = ends_quote(line, n_bytes);
	enum sc_status status;

	if (is_last)
		n_bytes -= QUOTE_LENGTH;
	/* """ alone ends the text without another line. */
	status = is_last && !n_bytes ? SC_OK : append(turn, line, n_bytes);
	turn->is_begun = !is_last;
	return status;
}

enum sc_status turn_text_add(struct turn_text *turn, const char *line, size_t n_bytes,
			     bool goes_on)
{
	bool has_backslash;
	enum sc_status status;

	if (begins_quote(turn, line, n_bytes)) {
		turn->is_quoted = turn->is_literal = true;
		line += QUOTE_LENGTH;
		n_bytes -= QUOTE_LENGTH;
	}
	if (turn->is_quoted)
		return add_quoted(turn, line, n_bytes);
	turn->is_literal |= goes_on;
	has_backslash = n_bytes && line[n_bytes - 1] == '\\' && !goes_on;
	status = append(turn, line, n_bytes - has_backslash);
	turn->is_begun = has_backslash || goes_on;
	return status;
}
