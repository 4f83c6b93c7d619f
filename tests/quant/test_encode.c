/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/encode.h"

#include "model/float16.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { N = 8192 };

/* noise: the error of Gaussian noise that is allowed, as a part of it (RMS). It is what a search
 * for the best scales reaches, and 3 % more; plain rounding to the largest element does not, but
 * for the last three. step: the error of any element, as a part of the largest in its (super-)
 * block. */
static const struct {
	enum tensor_type type;
	double noise, step;
} types[] = {
	{ TENSOR_Q4_0, 0.0839, 0.20 }, { TENSOR_Q4_1, 0.0724, 0.15 },
	{ TENSOR_Q5_0, 0.0414, 0.10 }, { TENSOR_Q5_1, 0.0349, 0.08 },
	{ TENSOR_Q2_K, 0.2766, 0.50 }, { TENSOR_Q3_K, 0.1495, 0.40 },
	{ TENSOR_Q4_K, 0.0728, 0.15 }, { TENSOR_Q5_K, 0.0361, 0.08 },
	{ TENSOR_Q6_K, 0.0172, 0.04 }, { TENSOR_IQ4_NL, 0.0759, 0.20 },
	{ TENSOR_IQ4_XS, 0.0766, 0.20 }, { TENSOR_MXFP4, 0.1150, 0.30 },
	{ TENSOR_Q8_0, 0.0055, 0.51 / 127 }, { TENSOR_F16, 0.000214, 0x1p-11 },
	{ TENSOR_BF16, 0.00171, 0x1p-8 },
};

enum { N_TYPES = sizeof types / sizeof types[0] };

static uint64_t random_state;

static double uniform(void)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return ((double)(random_state >> 11) + 0.5) * 0x1p-53;
}

static float gaussian(void)
{
	const double radius = sqrt(-2.0 * log(uniform()));

	return (float)(radius * cos(2.0 * 3.141592653589793 * uniform()));
}

static float noise(size_t i) { (void)i; return 0.02f * gaussian(); }
static float zero(size_t i) { (void)i; return 0.0f; }
static float constant(size_t i) { (void)i; return 0.37f; }
static float negative(size_t i) { (void)i; return -fabsf(gaussian()); }
static float far_from_zero(size_t i) { (void)i; return 5.0f + gaussian(); }
static float ramp(size_t i) { return (float)(i % 256) - 100.0f; }
static float outlier(size_t i) { return i % 97 ? 0.01f * gaussian() : -3.0f; }
static float mixed_scales(size_t i) { return gaussian() * powf(2.0f, (float)(i / 16 % 9) - 4.0f); }
static float alternating(size_t i) { return i & 1 ? 1.0f : -1.0f; }
static float large(size_t i) { (void)i; return 65504.0f * (float)(2.0 * uniform() - 1.0); }
static float tiny(size_t i) { (void)i; return 1e-9f * gaussian(); }
static float vanishing(size_t i) { return i & 1 ? 1e-40f : -1e-38f; }

static float (*const shapes[])(size_t i) = {
	noise, zero, constant, negative, far_from_zero, ramp, outlier, mixed_scales, alternating,
	large, tiny, vanishing,
};

enum { N_SHAPES = sizeof shapes / sizeof shapes[0] };

static void fill(float (*shape)(size_t i), float *x)
{
	random_state = 1;
	for (size_t i = 0; i < N; i++)
		x[i] = shape(i);
}

/* All instruction sets that this machine has; ends with NULL. */
static const struct quant_kernels *const *all_kernels(void)
{
	static const struct quant_kernels *found[CPU_N_ISAS];

	for (unsigned isa = CPU_SCALAR; isa <= cpu_isa_best(); isa++)
		found[isa - CPU_SCALAR] = quant_kernels((enum cpu_isa)isa);
	return found;
}

static const struct quant_kernels *best_kernels(void)
{
	const struct quant_kernels *const *kernels = all_kernels();

	while (kernels[1])
		kernels++;
	return *kernels;
}

static double relative_error(const float *x, const float *y)
{
	double error = 0.0, energy = 0.0;

	for (size_t i = 0; i < N; i++) {
		error += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
		energy += (double)x[i] * (double)x[i];
	}
	return sqrt(error / energy);
}

static void noise_loses_no_more_than_a_search_for_the_best_scales_leaves(void **state)
{
	static float x[N], y[N];
	static uint8_t bytes[4 * N];

	(void)state;
	fill(noise, x);
	for (size_t t = 0; t < N_TYPES; t++) {
		double error;

		quant_encode(best_kernels(), types[t].type, x, N, bytes);
		quant_decode(best_kernels(), types[t].type, bytes, N, y);
		error = relative_error(x, y);
		if (error > types[t].noise || error < types[t].noise * 0.9)
			fail_msg("%s: relative error %.6f, expected about %.6f",
				 tensor_type_info(types[t].type)->name, error, types[t].noise);
	}
}

/* What is too small for f16, of which the scales are, may vanish. */
static void expect_near(const float *x, const float *y, size_t t, size_t shape)
{
	const size_t length = 256;

	for (size_t b = 0; b < N; b += length) {
		double peak = 0.0;

		for (size_t i = b; i < b + length; i++)
			peak = fmax(peak, fabs((double)x[i]));
		for (size_t i = b; i < b + length; i++) {
			const double error = fabs((double)x[i] - (double)y[i]);

			if (!(error <= types[t].step * peak + 0x1p-18))
				fail_msg("%s, shape %zu, element %zu: expected %g, found %g, in a "
					 "block up to %g", tensor_type_info(types[t].type)->name,
					 shape, i, (double)x[i], (double)y[i], peak);
		}
	}
}

