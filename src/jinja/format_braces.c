/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "...".format(values), as Python has it.
 */
#include "jinja/codepoint.h"
#include "jinja/dict.h"
#include "jinja/evaluate.h"
#include "jinja/format.h"
#include "jinja/number.h"
#include "jinja/write.h"

#include <string.h>

enum { NESTED_MAX = 2 };

struct braces {
	struct render *r;
	const struct str *format;
	const struct arguments *args;
	size_t n_used;		/* fields without a name */
};

static void put_range(struct braces *braces, size_t begin, size_t end, unsigned depth);

/* --- which value --- */

static bool is_index(const struct str *str, int64_t *index_out)
{
	if (!str->n_bytes || number_digit(*str->bytes) < 0 || number_digit(*str->bytes) > 9)
		return false;
	return number_parse_int(str->bytes, str->n_bytes, 10, index_out);
}

static struct value first_value(struct braces *braces, const struct str *name)
{
	const struct arguments *args = braces->args;
	const struct dict_entry *entry = NULL;
	int64_t index;

	if (!name->n_bytes)
		index = (int64_t)braces->n_used++;
	else if (!is_index(name, &index))
		index = -1;
	if (index >= 0 && (size_t)index < args->n)
		return args->values[index];
	if (index < 0 && args->named)
		entry = dict_find(args->named, value_string(name));
	if (entry)
		return entry->value;
	return render_fail(braces->r, "format(): there is no argument '%.*s'",
			   str_shown(name), name->bytes);
}

/* Where the name, attribute or key ends that begins at `at`. */
static size_t part_end(const struct str *format, size_t at, size_t end, const char *stops)
{
	while (at < end && (!format->bytes[at] || !strchr(stops, format->bytes[at])))
		at++;
	return at;
}

/* name.attribute[key]..., bytes [at, end) of the format. */
static struct value field_value(struct braces *braces, size_t at, size_t end)
{
	const struct str *format = braces->format;
	struct render *r = braces->r;
	size_t stop = part_end(format, at, end, ".[");
	struct value value = first_value(braces, str_part(r, format, at, stop));

	for (at = stop; at < end && render_goes_on(r); at = stop) {
		bool is_key = format->bytes[at] == '[';
		const struct str *name;
		int64_t index;

		stop = part_end(format, at + 1, end, is_key ? "]" : ".[");
		name = str_part(r, format, at + 1, stop);
		if (!is_key)
			value = value_attribute(r, value, name);
		else if (is_index(name, &index))
			value = value_subscript(r, value, value_int(index));
		else
			value = value_subscript(r, value, value_string(name));
		stop += is_key && stop < end;
	}
	return value;
}

/* --- how it looks --- */

static int read_number(const struct str *spec, size_t *at)
{
	int n = 0;

	while (*at < spec->n_bytes && number_digit(spec->bytes[*at]) >= 0 &&
	       number_digit(spec->bytes[*at]) < 10 && n <= FORMAT_WIDTH_MAX)
		n = n * 10 + number_digit(spec->bytes[(*at)++]);
	return n;
}

static bool takes(const struct str *spec, size_t *at, const char *chars, char *found_out)
{
	if (*at == spec->n_bytes || !spec->bytes[*at] || !strchr(chars, spec->bytes[*at]))
		return false;
	*found_out = spec->bytes[(*at)++];
	return true;
}

/* Returns false if spec is none. */
static bool read_layout(const struct str *spec, struct layout *layout)
{
	size_t at = 0, n_fill;
	char found;

	*layout = (struct layout){ .fill = ' ', .precision = -1 };
	n_fill = spec->n_bytes ? codepoint_length((unsigned char)*spec->bytes) : 0;
	if (n_fill < spec->n_bytes && strchr("<>=^", spec->bytes[n_fill])) {
		layout->fill = codepoint_at(spec->bytes);
		layout->fill_is_foreign = !str_byte_is_own(spec, 0);
		layout->align = spec->bytes[n_fill];
		at = n_fill + 1;
	} else {
		takes(spec, &at, "<>=^", &layout->align);
	}
	takes(spec, &at, "+- ", &layout->sign);
	layout->has_alternate = takes(spec, &at, "#", &found);
	layout->has_zeros = takes(spec, &at, "0", &found);
	layout->width = read_number(spec, &at);
	layout->has_commas = takes(spec, &at, ",", &found);
	if (takes(spec, &at, ".", &found))
		layout->precision = read_number(spec, &at);
	takes(spec, &at, "sdbxXoeEfFgGn%", &layout->type);
	return at == spec->n_bytes && layout->width <= FORMAT_WIDTH_MAX &&
	       layout->precision <= FORMAT_WIDTH_MAX;
}

