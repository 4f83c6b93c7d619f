/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Methods that ask something of a string: isdigit and the like.
 */
#include "jinja/codepoint.h"
#include "jinja/functions.h"

static bool is_alphanumeric(uint32_t c)
{
	return codepoint_is_letter(c) || codepoint_is_numeric(c) || codepoint_is_digit(c);
}

/* Whether all characters are of a kind, and there are some. */
static struct value all_are(const struct str *str, bool (*is)(uint32_t))
{
	for (size_t at = 0; at < str->n_bytes;
	     at += codepoint_length((unsigned char)str->bytes[at]))
		if (!is(codepoint_at(str->bytes + at)))
			return value_bool(false);
	return value_bool(str->n_bytes);
}

#define ASKS(name, is)                                                                      \
	static struct value name(struct render *r, struct value self, const struct value *args,  \
				 const struct arguments *all)                                    \
	{                                                                                   \
		(void)args, (void)all;                                                      \
		render_count_chars(r, self.string->n_bytes);                                \
		return all_are(self.string, is);                                            \
	}

ASKS(isalnum_of, is_alphanumeric)
ASKS(isalpha_of, codepoint_is_letter)
ASKS(isdecimal, codepoint_is_decimal)
ASKS(isdigit_of, codepoint_is_digit)
ASKS(isnumeric, codepoint_is_numeric)
ASKS(isspace_of, codepoint_is_space)

/* All letters that have cases have the wanted one, and there are some. */
static bool has_case(const struct str *str, bool wants_upper)
{
	bool is_found = false;

	for (size_t at = 0; at < str->n_bytes;
	     at += codepoint_length((unsigned char)str->bytes[at])) {
		uint32_t c = codepoint_at(str->bytes + at);

		if (codepoint_is_title(c) ||
		    (wants_upper ? codepoint_is_lower(c) : codepoint_is_upper(c)))
			return false;
		is_found |= wants_upper ? codepoint_is_upper(c) : codepoint_is_lower(c);
	}
	return is_found;
}

static struct value islower_of(struct render *r, struct value self, const struct value *args,
			       const struct arguments *all)
{
	(void)args, (void)all;
	render_count_chars(r, self.string->n_bytes);
	return value_bool(has_case(self.string, false));
}

static struct value isupper_of(struct render *r, struct value self, const struct value *args,
			       const struct arguments *all)
{
	(void)args, (void)all;
	render_count_chars(r, self.string->n_bytes);
	return value_bool(has_case(self.string, true));
}

static struct value istitle(struct render *r, struct value self, const struct value *args,
			    const struct arguments *all)
{
	const struct str *str = self.string;
	bool is_inside = false, is_found = false;

	(void)args, (void)all;
	render_count_chars(r, str->n_bytes);
	for (size_t at = 0; at < str->n_bytes;
	     at += codepoint_length((unsigned char)str->bytes[at])) {
		uint32_t c = codepoint_at(str->bytes + at);
		bool is_upper = codepoint_is_upper(c) || codepoint_is_title(c);

		if ((is_upper && is_inside) || (codepoint_is_lower(c) && !is_inside))
			return value_bool(false);
		is_inside = is_upper || codepoint_is_lower(c);
		is_found |= is_inside;
	}
	return value_bool(is_found);
}

static struct value isascii_of(struct render *r, struct value self, const struct value *args,
			       const struct arguments *all)
{
	(void)r, (void)args, (void)all;
	return value_bool(self.string->n_chars == self.string->n_bytes);
}

static struct value isprintable(struct render *r, struct value self, const struct value *args,
				const struct arguments *all)
{
	(void)args, (void)all;
	render_count_chars(r, self.string->n_bytes);
	return self.string->n_bytes ? all_are(self.string, codepoint_is_printable) :
				      value_bool(true);
}

static bool is_name(uint32_t c)
{
	return is_alphanumeric(c) || c == '_';
}

static struct value isidentifier(struct render *r, struct value self, const struct value *args,
				 const struct arguments *all)
{
	const struct str *str = self.string;

	(void)args, (void)all;
	render_count_chars(r, str->n_bytes);
	if (!str->n_bytes || codepoint_is_digit(codepoint_at(str->bytes)))
		return value_bool(false);
	return all_are(str, is_name);
}

const struct builtin string_tests[] = {
	{ "isalnum", "", 0, isalnum_of },
	{ "isalpha", "", 0, isalpha_of },
	{ "isascii", "", 0, isascii_of },
	{ "isdecimal", "", 0, isdecimal },
	{ "isdigit", "", 0, isdigit_of },
	{ "isidentifier", "", 0, isidentifier },
	{ "islower", "", 0, islower_of },
	{ "isnumeric", "", 0, isnumeric },
	{ "isprintable", "", 0, isprintable },
	{ "isspace", "", 0, isspace_of },
	{ "istitle", "", 0, istitle },
	{ "isupper", "", 0, isupper_of },
	{ 0 },
};