static void every_element_is_within_some_steps_whatever_the_block_holds(void **state)
{
	static float x[N], y[N];
	static uint8_t bytes[4 * N];

	(void)state;
	for (size_t shape = 0; shape < N_SHAPES; shape++) {
		fill(shapes[shape], x);
		for (size_t t = 0; t < N_TYPES; t++) {
			quant_encode(best_kernels(), types[t].type, x, N, bytes);
			quant_decode(best_kernels(), types[t].type, bytes, N, y);
			expect_near(x, y, t, shape);
		}
	}
}

static void all_instruction_sets_give_the_same_bytes(void **state)
{
	static uint8_t expected[4 * N], found[4 * N];
	static float x[N];

	(void)state;
	for (size_t shape = 0; shape < N_SHAPES; shape++) {
		fill(shapes[shape], x);
		for (size_t t = 0; t < N_TYPES; t++) {
			const struct tensor_type_info *info = tensor_type_info(types[t].type);
			const size_t n_bytes = N / info->block_length * info->block_bytes;

			quant_encode(all_kernels()[0], types[t].type, x, N, expected);
			for (int k = 1; all_kernels()[k]; k++) {
				quant_encode(all_kernels()[k], types[t].type, x, N, found);
				assert_memory_equal(found, expected, n_bytes);
			}
		}
	}
}

/* Blocks that fill the lanes only in part, and more than fit at a time. */
static void blocks_are_encoded_alike_alone_and_among_others(void **state)
{
	static uint8_t expected[4 * N], found[4 * N];
	static float x[N];

	(void)state;
	fill(mixed_scales, x);
	for (size_t t = 0; t < N_TYPES; t++) {
		const struct tensor_type_info *info = tensor_type_info(types[t].type);
		const size_t n_blocks = N / 256, block = 256;

		for (size_t b = 0; b < n_blocks; b++)
			quant_encode(best_kernels(), types[t].type, x + b * block, block, expected +
				     b * block / info->block_length * info->block_bytes);
		for (size_t n = 1; n <= n_blocks; n += n < 11 ? 1 : 21) {
			quant_encode(best_kernels(), types[t].type, x, n * block, found);
			assert_memory_equal(found, expected,
					    n * block / info->block_length * info->block_bytes);
		}
		quant_encode(best_kernels(), types[t].type, x, info->block_length, found);
		if (info->block_length == 32)
			assert_memory_equal(found, expected, info->block_bytes);
	}
}

static void sixteen_bit_floats_are_converted_as_one_by_one(void **state)
{
	static uint8_t halves[2 * 0x10000], back[2 * 0x10000];
	static float floats[0x10000];

	(void)state;
	for (uint32_t i = 0; i < 0x10000; i++)
		store_le16(halves + 2 * i, (uint16_t)i);
	for (const struct quant_kernels *const *k = all_kernels(); *k; k++) {
		quant_decode(*k, TENSOR_F16, halves, 0x10000 - 3, floats);
		for (uint32_t i = 0; i < 0x10000 - 3; i++) {
			const float expected = f16_to_f32((uint16_t)i);

			assert_memory_equal(&floats[i], &expected, sizeof expected);
		}
		/* The finite ones: 31 x 1024 of each sign. */
		quant_encode(*k, TENSOR_F16, floats, 0x7c00, back);
		assert_memory_equal(back, halves, 2 * 0x7c00);
		quant_decode(*k, TENSOR_BF16, halves, 0x10000 - 3, floats);
		for (uint32_t i = 0; i < 0x10000 - 3; i++) {
			const float expected = bf16_to_f32((uint16_t)i);

			assert_memory_equal(&floats[i], &expected, sizeof expected);
		}
		quant_encode(*k, TENSOR_BF16, floats + 0x8000, 0x7f80, back);
		assert_memory_equal(back, halves + 2 * 0x8000, 2 * 0x7f80);
	}
}

static void ties_are_rounded_to_even_in_lanes_too(void **state)
{
	static float x[0x7bff];
	static uint8_t found[2 * 0x7bff];

	(void)state;
	for (uint32_t i = 0; i < 0x7bff; i++)
		x[i] = 0.5f * (f16_to_f32((uint16_t)i) + f16_to_f32((uint16_t)(i + 1)));
	for (const struct quant_kernels *const *k = all_kernels(); *k; k++) {
		quant_encode(*k, TENSOR_F16, x, 0x7bff, found);
		for (uint32_t i = 0; i < 0x7bff; i++)
			assert_int_equal(load_le16(found + 2 * i), i + (i & 1));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(noise_loses_no_more_than_a_search_for_the_best_scales_leaves),
		cmocka_unit_test(every_element_is_within_some_steps_whatever_the_block_holds),
		cmocka_unit_test(all_instruction_sets_give_the_same_bytes),
		cmocka_unit_test(blocks_are_encoded_alike_alone_and_among_others),
		cmocka_unit_test(sixteen_bit_floats_are_converted_as_one_by_one),
		cmocka_unit_test(ties_are_rounded_to_even_in_lanes_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
