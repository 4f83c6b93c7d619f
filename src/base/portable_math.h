/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_PORTABLE_MATH_H
#define STAGECOACH_BASE_PORTABLE_MATH_H
/*
 * portable_math - e^x and the natural logarithm with the same bits on every machine.
 * Both use only additions, multiplications and divisions of double. Each operation is rounded
 * separately (the build forbids contraction). The results therefore depend neither on the C
 * library, nor on the processor, nor on the vector length. backend/cpu/isa/logits.h computes the
 * same e^x in vectors.
 * Thread: any.
 */
#include <stdint.h>
#include <string.h>

/*
 * e^x = 2^n e^r with n = round(x / ln 2), so |r| <= ln 2 / 2, and e^r = 1 + r q(r). q interpolates
 * (e^r - 1) / r at Chebyshev's points. The relative error of e^x is below 1.2e-10, and e^0 is
 * exactly 1.
 */
#define PORTABLE_EXP_LOWEST (-708.0)		/* smaller arguments give 0 */
#define PORTABLE_EXP_LOG2_E 1.4426950408889634
/* Adding 1.5 * 2^52 rounds a number to an integer and puts that integer into the low bits. */
#define PORTABLE_EXP_ROUND 6755399441055744.0
/* ln 2 in two parts. The high part has 32 bits, so its product with n is exact. */
#define PORTABLE_EXP_LN2_HIGH 0.6931471803691238
#define PORTABLE_EXP_LN2_LOW 1.9082149292705877e-10
#define PORTABLE_EXP_Q0 0.9999999999955075
#define PORTABLE_EXP_Q1 0.5000000047129272
#define PORTABLE_EXP_Q2 0.16666666786327428
#define PORTABLE_EXP_Q3 0.04166635285812105
#define PORTABLE_EXP_Q4 0.00833328353452474
#define PORTABLE_EXP_Q5 0.0013941111029144152
#define PORTABLE_EXP_Q6 0.0001990757163834406
/* 1 + r q(r), of a double or a vector of doubles. */
#define PORTABLE_EXP_SERIES(r) \
	(((((((PORTABLE_EXP_Q6 * (r) + PORTABLE_EXP_Q5) * (r) + PORTABLE_EXP_Q4) * (r) + \
	     PORTABLE_EXP_Q3) * (r) + PORTABLE_EXP_Q2) * (r) + PORTABLE_EXP_Q1) * (r) + \
	  PORTABLE_EXP_Q0) * (r) + 1.0)

static inline double portable_from_bits(uint64_t bits)
{
	double x;

	memcpy(&x, &bits, sizeof x);
	return x;
}

static inline uint64_t portable_to_bits(double x)
{
	uint64_t bits;

	memcpy(&bits, &x, sizeof bits);
	return bits;
}

/* x must be at most 708 and not NaN. -infinity is allowed. */
static inline double portable_exp(double x)
{
	double shifted = x * PORTABLE_EXP_LOG2_E + PORTABLE_EXP_ROUND;
	double n = shifted - PORTABLE_EXP_ROUND;
	double r = x - n * PORTABLE_EXP_LN2_HIGH - n * PORTABLE_EXP_LN2_LOW;

	if (x < PORTABLE_EXP_LOWEST)
		return 0;
	/* Adds n to the exponent. */
	return portable_from_bits(portable_to_bits(PORTABLE_EXP_SERIES(r)) +
				  (portable_to_bits(shifted) << 52));
}

/*
 * x = 2^n m with m between sqrt(1/2) and sqrt(2); ln m = 2 artanh((m - 1) / (m + 1)). The series of
 * artanh is cut after its tenth term, which loses less than 1e-16 of ln m. x must be positive,
 * finite and normal.
 */
static inline double portable_log(double x)
{
	const uint64_t sqrt_half = UINT64_C(0x3fe6a09e667f3bcd);
	uint64_t above = portable_to_bits(x) - sqrt_half;
	double n = (double)((int64_t)above >> 52);
	double m = portable_from_bits((above & (UINT64_MAX >> 12)) + sqrt_half);
	double s = (m - 1) / (m + 1), square = s * s, sum = 0;

	for (int k = 19; k >= 1; k -= 2)
		sum = sum * square + 1.0 / k;
	return n * PORTABLE_EXP_LN2_HIGH + (2 * s * sum + n * PORTABLE_EXP_LN2_LOW);
}

#endif
