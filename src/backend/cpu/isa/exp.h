/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_EXP_H
#define STAGECOACH_BACKEND_CPU_ISA_EXP_H
/*
 * exp - e^x in vectors; include after a vec_*.h.
 * x = n ln 2 + r with |r| <= ln 2 / 2. e^r is its Taylor series up to r^7, with a relative error
 * below 6e-9. Results below the smallest normal number become 0; e^0 is exactly 1.
 */
static inline vec vec_exp(vec x)
{
	const float lowest = -87.33654f;
	vec bounded = vec_max(vec_set1(lowest), vec_min(vec_set1(89.0f), x));
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
	p = vec_fma(p, r, vec_set1(1.0f));
	return vec_zero_below(vec_scale(p, n), x, lowest);
}

#endif
