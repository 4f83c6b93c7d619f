/* SPDX-License-Identifier: Apache-2.0 */
#include "jinja/evaluate.h"
#include "jinja/ast.h"
#include "jinja/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

BUILTIN(absolute)
{
	(void)args, (void)all;
	if (self.kind == VALUE_UNDEFINED)
		return render_fail_undefined(r, self);
	if (self.kind == VALUE_FLOAT)
		return value_float(fabs(self.real));
	if (!is_integer(self))
		return render_fail(r, "bad operand type for abs(): '%s'", value_type(self));
	return integer_of(self) < 0 ? value_arithmetic(r, OPERATOR_SUBTRACT, value_int(0), self) :
				      value_int(integer_of(self));
}

static bool truncated(double real, int64_t *integer_out)
{
	if (!(real > -0x1p63 && real < 0x1p63))
		return false;
	*integer_out = (int64_t)real;
	return true;
}

BUILTIN(to_int)
{
	int64_t base = integer_arg(r, args[1], 10), integer;
	double real;

	(void)all;
	if (self.kind == VALUE_UNDEFINED)
		return render_fail_undefined(r, self);
	if (is_integer(self))
		return value_int(integer_of(self));
	if (self.kind == VALUE_FLOAT && truncated(self.real, &integer))
		return value_int(integer);
	if (self.kind == VALUE_STRING)
		render_count_bytes(r, self.string->n_bytes);
	if (self.kind == VALUE_STRING && base >= 0 && base <= 36 &&
	    number_parse_int(self.string->bytes, self.string->n_bytes, (unsigned)base, &integer))
		return value_int(integer);
	if (self.kind == VALUE_STRING &&
	    number_parse_float(self.string->bytes, self.string->n_bytes, &real) &&
	    truncated(real, &integer))
		return value_int(integer);
	return is_given(args[0]) ? args[0] : value_int(0);
}

BUILTIN(to_float)
{
	double real;

	(void)all;
	if (self.kind == VALUE_UNDEFINED)
		return render_fail_undefined(r, self);
	if (is_number(self))
		return value_float(real_of(self));
	if (self.kind == VALUE_STRING)
		render_count_bytes(r, self.string->n_bytes);
	if (self.kind == VALUE_STRING &&
	    number_parse_float(self.string->bytes, self.string->n_bytes, &real))
		return value_float(real);
	return is_given(args[0]) ? args[0] : value_float(0);
}

/* As Python's round: to the nearest decimal, halves of the exact binary value to even. */
static double rounded(double real, int precision)
{
	char digits[400];

	if (!isfinite(real) || precision > 20)
		return real;
	if (precision >= 0) {
		snprintf(digits, sizeof digits, "%.*f", precision, real);
		return strtod(digits, NULL);
	}
	if (precision < -308)
		return 0 * real;
	return nearbyint(real / pow(10, -precision)) * pow(10, -precision);
}

static struct value rounded_integer(struct render *r, struct value self, int precision)
{
	int64_t integer;

	if (!truncated(rounded(real_of(self), precision), &integer))
		return render_fail(r, "the result needs more than 64 bits");
	return value_int(integer);
}

BUILTIN(round_to)
{
	int64_t precision = integer_arg(r, args[0], 0);
	const struct str *method = is_given(args[1]) ? text_of(r, args[1]) : NULL;
	double factor;

	(void)all;
	if (self.kind == VALUE_UNDEFINED)
		return render_fail_undefined(r, self);
	if (!is_number(self))
		return render_fail(r, "type %s doesn't define __round__ method", value_type(self));
	precision = precision > 400 ? 400 : precision < -400 ? -400 : precision;
	if (!method || str_is(method, "common")) {
		if (is_integer(self) && precision >= 0)
			return value_int(integer_of(self));
		if (is_integer(self))
			return rounded_integer(r, self, (int)precision);
		return value_float(rounded(self.real, (int)precision));
	}
	if (!str_is(method, "ceil") && !str_is(method, "floor"))
		return render_fail(r, "method must be common, ceil or floor");
	factor = pow(10, (double)precision);
	return value_float((str_is(method, "ceil") ? ceil(real_of(self) * factor) :
						     floor(real_of(self) * factor)) / factor);
}

const struct builtin number_filters[] = {
	{ "abs", "", 0, absolute },
	{ "int", "default base", 0, to_int },
	{ "float", "default", 0, to_float },
	{ "round", "precision method", 0, round_to },
	{ 0 },
};
