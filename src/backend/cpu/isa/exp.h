/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_EXP_H
#define STAGECOACH_BACKEND_CPU_ISA_EXP_H
/*
 * exp - e^x and e^x - 1 in vectors; include after a vec_*.h.
 * x = n ln 2 + r with |r| <= ln 2 / 2. e^r is its Taylor series up to r^7, with a relative error
 * below 6e-9.
 */
struct vec_power {
	vec n;
	vec r;
	vec p;		/* (e^r - 1) / r */
};

static const float exp_lowest = -87.33654f;

static inline struct vec_power vec_power_of(vec x)
{
	vec bounded = vec_max(vec_set1(exp_lowest), vec_min(vec_set1(89.0f), x));
	vec n = vec_round(vec_mul(bounded, vec_set1(1.44269504f)));
	/* ln 2 in two parts. The first has 9 bits, so its products with n are exact. */
	vec r = vec_fma(n, vec_set1(-0.693359375f), bounded);
	vec p = vec_set1(1.0f / 5040);

	r = vec_fma(n, vec_set1(2.12194440e-4f), r);
	p = vec_fma(p, r, vec_set1(1.0f / 720));
	p = vec_fma(p, r, vec_set1(1.0f / 120));
	p = vec_fma(p, r, vec_set1(1.0f / 24));
	p = vec_fma(p, r, vec_set1(1.0f / 6));
	p = vec_fma(p, r, vec_set1(0.5f));
	p = vec_fma(p, r, vec_set1(1.0f));
	return (struct vec_power){ n, r, p };
}

/* Results below the smallest normal number become 0; e^0 is exactly 1. */
static inline vec vec_exp(vec x)
{
	struct vec_power power = vec_power_of(x);
	vec e = vec_scale(vec_fma(power.p, power.r, vec_set1(1.0f)), power.n);

	return vec_zero_below(e, x, exp_lowest);
}

/* e^x - 1 without cancellation for small x. */
static inline vec vec_exp_less_1(vec x)
{
	struct vec_power power = vec_power_of(x);
	vec scale = vec_scale(vec_set1(1.0f), power.n);

	return vec_fma(scale, vec_mul(power.p, power.r), vec_sub(scale, vec_set1(1.0f)));
}

#endif
