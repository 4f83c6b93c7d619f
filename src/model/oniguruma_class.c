/* SPDX-License-Identifier: Apache-2.0 */
/* Characters, properties and classes. A class whose sets PCRE2 can list in one pair of brackets
 * becomes such a pair; others become alternatives and looks ahead of one character each. */
#include "model/oniguruma_private.h"

#include "model/quote.h"
#include "model/unicode_class.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

const char *oniguruma_set(char letter)
{
	switch (letter) {
	case 's':
	case 'S':
		return SPACE_ITEMS;
	case 'd':
	case 'D':
		return "\\p{Nd}";
	case 'w':
	case 'W':
		return WORD_ITEMS;
	case 'h':
	case 'H':
		return "0-9a-fA-F";
	default:
		return NULL;
	}
}

/* --- properties --- */

/* Names without case, blanks, - and _. Scripts are not here. */
static const struct {
	const char *name, *items;
} properties[] = {
	{ "any", "\\p{Any}" }, { "ascii", "\\x{0}-\\x{7F}" },
	{ "alpha", "\\p{Alphabetic}" }, { "alphabetic", "\\p{Alphabetic}" },
	{ "alnum", "\\p{Alphabetic}\\p{Nd}" }, { "digit", "\\p{Nd}" },
	{ "upper", "\\p{Uppercase}" }, { "uppercase", "\\p{Uppercase}" },
	{ "lower", "\\p{Lowercase}" }, { "lowercase", "\\p{Lowercase}" },
	{ "space", SPACE_ITEMS }, { "whitespace", SPACE_ITEMS }, { "word", WORD_ITEMS },
	{ "punct", "\\p{P}$+<=>^`|~" }, { "cntrl", "\\p{Cc}" }, { "xdigit", "0-9a-fA-F" },
	{ "ideographic", "\\p{Ideographic}" }, { "emoji", "\\p{Emoji}" },
	{ "letter", "\\p{L}" }, { "uppercaseletter", "\\p{Lu}" },
	{ "lowercaseletter", "\\p{Ll}" }, { "titlecaseletter", "\\p{Lt}" },
	{ "modifierletter", "\\p{Lm}" }, { "otherletter", "\\p{Lo}" },
	{ "mark", "\\p{M}" }, { "nonspacingmark", "\\p{Mn}" }, { "spacingmark", "\\p{Mc}" },
	{ "enclosingmark", "\\p{Me}" }, { "number", "\\p{N}" }, { "decimalnumber", "\\p{Nd}" },
	{ "letternumber", "\\p{Nl}" }, { "othernumber", "\\p{No}" },
	{ "punctuation", "\\p{P}" }, { "connectorpunctuation", "\\p{Pc}" },
	{ "dashpunctuation", "\\p{Pd}" }, { "openpunctuation", "\\p{Ps}" },
	{ "closepunctuation", "\\p{Pe}" }, { "initialpunctuation", "\\p{Pi}" },
	{ "finalpunctuation", "\\p{Pf}" }, { "otherpunctuation", "\\p{Po}" },
	{ "symbol", "\\p{S}" }, { "mathsymbol", "\\p{Sm}" }, { "currencysymbol", "\\p{Sc}" },
	{ "modifiersymbol", "\\p{Sk}" }, { "othersymbol", "\\p{So}" },
	{ "separator", "\\p{Z}" }, { "spaceseparator", "\\p{Zs}" },
	{ "lineseparator", "\\p{Zl}" }, { "paragraphseparator", "\\p{Zp}" },
	{ "other", "\\p{C}" }, { "control", "\\p{Cc}" }, { "format", "\\p{Cf}" },
	{ "unassigned", "\\p{Cn}" }, { "privateuse", "\\p{Co}" },
};

/* General categories of one or two letters. */
static bool is_category(const char *name)
{
	static const char categories[] =
		" l lu ll lt lm lo m mn mc me n nd nl no p pc pd ps pe pi pf po "
		"s sm sc sk so z zs zl zp c cc cf cn co ";
	char spaced[8];

	if (strlen(name) > 2)
		return false;
	snprintf(spaced, sizeof spaced, " %s ", name);
	return strstr(categories, spaced) != NULL;
}

