/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operators with two operands. Integers have 64 bits; a result beyond is a failure.
 */
#include "jinja/ast.h"
#include "jinja/evaluate.h"
#include "jinja/format.h"
#include "jinja/iterate.h"

#include <math.h>

static const char *const symbols[] = {
	[OPERATOR_ADD] = "+", [OPERATOR_SUBTRACT] = "-", [OPERATOR_MULTIPLY] = "*",
	[OPERATOR_DIVIDE] = "/", [OPERATOR_FLOOR_DIVIDE] = "//", [OPERATOR_MODULO] = "%",
	[OPERATOR_POWER] = "** or pow()",
};

static struct value too_wide(struct render *r)
{
	return render_fail(r, "the result needs more than 64 bits");
}

/* --- numbers --- */

static int64_t floor_divide(int64_t a, int64_t b)
{
	int64_t quotient = a / b;

	return quotient - (a % b && (a < 0) != (b < 0));
}

static struct value power_of_integers(struct render *r, int64_t base, int64_t exponent)
{
	int64_t result = 1;

	if (exponent < 0) {
		if (!base)
			return render_fail(r, "0.0 cannot be raised to a negative power");
		return value_float(pow((double)base, (double)exponent));
	}
	if (base == 0 || base == 1 || base == -1)
		return value_int(!exponent ? 1 : base == -1 && exponent % 2 == 0 ? 1 : base);
	if (exponent > 63)
		return too_wide(r);
	while (exponent--)
		if (__builtin_mul_overflow(result, base, &result))
			return too_wide(r);
	return value_int(result);
}

static struct value of_integers(struct render *r, unsigned operator, int64_t a, int64_t b)
{
	int64_t result;

	switch (operator) {
	case OPERATOR_ADD:
		return __builtin_add_overflow(a, b, &result) ? too_wide(r) : value_int(result);
	case OPERATOR_SUBTRACT:
		return __builtin_sub_overflow(a, b, &result) ? too_wide(r) : value_int(result);
	case OPERATOR_MULTIPLY:
		return __builtin_mul_overflow(a, b, &result) ? too_wide(r) : value_int(result);
	case OPERATOR_POWER:
		return power_of_integers(r, a, b);
	}
	if (!b)
		return render_fail(r, operator == OPERATOR_DIVIDE ? "division by zero" :
				      "integer division or modulo by zero");
	if (operator == OPERATOR_DIVIDE)
		return value_float((double)a / (double)b);
	if (b == -1)
		return operator == OPERATOR_MODULO ? value_int(0) :
		       of_integers(r, OPERATOR_SUBTRACT, 0, a);
	result = floor_divide(a, b);
	return value_int(operator == OPERATOR_MODULO ? a - result * b : result);
}

static double real_modulo(double a, double b)
{
	double rest = fmod(a, b);

	if (rest && (b < 0) != (rest < 0))
		rest += b;
	return rest ? rest : copysign(0, b);
}

/* As Python's float_floor_div, which starts from the remainder. */
static double real_floor_divide(double a, double b)
{
	double quotient = (a - real_modulo(a, b)) / b;
	double whole = floor(quotient);

	if (!quotient)
		return copysign(0, a / b);
	return quotient - whole > 0.5 ? whole + 1 : whole;
}

static struct value of_reals(struct render *r, unsigned operator, double a, double b)
{
	switch (operator) {
	case OPERATOR_ADD:
		return value_float(a + b);
	case OPERATOR_SUBTRACT:
		return value_float(a - b);
	case OPERATOR_MULTIPLY:
		return value_float(a * b);
	case OPERATOR_POWER:
		if (!a && b < 0)
			return render_fail(r, "0.0 cannot be raised to a negative power");
		if (a < 0 && b != floor(b) && isfinite(b))
			return render_fail(r, "the power is not a real number");
		if (isfinite(a) && isfinite(b) && !isfinite(pow(a, b)))
			return render_fail(r, "the power is too large");
		return value_float(pow(a, b));
	}
	if (!b)
		return render_fail(r, operator == OPERATOR_DIVIDE ? "float division by zero" :
				      operator == OPERATOR_MODULO ? "float modulo" :
				      "float floor division by zero");
	return value_float(operator == OPERATOR_DIVIDE ? a / b :
			   operator == OPERATOR_MODULO ? real_modulo(a, b) :
			   real_floor_divide(a, b));
}

