/* SPDX-License-Identifier: Apache-2.0 */
#include "oracle.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { MAX_ROWS = 65, MAX_WIDTH = 2048 };

struct shape {
	unsigned n_in;
	unsigned n_out;
};

/* Around vectors, panels (8, 16, 32) and chunks of 512 inputs. */
static const struct shape shapes[] = {
	{ 1, 1 }, { 3, 5 }, { 31, 7 }, { 32, 33 }, { 48, 80 }, { 64, 31 }, { 80, 48 }, { 96, 17 },
	{ 511, 9 }, { 512, 64 }, { 513, 32 }, { 544, 100 }, { 1056, 65 },
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

static const unsigned row_counts[] = { 1, 2, 3, 5, 8, 10, 11, 65 };
enum { N_ROW_COUNTS = sizeof row_counts / sizeof *row_counts };

static bool fits(enum tensor_type type, struct shape shape)
{
	return shape.n_in % type_block_length(type) == 0;
}

static struct weight *make_weight(struct backend *backend, const struct matrix *matrix)
{
	struct weight *weight;
	struct error err;

	assert_int_equal(backend->ops->weight_create(backend, &matrix->tensor, &weight, &err),
			 SC_OK);
	return weight;
}

/* The block of activations that an integer kernel reads instead of x, as kernels.h defines it. */
static void round_block(const float *x, double *rounded, double *step_out)
{
	float most = 0, scale, inverse;

	for (unsigned i = 0; i < 32; i++)
		most = fmaxf(most, fabsf(x[i]));
	scale = most / 127;
	inverse = scale > 0 ? 1 / scale : 0;
	for (unsigned i = 0; i < 32; i++)
		rounded[i] = (double)rintf(x[i] * inverse) * (double)scale;
	*step_out = (double)scale;
}

/* Compares one element with sums in double. Tolerances, relative to the sum of |w x|: 1e-6 for
 * float arithmetic; for quantised weights the same from the rounded activations, and half a step of
 * the activations' format times |w| from the exact ones. */
static void check_element(const struct matrix *m, unsigned out, const float *x, float bias, float y)
{
	const double *w = m->elements + (size_t)out * m->n_in;
	bool is_quantised = type_block_length(m->tensor.type) > 1;
	double exact = (double)bias, rounded = (double)bias, size = fabs((double)bias), slack = 0;
	double block[32], step = 0;

	for (unsigned k = 0; k < m->n_in; k++) {
		if (is_quantised && k % 32 == 0)
			round_block(x + k, block, &step);
		exact += w[k] * (double)x[k];
		rounded += w[k] * (is_quantised ? block[k % 32] : (double)x[k]);
		size += fabs(w[k] * (double)x[k]);
		slack += fabs(w[k]) * step / 2;
	}
	if (!(fabs((double)y - rounded) <= 1e-6 * size + 1e-30) ||
	    !(fabs((double)y - exact) <= slack * 1.0001 + 1e-6 * size + 1e-30))
		fail_msg("%s: output %u of %u over %u inputs: %.9g, expected %.9g",
			 type_name(m->tensor.type), out, m->n_out, m->n_in, (double)y, rounded);
}

static void check_shape(struct backend *backend, enum tensor_type type, struct shape shape)
{
	struct matrix m;
	struct weight *weight;
	float *x = floats_alloc((size_t)MAX_ROWS * shape.n_in);
	float *y = floats_alloc((size_t)MAX_ROWS * shape.n_out);
	float *bias = floats_alloc(shape.n_out);
	struct random random = { 7 };

	matrix_init(&m, type, shape.n_in, shape.n_out, 1 + shape.n_in);
	weight = make_weight(backend, &m);
	random_fill(&random, x, (size_t)MAX_ROWS * shape.n_in);
	random_fill(&random, bias, shape.n_out);
	for (unsigned i = 0; i < N_ROW_COUNTS; i++) {
		struct matmul product = { weight, i % 2 ? bias : NULL, y };

		backend->ops->matmul(backend, &product, 1, x, row_counts[i]);
		for (unsigned row = 0; row < row_counts[i]; row++)
			for (unsigned out = 0; out < shape.n_out; out++)
				check_element(&m, out, x + (size_t)row * shape.n_in,
					      i % 2 ? bias[out] : 0, y[row * shape.n_out + out]);
	}
	backend->ops->weight_destroy(backend, weight);
	matrix_deinit(&m);
	free(x);
	free(y);
	free(bias);
}

static void products_of_every_type_and_shape_match_sums_in_double(void **state)
{
	(void)state;
	for (const char *const *isa = oracle_isas; *isa; isa++) {
		struct backend *backend = open_cpu(*isa, 2, MAX_ROWS, MAX_WIDTH);

		if (!backend) {
			print_message("%s: not on this machine\n", *isa);
			continue;
		}
		for (unsigned t = 0; t < oracle_n_types; t++)
			for (unsigned s = 0; s < N_SHAPES; s++)
				if (fits(oracle_types[t], shapes[s]))
					check_shape(backend, oracle_types[t], shapes[s]);
		backend->ops->close(backend);
	}
}

/* Enough that a single row is shared between threads too. */
enum { BITS_IN = 544, BITS_OUT = 1000 };

/* All rows, `size` at a time. */
static void multiply_by(struct backend *backend, const struct weight *weight, const float *x,
			unsigned size, float *y)
{
	for (unsigned row = 0; row < MAX_ROWS; row += size) {
		struct matmul product = { weight, NULL, y + (size_t)row * BITS_OUT };

		backend->ops->matmul(backend, &product, 1, x + (size_t)row * BITS_IN,
				     MAX_ROWS - row < size ? MAX_ROWS - row : size);
	}
}

static void check_bits(const char *isa, enum tensor_type type)
{
	enum { N_SIZES = 6 };
	static const unsigned sizes[N_SIZES] = { MAX_ROWS, 1, 2, 5, 8, 13 };
	const size_t n = (size_t)MAX_ROWS * BITS_OUT;
	struct random random = { 9 };
	float *x = floats_alloc((size_t)MAX_ROWS * BITS_IN);
	float *first = floats_alloc(n), *y = floats_alloc(n);
	struct matrix m;

	matrix_init(&m, type, BITS_IN, BITS_OUT, 5);
	random_fill(&random, x, (size_t)MAX_ROWS * BITS_IN);
	for (unsigned n_threads = 1; n_threads <= 4; n_threads++) {
		struct backend *backend = open_cpu(isa, n_threads, MAX_ROWS, BITS_IN);
		struct weight *weight = make_weight(backend, &m);

		for (unsigned i = 0; i < (n_threads == 1 ? N_SIZES : 2); i++) {
			bool is_first = n_threads == 1 && i == 0;

			memset(y, 0xff, n * sizeof *y);
			multiply_by(backend, weight, x, sizes[i], is_first ? first : y);
			if (!is_first)
				assert_memory_equal(y, first, n * sizeof *y);
		}
		backend->ops->weight_destroy(backend, weight);
		backend->ops->close(backend);
	}
	matrix_deinit(&m);
	free(x);
	free(first);
	free(y);
}

static void a_row_alone_has_the_bits_that_it_has_among_others_on_any_threads(void **state)
{
	(void)state;
	for (const char *const *isa = oracle_isas; *isa; isa++) {
		struct backend *backend = open_cpu(*isa, 1, 1, 1);

		if (!backend)
			continue;
		backend->ops->close(backend);
		for (unsigned t = 0; t < oracle_n_types; t++)
			check_bits(*isa, oracle_types[t]);
	}
}

static void products_of_mixed_types_share_their_input(void **state)
{
	enum { N_IN = 96, N_ROWS = 14 };
	struct random random = { 3 };
	float *x = floats_alloc(N_ROWS * N_IN);
	struct backend *backend = open_cpu("scalar", 3, N_ROWS, N_IN);
	struct matrix m[5];
	struct matmul products[5];
	struct weight *weights[5];

	(void)state;
	random_fill(&random, x, N_ROWS * N_IN);
	for (unsigned i = 0; i < 5; i++) {
		matrix_init(&m[i], oracle_types[i], N_IN, 20 + i * 9, i);
		weights[i] = make_weight(backend, &m[i]);
		products[i] = (struct matmul){ weights[i], NULL,
					       floats_alloc((size_t)N_ROWS * m[i].n_out) };
	}
	backend->ops->matmul(backend, products, 5, x, N_ROWS);
	for (unsigned i = 0; i < 5; i++) {
		for (unsigned row = 0; row < N_ROWS; row++)
			for (unsigned out = 0; out < m[i].n_out; out++)
				check_element(&m[i], out, x + row * N_IN, 0,
					      products[i].y[row * m[i].n_out + out]);
		backend->ops->weight_destroy(backend, weights[i]);
		matrix_deinit(&m[i]);
		free(products[i].y);
	}
	backend->ops->close(backend);
	free(x);
}

static void rows_of_zeros_give_the_bias(void **state)
{
	float *x = floats_alloc(64), bias[3] = { 1, -2, 3 }, y[3];

	(void)state;
	memset(x, 0, 64 * sizeof *x);
	for (const char *const *isa = oracle_isas; *isa; isa++) {
		struct backend *backend = open_cpu(*isa, 1, 1, 64);

		for (unsigned t = 0; backend && t < oracle_n_types; t++) {
			struct matrix m;
			struct matmul product = { .bias = bias, .y = y };
			struct weight *weight;

			matrix_init(&m, oracle_types[t], 64, 3, t);
			product.weight = weight = make_weight(backend, &m);
			backend->ops->matmul(backend, &product, 1, x, 1);
			assert_memory_equal(y, bias, sizeof y);
			backend->ops->weight_destroy(backend, weight);
			matrix_deinit(&m);
		}
		if (backend)
			backend->ops->close(backend);
	}
	free(x);
}

static void embedding_rows_are_exactly_what_is_stored(void **state)
{
	enum { N_IN = 192, N_TOKENS = 70, N_ROWS = 64 };
	uint32_t tokens[N_ROWS] = { 0, 69, 31, 32, 15, 16, 7, 8, 69 };
	float *out = floats_alloc(N_ROWS * N_IN);

	(void)state;
	for (unsigned i = 9; i < N_ROWS; i++)
		tokens[i] = i * 41 % N_TOKENS;
	for (const char *const *isa = oracle_isas; *isa; isa++) {
		struct backend *backend = open_cpu(*isa, 3, N_ROWS, N_IN);

		for (unsigned t = 0; backend && t < oracle_n_types; t++) {
			struct matrix m;
			struct weight *weight;

			matrix_init(&m, oracle_types[t], N_IN, N_TOKENS, t);
			weight = make_weight(backend, &m);
			backend->ops->embed(backend, weight, tokens, N_ROWS, out);
			for (unsigned i = 0; i < N_ROWS * N_IN; i++)
				assert_true((double)out[i] ==
					    m.elements[tokens[i / N_IN] * N_IN + i % N_IN]);
			backend->ops->weight_destroy(backend, weight);
			matrix_deinit(&m);
		}
		if (backend)
			backend->ops->close(backend);
	}
	free(out);
}

static void assert_half(uint32_t h, float found)
{
	double expected = half_value((uint16_t)h);

	if (!(isnan(expected) ? isnan(found) : (double)found == expected))
		fail_msg("half %04x: %g, expected %g", h, (double)found, expected);
}

/* One input of 1: the products are the weights. */
static void every_half_is_read_as_what_it_is(void **state)
{
	enum { N = 65536 };
	static uint16_t halves[N];
	static uint32_t tokens[N];
	struct tensor tensor = {
		.name = "halves", .type = TENSOR_F16, .n_dims = 2, .dims = { 1, N, 1, 1 },
		.data = halves, .n_bytes = sizeof halves,
	};
	float *y = floats_alloc(N), one = 1;

	(void)state;
	for (uint32_t i = 0; i < N; i++) {
		halves[i] = (uint16_t)i;
		tokens[i] = i;
	}
	for (const char *const *isa = oracle_isas; *isa; isa++) {
		struct backend *backend = open_cpu(*isa, 1, MAX_ROWS, 1);
		struct matmul product = { .y = y };
		struct weight *weight;

		if (!backend)
			continue;
		assert_int_equal(backend->ops->weight_create(backend, &tensor, &weight, NULL),
				 SC_OK);
		product.weight = weight;
		backend->ops->matmul(backend, &product, 1, &one, 1);
		for (uint32_t i = 0; i < N; i++)
			assert_half(i, y[i]);
		for (uint32_t i = 0; i < N; i += 64)
			backend->ops->embed(backend, weight, tokens + i, 64, y + i);
		for (uint32_t i = 0; i < N; i++)
			assert_half(i, y[i]);
		backend->ops->weight_destroy(backend, weight);
		backend->ops->close(backend);
	}
	free(y);
}

static void weights_that_do_not_fit_are_refused(void **state)
{
	struct backend *backend = open_cpu("scalar", 1, 4, 64);
	struct weight *weight = NULL;
	struct matrix m;
	struct error err;

	(void)state;
	matrix_init(&m, TENSOR_F32, 64, 4, 1);
	m.tensor.n_bytes--;
	assert_int_equal(backend->ops->weight_create(backend, &m.tensor, &weight, &err),
			 SC_E_INVALID);
	assert_non_null(strstr(err.text, "expected 1024 bytes, found 1023"));
	m.tensor.dims[0] = 128;
	assert_int_equal(backend->ops->weight_create(backend, &m.tensor, &weight, &err),
			 SC_E_INVALID);
	m.tensor.dims[0] = 40;
	m.tensor.type = TENSOR_Q8_0;
	assert_int_equal(backend->ops->weight_create(backend, &m.tensor, &weight, &err),
			 SC_E_INVALID);
	m.tensor.type = (enum tensor_type)3;
	assert_int_equal(backend->ops->weight_create(backend, &m.tensor, &weight, &err),
			 SC_E_UNSUPPORTED);
	assert_null(weight);
	backend->ops->weight_destroy(backend, NULL);
	matrix_deinit(&m);
	backend->ops->close(backend);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(products_of_every_type_and_shape_match_sums_in_double),
		cmocka_unit_test(a_row_alone_has_the_bits_that_it_has_among_others_on_any_threads),
		cmocka_unit_test(products_of_mixed_types_share_their_input),
		cmocka_unit_test(rows_of_zeros_give_the_bias),
		cmocka_unit_test(embedding_rows_are_exactly_what_is_stored),
		cmocka_unit_test(every_half_is_read_as_what_it_is),
		cmocka_unit_test(weights_that_do_not_fit_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