static void name_items(const char *name, struct property *property)
{
	for (size_t i = 0; i < sizeof properties / sizeof *properties; i++)
		if (!strcmp(name, properties[i].name)) {
			snprintf(property->items, sizeof property->items, "%s",
				 properties[i].items);
			return;
		}
	if (is_category(name))
		snprintf(property->items, sizeof property->items, "\\p{%c%s}",
			 toupper((unsigned char)name[0]), name + 1);
	else	/* PCRE2 refuses what is no script */
		snprintf(property->items, sizeof property->items, "\\p{sc:%s}", name);
}

/* \p{NAME}, as items of a class. */
static enum sc_status oniguruma_property(struct translation *t, struct property *property_out)
{
	const size_t begin = t->at;
	struct property property = { .is_negated = t->text[t->at + 1] == 'P' };
	char name[40];
	size_t n = 0;

	t->at += 2;
	if (!translation_takes(t, "{"))
		return translation_refuse(t, begin, "a property without { }");
	if (translation_takes(t, "^"))
		property.is_negated = !property.is_negated;
	for (; t->at < t->n && t->text[t->at] != '}'; t->at++) {
		const unsigned char c = (unsigned char)t->text[t->at];

		if (c == ' ' || c == '-' || c == '_')
			continue;
		if (!isalnum(c) || c >= 0x80 || n + 1 == sizeof name)
			return translation_refuse(t, begin, "this property");
		name[n++] = (char)tolower(c);
	}
	name[n] = '\0';
	if (!n || !translation_takes(t, "}"))
		return translation_refuse(t, begin, "this property");
	name_items(name, &property);
	*property_out = property;
	return SC_OK;
}

/* --- characters --- */

