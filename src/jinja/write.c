/* SPDX-License-Identifier: Apache-2.0 */
#include "jinja/write.h"

#include "jinja/codepoint.h"
#include "jinja/dict.h"
#include "jinja/functions.h"
#include "jinja/iterate.h"
#include "jinja/number.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void write_integer(struct render *r, int64_t integer)
{
	char text[NUMBER_TEXT_MAX];

	snprintf(text, sizeof text, "%" PRId64, integer);
	text_add_own(r, text);
}

static void write_float(struct render *r, double real)
{
	char text[NUMBER_TEXT_MAX];

	number_write_float(real, text);
	text_add_own(r, text);
}

/* --- strings as Python's source has them --- */

static void write_escape(struct render *r, uint32_t c, bool is_own)
{
	char text[16];

	if (c == '\n' || c == '\r' || c == '\t')
		snprintf(text, sizeof text, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
	else if (c < 0x100)
		snprintf(text, sizeof text, "\\x%02" PRIx32, c);
	else if (c < 0x10000)
		snprintf(text, sizeof text, "\\u%04" PRIx32, c);
	else
		snprintf(text, sizeof text, "\\U%08" PRIx32, c);
	text_add(r, text, strlen(text), is_own);
}

static void quote_string(struct render *r, const struct str *str)
{
	bool has_single = memchr(str->bytes, '\'', str->n_bytes);
	const char quote = has_single && !memchr(str->bytes, '"', str->n_bytes) ? '"' : '\'';
	const char quotes[2] = { quote, '\0' };
	size_t next;

	text_add_foreign(r, quotes);
	for (size_t at = 0; at < str->n_bytes && render_goes_on(r); at = next) {
		uint32_t c = codepoint_at(str->bytes + at);

		next = at + codepoint_length((unsigned char)str->bytes[at]);
		if (c == '\\' || c == (unsigned char)quote) {
			text_add(r, "\\", 1, str_byte_is_own(str, at));
			text_add_part(r, str, at, next);
		} else if (codepoint_is_printable(c)) {
			text_add_part(r, str, at, next);
		} else {
			write_escape(r, c, str_byte_is_own(str, at));
		}
	}
	text_add_foreign(r, quotes);
}

static void repr_string(struct render *r, const struct str *str)
{
	if (str->is_safe)
		text_add_foreign(r, "Markup(");
	quote_string(r, str);
	if (str->is_safe)
		text_add_foreign(r, ")");
}

/* --- containers --- */

static void repr_items(struct render *r, struct value value, const char *open, const char *close)
{
	struct iteration iteration;
	struct value item;
	bool is_first = true;

	text_add_foreign(r, open);
	if (iterate(r, value, &iteration)) {
		while (iterate_next(&iteration, &item)) {
			if (!is_first)
				text_add_foreign(r, ", ");
			is_first = false;
			write_repr(r, item);
		}
	}
	text_add_foreign(r, close);
}

static void repr_dict(struct render *r, const struct dict *dict, const char *open,
		      const char *close)
{
	text_add_foreign(r, open);
	for (size_t i = 0; i < dict->n && render_step(r, 1); i++) {
		if (i)
			text_add_foreign(r, ", ");
		write_repr(r, dict->entries[i].key);
		text_add_foreign(r, ": ");
		write_repr(r, dict->entries[i].value);
	}
	text_add_foreign(r, close);
}

static void repr_range(struct render *r, const struct range *range)
{
	text_add_own(r, "range(");
	write_integer(r, range->start);
	text_add_own(r, ", ");
	write_integer(r, range->stop);
	if (range->step != 1) {
		text_add_own(r, ", ");
		write_integer(r, range->step);
	}
	text_add_own(r, ")");
}

static void repr_view(struct render *r, struct value view)
{
	text_add_foreign(r, value_type(view));
	repr_items(r, view, "([", "])");
}

/* Things that have no literal. */
static void repr_object(struct render *r, struct value value)
{
	char text[64];

	snprintf(text, sizeof text, "<%s>", value_type(value));
	text_add_own(r, text);
}

static void repr_container(struct render *r, struct value value)
{
	switch (value.kind) {
	case VALUE_LIST:
		repr_items(r, value, "[", "]");
		break;
	case VALUE_TUPLE:
		repr_items(r, value, "(", value.array->n == 1 ? ",)" : ")");
		break;
	case VALUE_DICT:
		repr_dict(r, value.dict, "{", "}");
		break;
	case VALUE_NAMESPACE:
		repr_dict(r, value.dict, "<Namespace {", "}>");
		break;
	case VALUE_VIEW:
		repr_view(r, value);
		break;
	case VALUE_RANGE:
		repr_range(r, value.range);
		break;
	default:
		repr_object(r, value);
	}
}

void write_repr(struct render *r, struct value value)
{
	if (value.kind == VALUE_UNDEFINED) {
		text_add_own(r, "Undefined");
	} else if (value.kind == VALUE_STRING) {
		repr_string(r, value.string);
	} else if (value.kind < VALUE_STRING) {
		write_value(r, value);
	} else if (render_enter(r)) {
		repr_container(r, value);
		render_leave(r);
	}
}

void write_value(struct render *r, struct value value)
{
	switch (value.kind) {
	case VALUE_UNDEFINED:
	case VALUE_MISSING:
		break;
	case VALUE_NONE:
		text_add_own(r, "None");
		break;
	case VALUE_BOOL:
		text_add_own(r, value.is_true ? "True" : "False");
		break;
	case VALUE_INT:
		write_integer(r, value.integer);
		break;
	case VALUE_FLOAT:
		write_float(r, value.real);
		break;
	case VALUE_STRING:
		text_add_str(r, value.string);
		break;
	default:
		write_repr(r, value);
	}
}

const struct str *text_of(struct render *r, struct value value)
{
	size_t begin = text_begin(r);

	if (value.kind == VALUE_STRING)
		return value.string;
	write_value(r, value);
	return text_end(r, begin);
}
