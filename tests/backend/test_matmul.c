/* SPDX-License-Identifier: Apache-2.0 */
#include "oracle.h"
#include "tests/sanitizer.h"

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

/* Around vectors, panels (8, 16, 32) and stripes of 128, 256 and 512 inputs. */
static const struct shape shapes[] = {
	{ 1, 1 }, { 3, 5 }, { 31, 7 }, { 32, 33 }, { 48, 80 }, { 64, 100 }, { 80, 48 }, { 96, 17 },
	{ 127, 9 }, { 129, 31 }, { 256, 33 }, { 511, 9 }, { 512, 32 }, { 513, 16 }, { 544, 40 },
	{ 768, 7 }, { 1056, 33 }, { 1280, 17 },
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

/* Those of every tile, and some that leave a part of one; all after the first. */
static const unsigned row_counts[] = { MAX_ROWS, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
					    16, 17, 18, 19, 20, 21, 22, 23, 24, 25 };
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

/* What a kernel reads instead of x[n]: as kernels.h defines it, and by how much it may be off. */
struct rounded {
	double *x;
	double *slack;
};

static void round_integers(const float *x, unsigned n, struct rounded *rounded)
{
	float most = 0;

	for (unsigned i = 0; i < n; i++)
		most = fmaxf(most, fabsf(x[i]));
	for (unsigned i = 0; i < n; i += 32) {
		float most_here = 0, ratio, inverse;
		int shift = 0;

		for (unsigned j = i; j < i + 32; j++)
			most_here = fmaxf(most_here, fabsf(x[j]));
		ratio = most_here * (2048 / most);
		while (shift < 11 && ratio > (float)(1 << shift))
			shift++;
		inverse = 127 * 2048 / most * (1.0f / (float)(1 << shift));
		for (unsigned j = i; j < i + 32; j++) {
			double step = (double)(most * (1.0f / 127 / 2048)) * (1 << shift);

			rounded->x[j] = (double)rintf(x[j] * inverse) * step;
			rounded->slack[j] = step / 2;
		}
	}
}

static void round_activations(enum tensor_type type, const float *x, unsigned n,
			      struct rounded *rounded)
{
	if (type_block_length(type) > 1) {
		round_integers(x, n, rounded);
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		uint32_t bits;
		float nearest;

		memcpy(&bits, &x[i], sizeof bits);
		bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
		memcpy(&nearest, &bits, sizeof bits);
		rounded->x[i] = type == TENSOR_BF16 ? (double)nearest : (double)x[i];
		rounded->slack[i] = type == TENSOR_BF16 ? fabs((double)x[i]) / 256 : 0;
	}
}

/* Compares one element with sums in double. Tolerances: 1e-6 of the sum of |w x| for float
 * arithmetic from the activations as they are rounded, where w is the largest weight of 256, since
 * scale and minimum are summed apart; and half a step of the activations' format times |w| from the
 * exact ones. */
static void check_element(const struct matrix *m, unsigned out, const float *x,
			  const struct rounded *rounded, float bias, float y)
{
	const double *w = m->elements + (size_t)out * m->n_in;
	double exact = (double)bias, expected = (double)bias, size = fabs((double)bias), slack = 0;
	double largest = 0;

	for (unsigned k = 0; k < m->n_in; k++) {
		if (k % 256 == 0) {
			largest = 0;
			for (unsigned j = k; j < m->n_in && j < k + 256; j++)
				largest = fmax(largest, fabs(w[j]));
		}
		exact += w[k] * (double)x[k];
		expected += w[k] * rounded->x[k];
		size += largest * fabs((double)x[k]);
		slack += fabs(w[k]) * rounded->slack[k];
	}
	if (!(fabs((double)y - expected) <= 1e-6 * size + 1e-30) ||
	    !(fabs((double)y - exact) <= slack * 1.0001 + 1e-6 * size + 1e-30))
		fail_msg("%s: output %u of %u over %u inputs: %.9g, expected %.9g",
			 type_name(m->tensor.type), out, m->n_out, m->n_in, (double)y, expected);
}

static void check_row(const struct matrix *m, const float *x, const float *bias, const float *y)
{
	struct rounded rounded = {
		calloc(m->n_in, sizeof(double)), calloc(m->n_in, sizeof(double)),
	};

	if (!rounded.x || !rounded.slack)
		abort();
	round_activations(m->tensor.type, x, m->n_in, &rounded);
	for (unsigned out = 0; out < m->n_out; out++)
		check_element(m, out, x, &rounded, bias ? bias[out] : 0, y[out]);
	free(rounded.x);
	free(rounded.slack);
}

/* All rows at once are compared with sums in double, fewer with what they were among all. */
static void check_shape(struct backend *backend, enum tensor_type type, struct shape shape)
{
	struct matrix m;
	struct weight *weight;
	size_t n = (size_t)MAX_ROWS * shape.n_out;
	float *x = floats_alloc((size_t)MAX_ROWS * shape.n_in);
	float *y = floats_alloc(n), *all = floats_alloc(n);
	float *bias = floats_alloc(shape.n_out), *its_bias = shape.n_in % 3 ? bias : NULL;
	struct random random = { 7 };

	matrix_init(&m, type, shape.n_in, shape.n_out, 1 + shape.n_in);
	weight = make_weight(backend, &m);
	random_fill(&random, x, (size_t)MAX_ROWS * shape.n_in);
	random_fill(&random, bias, shape.n_out);
	for (unsigned i = 0; i < N_ROW_COUNTS; i++) {
		struct matmul product = { .weight = weight, .bias = its_bias,
					  .y = i ? y : all };

		backend->ops->matmul(backend, &product, 1, x, row_counts[i]);
		if (i)
			assert_memory_equal(y, all, row_counts[i] * shape.n_out * sizeof *y);
	}
	for (unsigned row = 0; row < MAX_ROWS; row += SANITIZED_EVERY(6))
		check_row(&m, x + (size_t)row * shape.n_in, its_bias,
			  all + (size_t)row * shape.n_out);
	backend->ops->weight_destroy(backend, weight);
	matrix_deinit(&m);
	free(x);
	free(y);
	free(all);
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

enum { EXTREME_IN = 256, EXTREME_OUT = 33, EXTREME_ROWS = 16 };

/* Rows of which all integers are the largest, the smallest, or both in turns. */
static float *extreme_rows(void)
{
	static const float signs[4][2] = { { 1, 1 }, { -1, -1 }, { 1, -1 }, { -1, 1 } };
	float *x = floats_alloc(EXTREME_ROWS * EXTREME_IN);

	for (unsigned i = 0; i < EXTREME_ROWS * EXTREME_IN; i++)
		x[i] = signs[i / EXTREME_IN % 4][i % 2];
	return x;
}

static void check_extremes(struct backend *backend, enum tensor_type type, const float *x)
{
	static const uint8_t bytes[] = { 0x00, 0xff, 0x7f, 0x80, 0x77, 0x88, 0x0f };
	float *y = floats_alloc(EXTREME_ROWS * EXTREME_OUT);
	struct matrix m;

	matrix_init(&m, type, EXTREME_IN, EXTREME_OUT, 1);
	for (unsigned i = 0; i < sizeof bytes; i++) {
		struct matmul product = { .y = y };
		struct weight *weight;

		matrix_fill(&m, bytes[i]);
		product.weight = weight = make_weight(backend, &m);
		for (unsigned n_rows = 4; n_rows <= EXTREME_ROWS; n_rows *= 4) {
			backend->ops->matmul(backend, &product, 1, x, n_rows);
			for (unsigned row = 0; row < n_rows; row++)
				check_row(&m, x + row * EXTREME_IN, NULL, y + row * EXTREME_OUT);
		}
		backend->ops->weight_destroy(backend, weight);
	}
	matrix_deinit(&m);
	free(y);
}

static void the_largest_integers_do_not_overflow(void **state)
{
	float *x = extreme_rows();

	(void)state;
	for (const char *const *isa = oracle_isas; *isa; isa++) {
		struct backend *backend = open_cpu(*isa, 1, EXTREME_ROWS, EXTREME_IN);

		for (unsigned t = 0; backend && t < oracle_n_types; t++)
			if (type_block_length(oracle_types[t]) > 1)
				check_extremes(backend, oracle_types[t], x);
		if (backend)
			backend->ops->close(backend);
	}
	free(x);
}

/* Enough that a single row is shared between threads too. */
enum { BITS_IN = 768, BITS_OUT = 700 };

/* All rows, `size` at a time. */
static void multiply_by(struct backend *backend, const struct weight *weight, const float *x,
			unsigned size, float *y)
{
	for (unsigned row = 0; row < MAX_ROWS; row += size) {
		struct matmul product = { weight, NULL, y + (size_t)row * BITS_OUT, false };

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
	for (unsigned n_threads = 1; n_threads <= 4; n_threads += SANITIZED_EVERY(2)) {
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

enum { MIXED_IN = 512, MIXED_ROWS = 14, MAX_TYPES = 32 };

static void check_mixed(struct backend *backend, const struct matrix *m, const float *x,
			unsigned n_rows)
{
	struct matmul products[MAX_TYPES];
	struct weight *weights[MAX_TYPES];

	for (unsigned i = 0; i < oracle_n_types; i++) {
		weights[i] = make_weight(backend, &m[i]);
		products[i] = (struct matmul){ .weight = weights[i],
					       .y = floats_alloc((size_t)n_rows * m[i].n_out) };
	}
	backend->ops->matmul(backend, products, oracle_n_types, x, n_rows);
	for (unsigned i = 0; i < oracle_n_types; i++) {
		for (unsigned row = 0; row < n_rows; row++)
			check_row(&m[i], x + row * MIXED_IN, NULL,
				  products[i].y + (size_t)row * m[i].n_out);
		backend->ops->weight_destroy(backend, weights[i]);
		free(products[i].y);
	}
}

/* Formats that alone would have tiles of unlike lengths: whole bytes beside four bits. */
static void products_of_mixed_types_share_their_input(void **state)
{
	enum { N_COUNTS = 5 };
	static const unsigned counts[N_COUNTS] = { 1, 5, 8, 11, MIXED_ROWS };
	struct random random = { 3 };
	float *x = floats_alloc(MIXED_ROWS * MIXED_IN);
	struct matrix m[MAX_TYPES];

	(void)state;
	random_fill(&random, x, MIXED_ROWS * MIXED_IN);
	for (unsigned i = 0; i < oracle_n_types; i++)
		matrix_init(&m[i], oracle_types[i], MIXED_IN, 20 + i * 9, i);
	for (const char *const *isa = oracle_isas; *isa; isa++) {
		struct backend *backend = open_cpu(*isa, 3, MIXED_ROWS, MIXED_IN);

		for (unsigned i = 0; backend && i < N_COUNTS; i++)
			check_mixed(backend, m, x, counts[i]);
		if (backend)
			backend->ops->close(backend);
	}
	for (unsigned i = 0; i < oracle_n_types; i++)
		matrix_deinit(&m[i]);
	free(x);
}

/* More than a thread has sums for, and too few outputs to share them out. */
enum { MANY_ROWS = 300, MANY_IN = 256, MANY_OUT = 5 };

/* A product, or one with a gate, which has sums of its own. */
static const struct activation silu = { .kind = ACTIVATION_SILU };

static void multiply_or_gate(struct backend *backend, const struct weight *weight, bool is_gated,
			     const float *x, unsigned n_rows, float *y)
{
	struct matmul product = { .weight = weight, .y = y };

	if (is_gated)
		backend->ops->gated_matmul(backend, &silu, weight, weight, x, n_rows, y);
	else
		backend->ops->matmul(backend, &product, 1, x, n_rows);
}

static void check_many_rows(struct backend *backend, enum tensor_type type, bool is_gated,
			    const float *x)
{
	float y[MANY_OUT], *all = floats_alloc(MANY_ROWS * MANY_OUT);
	struct weight *weight;
	struct matrix m;

	matrix_init(&m, type, MANY_IN, MANY_OUT, 17);
	weight = make_weight(backend, &m);
	multiply_or_gate(backend, weight, is_gated, x, MANY_ROWS, all);
	for (unsigned row = 0; row < MANY_ROWS; row++) {
		multiply_or_gate(backend, weight, is_gated, x + row * MANY_IN, 1, y);
		assert_memory_equal(all + row * MANY_OUT, y, sizeof y);
	}
	backend->ops->weight_destroy(backend, weight);
	matrix_deinit(&m);
	free(all);
}

static void more_rows_than_a_thread_has_sums_for_are_multiplied_in_turns(void **state)
{
	struct random random = { 19 };
	float *x = floats_alloc(MANY_ROWS * MANY_IN);

	(void)state;
	random_fill(&random, x, MANY_ROWS * MANY_IN);
	for (const char *const *isa = oracle_isas; *isa; isa++) {
		struct backend *backend = open_cpu(*isa, 1, MANY_ROWS, MANY_IN);

		for (unsigned t = 0; backend && t < oracle_n_types; t++) {
			check_many_rows(backend, oracle_types[t], false, x);
			check_many_rows(backend, oracle_types[t], true, x);
		}
		if (backend)
			backend->ops->close(backend);
	}
	free(x);
}

/* What a product adds and gates, against a product, an addition and a gate. */
static void check_joined(struct backend *backend, enum tensor_type type, unsigned n_rows)
{
	enum { N_IN = 256, N_OUT = 45 };
	const size_t n = (size_t)n_rows * N_OUT;
	const struct backend_ops *ops = backend->ops;
	struct random random = { 13 };
	float *x = floats_alloc((size_t)n_rows * N_IN);
	float *gate = floats_alloc(n), *up = floats_alloc(n), *y = floats_alloc(n);
	float *activated = floats_alloc(n);
	struct matrix m[2];
	struct weight *w[2];

	random_fill(&random, x, (size_t)n_rows * N_IN);
	for (unsigned i = 0; i < 2; i++) {
		matrix_init(&m[i], i ? TENSOR_F16 : type, N_IN, N_OUT, i);
		w[i] = make_weight(backend, &m[i]);
	}
	ops->matmul(backend, &(struct matmul){ w[0], NULL, gate, false }, 1, x, n_rows);
	ops->matmul(backend, &(struct matmul){ w[1], NULL, up, false }, 1, x, n_rows);
	memcpy(y, up, n * sizeof *y);
	ops->matmul(backend, &(struct matmul){ w[0], NULL, y, true }, 1, x, n_rows);
	for (size_t i = 0; i < n; i++)
		assert_true(y[i] == up[i] + gate[i]);
	for (unsigned kind = 0; kind <= ACTIVATION_XIELU; kind++) {
		const struct activation activation = {
			.kind = (enum activation_kind)kind, .alpha_p = 0.8f, .alpha_n = 1.1f,
			.beta = 0.5f, .eps = -1e-6f,
		};

		ops->gated_matmul(backend, &activation, w[0], w[1], x, n_rows, y);
		ops->activate(backend, &activation, gate, up, n, activated);
		assert_memory_equal(y, activated, n * sizeof *y);
	}
	for (unsigned i = 0; i < 2; i++) {
		ops->weight_destroy(backend, w[i]);
		matrix_deinit(&m[i]);
	}
	free(x);
	free(gate);
	free(activated);
	free(up);
	free(y);
}

static void products_that_add_or_gate_are_those_that_are_added_or_gated(void **state)
{
	(void)state;
	for (const char *const *isa = oracle_isas; *isa; isa++) {
		struct backend *backend = open_cpu(*isa, 2, MAX_ROWS, 256);

		if (!backend)
			continue;
		for (unsigned t = 0; t < oracle_n_types; t++) {
			check_joined(backend, oracle_types[t], 1);
			check_joined(backend, oracle_types[t], 8);
			check_joined(backend, oracle_types[t], 13);
		}
		backend->ops->close(backend);
	}
}

static void rows_of_zeros_give_the_bias(void **state)
{
	float *x = floats_alloc(256), bias[3] = { 1, -2, 3 }, y[3];

	(void)state;
	memset(x, 0, 256 * sizeof *x);
	for (const char *const *isa = oracle_isas; *isa; isa++) {
		struct backend *backend = open_cpu(*isa, 1, 1, 256);

		for (unsigned t = 0; backend && t < oracle_n_types; t++) {
			struct matrix m;
			struct matmul product = { .bias = bias, .y = y };
			struct weight *weight;

			matrix_init(&m, oracle_types[t], 256, 3, t);
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
	enum { N_IN = 256, N_TOKENS = 70, N_ROWS = 64 };
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
	m.tensor.type = (enum tensor_type)16;
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
		cmocka_unit_test(the_largest_integers_do_not_overflow),
		cmocka_unit_test(a_row_alone_has_the_bits_that_it_has_among_others_on_any_threads),
		cmocka_unit_test(products_of_mixed_types_share_their_input),
		cmocka_unit_test(more_rows_than_a_thread_has_sums_for_are_multiplied_in_turns),
		cmocka_unit_test(products_that_add_or_gate_are_those_that_are_added_or_gated),
		cmocka_unit_test(rows_of_zeros_give_the_bias),
		cmocka_unit_test(embedding_rows_are_exactly_what_is_stored),
		cmocka_unit_test(every_half_is_read_as_what_it_is),
		cmocka_unit_test(weights_that_do_not_fit_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