static bool read_hex(struct translation *t, unsigned n_max, uint32_t *code_out)
{
	uint32_t code = 0;
	unsigned n = 0;

	for (; n < n_max && t->at < t->n; n++, t->at++) {
		const unsigned char c = (unsigned char)t->text[t->at];

		if (!isxdigit(c))
			break;
		code = code * 16 + (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	*code_out = code;
	return n > 0;
}

/* \xHH, \x{H...} and \uHHHH; the letter has been read. \xHH is a byte, so only ASCII is a
 * character. */
static enum sc_status read_code(struct translation *t, size_t begin, bool is_x,
				uint32_t *code_out)
{
	const bool is_braced = is_x && translation_takes(t, "{");
	const size_t digits = t->at;
	bool is_good = read_hex(t, is_braced ? 8 : is_x ? 2 : 4, code_out);

	if (is_braced)
		is_good = is_good && translation_takes(t, "}");
	else if (is_x)
		is_good = is_good && *code_out < 0x80;
	else
		is_good = is_good && t->at == digits + 4;
	if (!is_good || *code_out > 0x10FFFF || (*code_out >= 0xD800 && *code_out <= 0xDFFF))
		return translation_refuse(t, begin, "this character");
	return SC_OK;
}

enum sc_status oniguruma_character(struct translation *t, uint32_t *code_out)
{
	static const char letters[] = "tnrfvae", values[] = "\t\n\r\f\v\a\x1B";
	const size_t begin = t->at;
	const char *letter;
	enum sc_status status = translation_read(t, code_out);

	if (status || *code_out != '\\')
		return status;
	status = translation_read(t, code_out);
	if (status)
		return status;
	letter = *code_out && *code_out < 0x80 ? strchr(letters, (int)*code_out) : NULL;
	if (letter) {
		*code_out = (uint8_t)values[letter - letters];
		return SC_OK;
	}
	if (*code_out == 'x' || *code_out == 'u')
		return read_code(t, begin, *code_out == 'x', code_out);
	if (*code_out < 0x80 && isalnum((int)*code_out))
		return translation_refuse(t, begin, "this escape");
	return SC_OK;
}

enum sc_status oniguruma_write(struct buf *out, uint32_t code)
{
	char bytes[4];

	if (code < 0x80 ? !isalnum((int)code) : code < 0xA0)
		return buf_add_format(out, "\\x{%X}", code);
	return buf_add(out, bytes, unicode_write(code, bytes));
}

/* --- classes --- */

/* A union of sets: items fit into one pair of brackets; the others are expressions of one
 * character, each behind a |. */
struct set {
	struct buf items, others;
};

static void set_deinit(struct set *set)
{
	buf_deinit(&set->items);
	buf_deinit(&set->others);
}

/* Writes an expression that matches one character of the set. */
static enum sc_status write_set(const struct set *set, bool is_negated, struct buf *out)
{
	const bool has_items = set->items.length, has_others = set->others.length;
	enum sc_status status = SC_OK;

	if (!has_others && has_items)
		return buf_add_format(out, is_negated ? "[^%s]" : "[%s]", set->items.data);
	if (is_negated)
		status = buf_add_string(out, "(?:(?!");
	if (!status)
		status = buf_add_string(out, "(?:");
	if (!status)
		status = has_items ? buf_add_format(out, "[%s]", set->items.data)
				   : buf_add_string(out, "(?!)");
	if (!status)
		status = buf_add_format(out, "%s)", set->others.data);
	if (!status && is_negated)
		status = buf_add_string(out, ")(?s:.))");
	return status;
}

static enum sc_status add_items(struct set *set, const char *items, bool is_negated)
{
	return is_negated ? buf_add_format(&set->others, "|[^%s]", items)
			  : buf_add_string(&set->items, items);
}

/* [:alpha:] */
static enum sc_status add_bracket(struct translation *t, struct set *set)
{
	const size_t begin = t->at;
	const bool is_negated = (t->at += 2) < t->n && translation_takes(t, "^");
	struct property property;
	char name[16];
	size_t n = 0;

	while (t->at < t->n && islower((unsigned char)t->text[t->at]) && n + 1 < sizeof name)
		name[n++] = t->text[t->at++];
	name[n] = '\0';
	if (!translation_takes(t, ":]") || !strstr(" alpha alnum digit upper lower space word punct "
						   "cntrl xdigit ascii ", name) || n < 4)
		return translation_refuse(t, begin, "this bracket");
	name_items(name, &property);
	return add_items(set, property.items, is_negated);
}

enum sc_status oniguruma_escaped_set(struct translation *t, struct property *set_out)
{
	const char c = t->at + 1 < t->n ? t->text[t->at + 1] : '\0';
	const char *items = oniguruma_set(c);

	*set_out = (struct property){ .items = "" };
	if (c == 'p' || c == 'P')
		return oniguruma_property(t, set_out);
	if (!items)
		return SC_OK;
	t->at += 2;
	snprintf(set_out->items, sizeof set_out->items, "%s", items);
	set_out->is_negated = c < 'a';
	return SC_OK;
}

/* A set behind a backslash. *is_done_out: false if a character is there. */
static enum sc_status add_escape(struct translation *t, struct set *set, bool *is_done_out)
{
	struct property found;
	enum sc_status status = oniguruma_escaped_set(t, &found);

	*is_done_out = found.items[0];
	if (status || !*is_done_out)
		return status;
	return add_items(set, found.items, found.is_negated);
}

/* Reads a character of a class. \b is a backspace there. */
static enum sc_status read_member(struct translation *t, uint32_t *code_out)
{
	if (translation_takes(t, "\\b")) {
		*code_out = '\b';
		return SC_OK;
	}
	return oniguruma_character(t, code_out);
}

/* A character, or a range. */
static enum sc_status add_range(struct translation *t, struct set *set)
{
	const size_t begin = t->at;
	uint32_t first, last;
	enum sc_status status = read_member(t, &first);

	if (!status)
		status = oniguruma_write(&set->items, first);
	if (status || t->n - t->at < 2 || t->text[t->at] != '-' || t->text[t->at + 1] == ']')
		return status;
	t->at++;
	if (t->text[t->at] == '[' || (t->text[t->at] == '\\' && t->at + 1 < t->n &&
				      (oniguruma_set(t->text[t->at + 1]) ||
				       strchr("pP", t->text[t->at + 1]))))
		return translation_refuse(t, begin, "this range");
	status = read_member(t, &last);
	if (status)
		return status;
	if (last < first)
		return translation_refuse(t, begin, "a range in falling order");
	status = buf_add_string(&set->items, "-");
	return status ? status : oniguruma_write(&set->items, last);
}

static enum sc_status add_class(struct translation *t, struct buf *out);

static enum sc_status add_nested(struct translation *t, struct set *set)
{
	const enum sc_status status = buf_add_string(&set->others, "|");

	return status ? status : add_class(t, &set->others);
}

static enum sc_status add_member(struct translation *t, struct set *set)
{
	bool is_done = false;
	enum sc_status status = SC_OK;

	if (t->text[t->at] == '[')
		return t->at + 1 < t->n && t->text[t->at + 1] == ':' ? add_bracket(t, set)
								     : add_nested(t, set);
	if (t->text[t->at] == '\\')
		status = add_escape(t, set, &is_done);
	if (status || is_done)
		return status;
	return add_range(t, set);
}

/* One union, up to && or ]. */
static enum sc_status read_union(struct translation *t, struct set *set)
{
	enum sc_status status = SC_OK;

	while (!status) {
		if (t->at >= t->n)
			return translation_refuse(t, t->at, "an unfinished class");
		if (t->text[t->at] == ']' ||
		    (t->n - t->at >= 2 && !memcmp(t->text + t->at, "&&", 2)))
			return SC_OK;
		status = add_member(t, set);
	}
	return status;
}

/* Reads A&&B&&C]. The last union stays in *set; each one before it becomes a look ahead. */
static enum sc_status read_intersection(struct translation *t, struct set *set, struct buf *ahead)
{
	enum sc_status status = SC_OK;

	/* A ] at the start is a character, if another one closes the class. */
	if (t->at < t->n && t->text[t->at] == ']') {
		t->at++;
		status = buf_add_string(&set->items, "\\]");
	}
	if (!status)
		status = read_union(t, set);
	while (!status && translation_takes(t, "&&")) {
		status = buf_add_string(ahead, "(?=");
		if (!status)
			status = write_set(set, false, ahead);
		if (!status)
			status = buf_add_string(ahead, ")");
		buf_truncate(&set->items, 0);
		buf_truncate(&set->others, 0);
		if (!status)
			status = read_union(t, set);
	}
	t->at += !status;	/* ] */
	return status;
}

static enum sc_status write_class(const struct set *set, const struct buf *ahead, bool is_negated,
				  struct buf *out)
{
	enum sc_status status;

	if (!ahead->length)
		return write_set(set, is_negated, out);
	status = buf_add_format(out, is_negated ? "(?:(?!%s" : "(?:%s", ahead->data);
	if (!status)
		status = write_set(set, false, out);
	return status ? status : buf_add_string(out, is_negated ? ")(?s:.))" : ")");
}

static enum sc_status add_class(struct translation *t, struct buf *out)
{
	struct set set = { .items = BUF_INIT, .others = BUF_INIT };
	struct buf ahead = BUF_INIT;
	bool is_negated;
	enum sc_status status;

	if (++t->depth > ONIGURUMA_MAX_DEPTH)
		return translation_refuse(t, t->at, "deeper nesting");
	t->at++;
	is_negated = translation_takes(t, "^");
	status = read_intersection(t, &set, &ahead);
	if (!status)
		status = write_class(&set, &ahead, is_negated, out);
	t->depth--;
	set_deinit(&set);
	buf_deinit(&ahead);
	return status;
}

enum sc_status oniguruma_class(struct translation *t)
{
	return add_class(t, t->out);
}