/* --- strings and lists --- */

static const struct str *escaped(struct render *r, const struct str *str, bool is_needed)
{
	return is_needed ? str_escaped(r, str) : str;
}

static struct value add_strings(struct render *r, const struct str *a, const struct str *b)
{
	bool is_safe = a->is_safe || b->is_safe;
	const struct str *sum;

	if (!is_safe && !a->n_bytes)
		return value_string(b);
	sum = str_joined(r, escaped(r, a, is_safe && !a->is_safe),
			 escaped(r, b, is_safe && !b->is_safe));
	return value_string(is_safe ? str_safe(r, sum) : sum);
}

static struct value add_arrays(struct render *r, struct value a, struct value b)
{
	struct array *sum = array_create(r, a.array->n + b.array->n);

	for (size_t i = 0; i < a.array->n && render_step(r, 1); i++)
		array_add(r, sum, a.array->values[i]);
	for (size_t i = 0; i < b.array->n && render_step(r, 1); i++)
		array_add(r, sum, b.array->values[i]);
	return a.kind == VALUE_LIST ? value_list(sum) : value_tuple(sum);
}

static struct value repeat(struct render *r, struct value value, int64_t n)
{
	size_t begin = text_begin(r);
	struct array *array;

	if (value.kind == VALUE_STRING) {
		for (int64_t i = 0; i < n && value.string->n_bytes && render_step(r, 1); i++)
			text_add_str(r, value.string);
		return value_string(text_end(r, begin));
	}
	array = array_create(r, 0);
	for (int64_t i = 0; i < n && value.array->n && render_goes_on(r); i++)
		for (size_t k = 0; k < value.array->n && render_step(r, 1); k++)
			array_add(r, array, value.array->values[k]);
	return value.kind == VALUE_LIST ? value_list(array) : value_tuple(array);
}

static bool is_repeatable(struct value value)
{
	return value.kind == VALUE_STRING || value.kind == VALUE_LIST ||
	       value.kind == VALUE_TUPLE;
}

struct value value_arithmetic(struct render *r, unsigned operator, struct value a, struct value b)
{
	if (!render_goes_on(r))
		return UNDEFINED;
	if (is_integer(a) && is_integer(b))
		return of_integers(r, operator, integer_of(a), integer_of(b));
	if (is_number(a) && is_number(b))
		return of_reals(r, operator, real_of(a), real_of(b));
	if (operator == OPERATOR_MODULO && a.kind == VALUE_STRING)
		return format_percent(r, a.string, b);
	if (a.kind == VALUE_UNDEFINED || b.kind == VALUE_UNDEFINED)
		return render_fail_undefined(r, a.kind == VALUE_UNDEFINED ? a : b);
	if (operator == OPERATOR_ADD && a.kind == b.kind) {
		if (a.kind == VALUE_STRING)
			return add_strings(r, a.string, b.string);
		if (a.kind == VALUE_LIST || a.kind == VALUE_TUPLE)
			return add_arrays(r, a, b);
	}
	if (operator == OPERATOR_MULTIPLY && is_repeatable(a) && is_integer(b))
		return repeat(r, a, integer_of(b));
	if (operator == OPERATOR_MULTIPLY && is_integer(a) && is_repeatable(b))
		return repeat(r, b, integer_of(a));
	if (operator == OPERATOR_ADD && a.kind == VALUE_STRING)
		return render_fail(r, "can only concatenate str (not \"%s\") to str",
				   value_type(b));
	return render_fail(r, "unsupported operand type(s) for %s: '%s' and '%s'",
			   symbols[operator], value_type(a), value_type(b));
}