static void put_value(struct braces *braces, struct value value, const struct str *spec)
{
	struct render *r = braces->r;
	struct layout layout;

	if (!spec->n_bytes) {
		write_value(r, value);
		return;
	}
	if (!read_layout(spec, &layout)) {
		render_fail(r, "Invalid format specifier");
	} else if (is_number(value) && value.kind != VALUE_BOOL && layout.type != 's') {
		format_number(r, &layout, value);
	} else if (value.kind == VALUE_STRING && (!layout.type || layout.type == 's')) {
		format_text(r, &layout, value.string);
	} else {
		render_fail(r, "unsupported format string passed to %s.__format__",
			    value_type(value));
	}
}

/* {name!conversion:spec}: bytes [at, end) are inside of the braces. */
static void put_field(struct braces *braces, size_t at, size_t end, unsigned depth)
{
	struct render *r = braces->r;
	const struct str *format = braces->format;
	size_t name_end = part_end(format, at, end, "!:"), begin;
	struct value value = field_value(braces, at, name_end);
	const struct str *spec;
	char conversion = 's';
	bool is_converted = name_end < end && format->bytes[name_end] == '!';

	if (is_converted) {
		conversion = name_end + 1 < end ? format->bytes[name_end + 1] : '\0';
		name_end += 2;
		if (!conversion || !strchr("rsa", conversion) ||
		    (name_end < end && format->bytes[name_end] != ':')) {
			render_fail(r, "expected ':' after conversion specifier");
			return;
		}
	}
	begin = text_begin(r);
	if (name_end < end)
		put_range(braces, name_end + 1, end, depth + 1);
	spec = text_end(r, begin);
	if (is_converted) {
		begin = text_begin(r);
		if (conversion == 's')
			write_value(r, value);
		else
			write_repr(r, value);
		value = value_string(text_end(r, begin));
	}
	if (render_goes_on(r))
		put_value(braces, value, spec);
}

/* The brace that closes the one before `at`. */
static size_t closing(const struct str *format, size_t at, size_t end)
{
	unsigned depth = 1;

	for (; at < end; at++) {
		depth += format->bytes[at] == '{';
		depth -= format->bytes[at] == '}';
		if (!depth)
			break;
	}
	return at;
}

static void put_range(struct braces *braces, size_t at, size_t end, unsigned depth)
{
	struct render *r = braces->r;
	const struct str *format = braces->format;

	if (depth > NESTED_MAX) {
		render_fail(r, "Max string recursion exceeded");
		return;
	}
	while (at < end && render_step(r, 1)) {
		size_t stop = part_end(format, at, end, "{}"), close;

		text_add_part(r, format, at, stop);
		at = stop;
		if (at == end)
			return;
		if (at + 1 < end && format->bytes[at + 1] == format->bytes[at] && !depth) {
			text_add_part(r, format, at, at + 1);
			at += 2;
			continue;
		}
		close = format->bytes[at] == '{' ? closing(format, at + 1, end) : end;
		if (close == end) {
			render_fail(r, "a single '%c' in the format", format->bytes[at]);
			return;
		}
		put_field(braces, at + 1, close, depth);
		at = close + 1;
	}
}

struct value format_braces(struct render *r, const struct str *format,
			   const struct arguments *args)
{
	struct braces braces = { .r = r, .format = format, .args = args };
	size_t begin = text_begin(r);

	put_range(&braces, 0, format->n_bytes, 0);
	return value_string(text_end(r, begin));
}
