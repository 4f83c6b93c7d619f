/* SPDX-License-Identifier: Apache-2.0 */
#include "jinja/format.h"

#include "jinja/codepoint.h"
#include "jinja/number.h"
#include "jinja/write.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
	DIGITS_MAX = 512,
	PRECISION_MAX = 120,	/* digits of a float behind the point */
};

/* --- layout --- */

static void pad(struct render *r, const struct layout *layout, uint32_t fill, int64_t n)
{
	for (int64_t i = 0; i < n && render_step(r, 1); i++)
		text_add_char(r, fill, !layout->fill_is_foreign);
}

void format_text(struct render *r, const struct layout *layout, const struct str *str)
{
	size_t n_chars = str->n_chars, n_bytes = str->n_bytes;
	int64_t space, before;

	if (layout->precision >= 0 && (size_t)layout->precision < n_chars) {
		n_chars = (size_t)layout->precision;
		n_bytes = codepoint_skip(str->bytes, n_bytes, n_chars);
	}
	space = layout->width - (int64_t)n_chars;
	if (space < 0)
		space = 0;
	before = layout->align == '>' ? space : layout->align == '^' ? space / 2 : 0;
	pad(r, layout, layout->fill, before);
	text_add_part(r, str, 0, n_bytes);
	pad(r, layout, layout->fill, space - before);
}

/* sign, prefix and digits with what fills the width. */
static void lay_out(struct render *r, const struct layout *layout, const char *sign,
		    const char *digits)
{
	int64_t space = layout->width - (int64_t)strlen(sign) - (int64_t)strlen(digits);
	char align = layout->align ? layout->align : layout->has_zeros ? '=' : '>';
	uint32_t fill = layout->has_zeros && !layout->align ? '0' : layout->fill;
	int64_t before = align == '>' ? space : align == '^' ? space / 2 : 0;

	if (space < 0)
		space = before = 0;
	pad(r, layout, fill, before);
	text_add_own(r, sign);
	if (align == '=') {
		pad(r, layout, fill, space);
		space = 0;
	}
	text_add_own(r, digits);
	pad(r, layout, fill, space - before);
}

static void sign_of(const struct layout *layout, bool is_negative, const char *prefix,
		    char sign[8])
{
	const char *mark = is_negative ? "-" : layout->sign == '+' ? "+" :
			   layout->sign == ' ' ? " " : "";

	snprintf(sign, 8, "%s%s", mark, layout->has_alternate ? prefix : "");
}

/* 1234567 -> 1,234,567 */
static void group(char digits[DIGITS_MAX])
{
	size_t n = strspn(digits, "0123456789"), n_commas = n ? (n - 1) / 3 : 0;
	size_t length = strlen(digits);

	if (length + n_commas >= DIGITS_MAX)
		return;
	memmove(digits + n + n_commas, digits + n, length - n + 1);
	for (size_t i = n, k = 0; n_commas && i--; k++) {
		if (k && k % 3 == 0)
			digits[i + n_commas--] = ',';
		digits[i + n_commas] = digits[i];
	}
}

static void format_integer(struct render *r, const struct layout *layout, int64_t integer)
{
	uint64_t n = integer < 0 ? -(uint64_t)integer : (uint64_t)integer;
	char digits[DIGITS_MAX], sign[8];
	const char *prefix = "";
	unsigned base = 10;
	char *at = digits + sizeof digits - 1;
	const char *letters = layout->type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";

	if (layout->type == 'x' || layout->type == 'X') {
		base = 16;
		prefix = layout->type == 'x' ? "0x" : "0X";
	} else if (layout->type == 'o' || layout->type == 'b') {
		base = layout->type == 'o' ? 8 : 2;
		prefix = layout->type == 'o' ? "0o" : "0b";
	}
	*at = '\0';
	do
		*--at = letters[n % base];
	while (n /= base);
	while (layout->precision > digits + sizeof digits - 1 - at && at > digits + 8)
		*--at = '0';
	memmove(digits, at, strlen(at) + 1);
	if (layout->has_commas)
		group(digits);
	sign_of(layout, integer < 0, prefix, sign);
	lay_out(r, layout, sign, digits);
}

static void print_real(char digits[DIGITS_MAX], char type, int precision, double real)
{
	switch (type) {
	case 'e':
		snprintf(digits, DIGITS_MAX, "%.*e", precision, real);
		break;
	case 'E':
		snprintf(digits, DIGITS_MAX, "%.*E", precision, real);
		break;
	case 'f':
		snprintf(digits, DIGITS_MAX, "%.*f", precision, real);
		break;
	case 'F':
		snprintf(digits, DIGITS_MAX, "%.*F", precision, real);
		break;
	case 'G':
		snprintf(digits, DIGITS_MAX, "%.*G", precision, real);
		break;
	default:
		snprintf(digits, DIGITS_MAX, "%.*g", precision, real);
	}
}

static void format_real(struct render *r, const struct layout *layout, double real)
{
	char digits[DIGITS_MAX], sign[8];
	char type = layout->type ? layout->type : 'g';
	int precision = layout->precision < 0 ? 6 : layout->precision;

	if (precision > PRECISION_MAX) {
		render_fail(r, "a precision of more than %d digits", PRECISION_MAX);
		return;
	}
	if (type == '%') {
		real *= 100;
		type = 'f';
	}
	if (!layout->type && layout->precision < 0)
		number_write_float(fabs(real), digits);
	else
		print_real(digits, type, precision, fabs(real));
	if (!layout->type && isfinite(real) && !strpbrk(digits, ".e"))
		strcat(digits, ".0");
	if (layout->has_commas)
		group(digits);
	if (layout->type == '%')
		strcat(digits, "%");
	sign_of(layout, signbit(real) && !isnan(real), "", sign);
	lay_out(r, layout, sign, digits);
}

void format_number(struct render *r, const struct layout *layout, struct value number)
{
	if (is_integer(number) && (!layout->type || strchr("diuxXobn", layout->type)))
		format_integer(r, layout, integer_of(number));
	else
		format_real(r, layout, real_of(number));
}

/* --- escapes --- */

const struct str *str_safe(struct render *r, const struct str *str)
{
	struct str *safe = render_alloc(r, sizeof *safe);

	if (!safe)
		return &str_empty;
	*safe = *str;
	safe->is_safe = true;
	return safe;
}

const struct str *str_escaped(struct render *r, const struct str *str)
{
	static const char from[] = "&<>'\"";
	static const char *const to[] = { "&amp;", "&lt;", "&gt;", "&#39;", "&#34;" };
	size_t begin = text_begin(r), done = 0;

	for (size_t at = 0; at < str->n_bytes && render_goes_on(r); at++) {
		const char *found = str->bytes[at] ? strchr(from, str->bytes[at]) : NULL;

		if (!found)
			continue;
		text_add_part(r, str, done, at);
		text_add(r, to[found - from], strlen(to[found - from]), str_byte_is_own(str, at));
		done = at + 1;
	}
	text_add_part(r, str, done, str->n_bytes);
	return str_safe(r, text_end(r, begin));
}
