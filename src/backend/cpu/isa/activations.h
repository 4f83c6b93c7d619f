/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_ACTIVATIONS_H
#define STAGECOACH_BACKEND_CPU_ISA_ACTIVATIONS_H
/*
 * activations - tanh and the activation functions in vectors; include after a vec_*.h and exp.h.
 * Errors, measured over twelve million numbers with each instruction set: tanh at most 2.5 units in
 * the last place; activations at most 1.3e-7 times the argument, which are 3 units in the last
 * place unless the result vanishes beside the argument. tests/backend/test_activations.c checks
 * both.
 */
#include "backend/row_ops.h"

#include <stdint.h>

typedef int32_t vec_bits __attribute__((vector_size(LANES * sizeof(int32_t))));

/* yes where x > limit, else no; no where x is NaN. */
static inline vec vec_if_above(vec x, vec limit, vec yes, vec no)
{
	vec_bits is_above = (vec_bits)(x > limit);

	return (vec)((is_above & (vec_bits)yes) | (~is_above & (vec_bits)no));
}

static inline vec vec_copy_sign(vec magnitude, vec sign)
{
	return (vec)(((vec_bits)magnitude & INT32_MAX) | ((vec_bits)sign & INT32_MIN));
}

/* Written with e^y - 1, because 1 - e^y would lose the digits of small results. */
static inline vec vec_tanh(vec x)
{
	vec e = vec_exp_less_1(vec_mul(vec_abs(x), vec_set1(-2.0f)));

	return vec_copy_sign(vec_div(e, vec_add(vec_set1(2.0f), e)), x);
}

/* The share of a normal distribution below x, (1 + erf(x / sqrt(2))) / 2: below -|x| it is
 * e^(-x^2 / 2) times a polynomial in u = |x| / (4 + |x|), fitted with a relative error of 1e-8. */
static inline vec vec_normal_share(vec x)
{
	vec t = vec_min(vec_set1(1000.0f), vec_mul(vec_abs(x), vec_set1(0.25f)));
	vec u = vec_div(t, vec_add(t, vec_set1(1.0f)));
	vec p = vec_set1(-3.521335e-2f), tail;

	p = vec_fma(p, u, vec_set1(1.1395561e-1f));
	p = vec_fma(p, u, vec_set1(-5.47426e-2f));
	p = vec_fma(p, u, vec_set1(-2.0395611e-1f));
	p = vec_fma(p, u, vec_set1(1.0697468e-1f));
	p = vec_fma(p, u, vec_set1(8.708307e-1f));
	p = vec_fma(p, u, vec_set1(-2.1063182f));
	p = vec_fma(p, u, vec_set1(2.4042118f));
	p = vec_fma(p, u, vec_set1(-1.5957686f));
	p = vec_fma(p, u, vec_set1(0.5f));
	tail = vec_mul(p, vec_exp(vec_mul(vec_mul(x, x), vec_set1(-0.5f))));
	return vec_if_above(x, vec_set1(0), vec_sub(vec_set1(1.0f), tail), tail);
}

/* x / 2 * (1 + tanh(u)) is x / (1 + e^(-2 u)). */
static inline vec gelu_tanh(vec x)
{
	const float linear = -1.5957691f;	/* -2 sqrt(2 / pi) */
	const float cubic = -0.07135482f;	/* times 0.044715 */
	vec u = vec_mul(x, vec_fma(vec_mul(x, x), vec_set1(cubic), vec_set1(linear)));

	return vec_div(x, vec_add(vec_set1(1.0f), vec_exp(u)));
}

static inline vec xielu(const struct activation *a, vec x)
{
	vec beta = vec_set1(a->beta), least = vec_min(vec_set1(a->eps), x);
	vec up = vec_mul(x, vec_fma(vec_set1(a->alpha_p), x, beta));
	vec down = vec_fma(vec_set1(a->alpha_n), vec_sub(vec_exp_less_1(least), x),
			   vec_mul(beta, x));

	return vec_if_above(x, vec_set1(0), up, down);
}

/* kind is a constant where this is inlined. */
static inline vec activated(const enum activation_kind kind, const struct activation *a, vec x)
{
	vec positive = vec_max(vec_set1(0), x);

	switch (kind) {
	case ACTIVATION_GELU_TANH:
		return gelu_tanh(x);
	case ACTIVATION_GELU_ERF:
		return vec_mul(x, vec_normal_share(x));
	case ACTIVATION_RELU:
		return positive;
	case ACTIVATION_RELU2:
		return vec_mul(positive, positive);
	case ACTIVATION_XIELU:
		return xielu(a, x);
	case ACTIVATION_SILU:
		break;
	}
	return vec_div(x, vec_add(vec_set1(1), vec_exp(vec_sub(vec_set1(0), x))));
}

/* DO(kind) with the kind as a constant. */
#define ACTIVATION_CASE(kind, DO)							\
	case kind:									\
		DO(kind)								\
		break;
#define FOR_ACTIVATION(its_kind, DO)							\
	switch (its_kind) {								\
	ACTIVATION_CASE(ACTIVATION_SILU, DO)						\
	ACTIVATION_CASE(ACTIVATION_GELU_TANH, DO)					\
	ACTIVATION_CASE(ACTIVATION_GELU_ERF, DO)					\
	ACTIVATION_CASE(ACTIVATION_RELU, DO)						\
	ACTIVATION_CASE(ACTIVATION_RELU2, DO)						\
	ACTIVATION_CASE(ACTIVATION_XIELU, DO)						\
	}

#endif
