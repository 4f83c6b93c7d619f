/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "..." % values, as Python has it.
 */
#include "jinja/codepoint.h"
#include "jinja/dict.h"
#include "jinja/format.h"
#include "jinja/iterate.h"
#include "jinja/number.h"
#include "jinja/write.h"

#include <string.h>

struct percent {
	struct render *r;
	const struct str *format;
	size_t at;
	struct value values;
	size_t n_used;		/* of the values */
	struct value named;	/* of %(name)s; MISSING: take the next one */
};

static char current(const struct percent *percent)
{
	return percent->at < percent->format->n_bytes ? percent->format->bytes[percent->at] : '\0';
}

static struct value next_value(struct percent *percent)
{
	if (is_given(percent->named))
		return percent->named;
	if (percent->values.kind == VALUE_TUPLE) {
		if (percent->n_used < percent->values.array->n)
			return percent->values.array->values[percent->n_used++];
	} else if (!percent->n_used++) {
		return percent->values;
	}
	return render_fail(percent->r, "not enough arguments for format string");
}

/* (name) */
static void read_name(struct percent *percent)
{
	const struct str *format = percent->format;
	size_t begin = percent->at + 1, end = begin, depth = 1;
	const struct dict_entry *entry;
	struct value key;

	while (end < format->n_bytes && depth) {
		depth += format->bytes[end] == '(';
		depth -= format->bytes[end] == ')';
		end++;
	}
	if (depth) {
		render_fail(percent->r, "incomplete format key");
		return;
	}
	if (percent->values.kind != VALUE_DICT) {
		render_fail(percent->r, "format requires a mapping");
		return;
	}
	percent->at = end;
	key = value_string(str_part(percent->r, format, begin, end - 1));
	entry = dict_find(percent->values.dict, key);
	percent->named = entry ? entry->value : MISSING;
	if (!entry)
		render_fail(percent->r, "the format's key '%.*s' is not in the mapping",
			    str_shown(key.string), key.string->bytes);
}

/* Digits or *. */
static int read_count(struct percent *percent)
{
	int n = 0;

	if (current(percent) == '*') {
		struct value value = next_value(percent);

		percent->at++;
		if (is_integer(value) && integer_of(value) >= -FORMAT_WIDTH_MAX &&
		    integer_of(value) <= FORMAT_WIDTH_MAX)
			return (int)integer_of(value);
		render_fail(percent->r, "* wants int");
		return 0;
	}
	while (number_digit(current(percent)) >= 0 && number_digit(current(percent)) < 10) {
		n = n * 10 + number_digit(current(percent));
		percent->at++;
		if (n > FORMAT_WIDTH_MAX) {
			render_fail(percent->r, "width too big");
			return 0;
		}
	}
	return n;
}

static void read_layout(struct percent *percent, struct layout *layout)
{
	*layout = (struct layout){ .fill = ' ', .precision = -1 };
	if (current(percent) == '(')
		read_name(percent);
	for (char c; (c = current(percent)) && strchr("-+ #0", c); percent->at++) {
		if (c == '-')
			layout->align = '<';
		else if (c == '#')
			layout->has_alternate = true;
		else if (c == '0')
			layout->has_zeros = true;
		else if (layout->sign != '+')
			layout->sign = c;
	}
	layout->width = read_count(percent);
	if (layout->width < 0) {
		layout->width = -layout->width;
		layout->align = '<';
	}
	if (current(percent) == '.') {
		percent->at++;
		layout->precision = read_count(percent);
		if (layout->precision < 0)
			layout->precision = 0;
	}
	while (current(percent) && strchr("hlL", current(percent)))
		percent->at++;
	layout->type = current(percent);
	percent->at += layout->type != '\0';
}

static void put_text(struct percent *percent, struct layout *layout, struct value value)
{
	struct render *r = percent->r;
	size_t begin = text_begin(r);

	if (layout->type == 's')
		write_value(r, value);
	else
		write_repr(r, value);
	if (!layout->align)
		layout->align = '>';
	format_text(r, layout, text_end(r, begin));
}

static void put_char(struct percent *percent, struct layout *layout, struct value value)
{
	struct render *r = percent->r;
	size_t begin = text_begin(r);

	if (value.kind == VALUE_STRING && value.string->n_chars == 1)
		text_add_str(r, value.string);
	else if (is_integer(value) && integer_of(value) >= 0 && integer_of(value) < 0x110000 &&
		 (integer_of(value) < 0xd800 || integer_of(value) > 0xdfff))
		text_add_char(r, (uint32_t)integer_of(value), false);
	else
		render_fail(r, "%%c requires int or char");
	if (!layout->align)
		layout->align = '>';
	format_text(r, layout, text_end(r, begin));
}

static void put_number(struct percent *percent, struct layout *layout, struct value value)
{
	bool is_whole = strchr("diuxXo", layout->type);

	if (!is_number(value) ||
	    (value.kind == VALUE_FLOAT && strchr("xXo", layout->type))) {
		render_fail(percent->r, "%%%c format: a number is required, not %s", layout->type,
			    value_type(value));
		return;
	}
	if (is_whole && value.kind == VALUE_FLOAT) {
		if (!(value.real > -0x1p63 && value.real < 0x1p63)) {
			render_fail(percent->r, "cannot convert float to integer");
			return;
		}
		value = value_int((int64_t)value.real);
	}
	if (layout->align == '<')
		layout->has_zeros = false;
	format_number(percent->r, layout, is_whole ? value : value_float(real_of(value)));
}

/* Behind a %. */
static void put_one(struct percent *percent)
{
	struct layout layout;

	percent->named = MISSING;
	read_layout(percent, &layout);
	if (!render_goes_on(percent->r))
		return;
	if (layout.type == '%')
		text_add_own(percent->r, "%");
	else if (layout.type == 's' || layout.type == 'r' || layout.type == 'a')
		put_text(percent, &layout, next_value(percent));
	else if (layout.type == 'c')
		put_char(percent, &layout, next_value(percent));
	else if (layout.type && strchr("diuxXofFeEgG", layout.type))
		put_number(percent, &layout, next_value(percent));
	else if (layout.type)
		render_fail(percent->r, "unsupported format character");
	else
		render_fail(percent->r, "incomplete format");
}

struct value format_percent(struct render *r, const struct str *format, struct value values)
{
	struct percent percent = { .r = r, .format = format, .values = values };
	size_t begin = text_begin(r);
	const struct str *text;

	while (percent.at < format->n_bytes && render_step(r, 1)) {
		const char *at = format->bytes + percent.at;
		const char *mark = memchr(at, '%', format->n_bytes - percent.at);
		size_t end = mark ? (size_t)(mark - format->bytes) : format->n_bytes;

		text_add_part(r, format, percent.at, end);
		percent.at = end + (mark != NULL);
		if (mark)
			put_one(&percent);
	}
	text = text_end(r, begin);
	if (values.kind == VALUE_TUPLE ? percent.n_used < values.array->n :
	    !percent.n_used && values.kind != VALUE_DICT && values.kind != VALUE_LIST &&
	    values.kind != VALUE_RANGE && values.kind != VALUE_UNDEFINED)
		return render_fail(r, "not all arguments converted during string formatting");
	return value_string(text);
}
