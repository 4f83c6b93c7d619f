/* SPDX-License-Identifier: Apache-2.0 */
/* Maxima and sums of logits: against plain loops, and the same bits from every instruction set and
 * number of threads. */
#include "base/portable_math.h"

#include "oracle.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum {
	B = BACKEND_LOGIT_BLOCK,
	MAX_ROWS = 5,
	MAX_N = 20000,			/* several items of a region */
	MAX_BLOCKS = (MAX_N + B - 1) / B,
};

static float logits[MAX_ROWS * MAX_N], maxima[MAX_ROWS][MAX_BLOCKS];
static double sums[MAX_ROWS][MAX_BLOCKS];

typedef void with_backend_fn(struct backend *backend);

static void with_each_backend(with_backend_fn *fn)
{
	for (unsigned i = 0; oracle_isas[i]; i++)
		for (unsigned n_threads = 1; n_threads <= 4; n_threads++) {
			struct backend *backend = open_cpu(oracle_isas[i], n_threads, 8, 32);

			if (!backend)
				break;
			fn(backend);
			backend->ops->close(backend);
		}
}

static unsigned n_blocks(unsigned n)
{
	return (n + B - 1) / B;
}

static void fill(uint64_t seed, size_t n)
{
	struct random random = { seed };

	for (size_t i = 0; i < n; i++)
		logits[i] = 12 * random_float(&random);
}

static void find(struct backend *backend, unsigned n_rows, unsigned n)
{
	memset(maxima, 0x55, sizeof maxima);
	backend->ops->logit_maxima(backend, logits, n_rows, n, maxima[0]);
}

static void check_maxima(struct backend *backend)
{
	for (unsigned n = 1; n < 3 * B + 3; n++) {
		fill(n, (size_t)3 * n);
		logits[n / 2] = -INFINITY;
		find(backend, 3, n);
		for (unsigned i = 0; i < 3 * n_blocks(n); i++) {
			unsigned first = i % n_blocks(n) * B, end = first + B < n ? first + B : n;
			const float *row = logits + i / n_blocks(n) * n;
			float largest = -INFINITY;

			for (unsigned k = first; k < end; k++)
				largest = fmaxf(largest, row[k]);
			assert_true(maxima[0][i] == largest);
		}
	}
}

static void a_maximum_is_the_largest_of_its_block(void **state)
{
	(void)state;
	with_each_backend(check_maxima);
}

/* In every lane, at the ends of blocks, of items and of the row. */
static void check_odd(struct backend *backend)
{
	static const float odd[] = { NAN, INFINITY };
	enum { N = 70 * B + 17, N_ROWS = 2 };

	fill(1, N_ROWS * N);
	for (unsigned at = 0, step; at < N_ROWS * N; at += step) {
		float kept = logits[at];

		step = at % N < 2 * B || at % N > N - 2 * B ? 1 : 37;
		logits[at] = odd[at % 2];
		find(backend, N_ROWS, N);
		for (unsigned i = 0; i < N_ROWS * n_blocks(N); i++)
			assert_int_equal(isnan(maxima[0][i]),
					 i == at / N * n_blocks(N) + at % N / B);
		logits[at] = kept;
	}
	for (unsigned i = 0; i < N; i++)
		logits[i] = -INFINITY;
	find(backend, 1, N);
	for (unsigned i = 0; i < n_blocks(N); i++)
		assert_true(maxima[0][i] == -INFINITY);
}

static void a_block_with_nan_or_infinity_says_so(void **state)
{
	(void)state;
	with_each_backend(check_odd);
}

/* The plain loop, with the C library's exp. */
static double reference_sum(const float *row, unsigned n, const struct logit_sum *sum,
			    unsigned block)
{
	unsigned end = (block + 1) * B < n ? (block + 1) * B : n;
	double total = 0;

	for (unsigned i = block * B; i < end; i++)
		if (row[i] > sum->least || (row[i] == sum->least && i <= sum->last))
			total += exp(((double)row[i] - (double)sum->largest) * sum->scale);
	return total;
}

static uint64_t reference_bits;

static void check_sums(struct backend *backend)
{
	static const struct {
		unsigned n;
		float least;
		double scale;
		uint32_t last;
	} cases[] = {
		{ MAX_N, -INFINITY, 1, UINT32_MAX }, { MAX_N, -3, 1.25, 5000 },
		{ MAX_N, 11.5f, 1e-3, 4095 }, { 4096 + 1, -2, 1, 4096 }, { B, 0, 2, 0 },
		{ 1, -INFINITY, 1, UINT32_MAX }, { B - 1, 3, 60, B }, { 2 * B + 7, -1, 0.1, B - 1 },
	};
	uint64_t bits = 0;

	for (unsigned c = 0; c < sizeof cases / sizeof cases[0]; c++) {
		struct logit_sum wanted[MAX_ROWS];
		unsigned n = cases[c].n, n_wanted = 0;

		fill(c, (size_t)MAX_ROWS * n);
		/* Many that equal the bound. */
		for (unsigned i = 0; i < MAX_ROWS * n; i += 3)
			logits[i] = roundf(logits[i]);
		find(backend, MAX_ROWS, n);
		/* Not all rows, and not in order. */
		for (unsigned row = MAX_ROWS; row-- > 0;)
			if (row != 2)
				wanted[n_wanted++] = (struct logit_sum){
					row, 12, cases[c].scale, cases[c].least, cases[c].last,
					maxima[0] + row * n_blocks(n), sums[row],
				};
		backend->ops->logit_sums(backend, logits, n, wanted, n_wanted);
		for (unsigned i = 0; i < n_wanted; i++)
			for (unsigned block = 0; block < n_blocks(n); block++) {
				double found = wanted[i].sums_out[block];
				double truth = reference_sum(logits + wanted[i].row * n, n,
							     &wanted[i], block);

				assert_true(fabs(found - truth) <= 2e-10 * truth);
				bits ^= portable_to_bits(found);
				bits *= UINT64_C(0x9e3779b97f4a7c15);
			}
	}
	if (!reference_bits)
		reference_bits = bits;
	assert_true(bits == reference_bits);
}

static void sums_are_right_and_the_same_everywhere(void **state)
{
	(void)state;
	with_each_backend(check_sums);
	assert_true(reference_bits != 0);
}

/* One logit at a time, in every lane: the vectors' e^x is portable_exp. */
static void check_exp(struct backend *backend)
{
	for (unsigned i = 0; i < 3000; i++) {
		float x = i % 7 ? -(float)i * 0.0371f : -(float)i * 0.3f;
		unsigned lane = i % B;
		struct logit_sum wanted = { 0, 0, 1, -INFINITY, UINT32_MAX, maxima[0], sums[0] };

		for (unsigned k = 0; k < B; k++)
			logits[k] = k == lane ? x : -INFINITY;
		find(backend, 1, B);
		backend->ops->logit_sums(backend, logits, B, &wanted, 1);
		assert_true(sums[0][0] == portable_exp((double)x));
	}
}

static void a_weight_is_portable_exp(void **state)
{
	(void)state;
	with_each_backend(check_exp);
}

/* The last block is not whole, and rows of an odd length are not aligned. */
static void check_block(struct backend *backend)
{
	const unsigned n = 3 * B + 11;

	fill(5, (size_t)MAX_ROWS * n);
	logits[B + 3] = -INFINITY;
	find(backend, MAX_ROWS, n);
	for (unsigned row = 0; row < MAX_ROWS; row++) {
		const struct logit_sum wanted = {
			row, 12, 1.25, -INFINITY, UINT32_MAX, maxima[0] + row * n_blocks(n),
			sums[row],
		};

		backend->ops->logit_sums(backend, logits, n, &wanted, 1);
		for (unsigned i = 0; i < n_blocks(n); i++) {
			double sum = backend->ops->weigh_block(backend, logits + row * n + i * B,
							       i < 3 ? B : 11, 12, 1.25);

			assert_true(sum == sums[row][i]);
		}
	}
}

static void a_block_alone_weighs_the_same(void **state)
{
	(void)state;
	with_each_backend(check_block);
}

static void count_item(void *arg, unsigned item)
{
	atomic_uint *counts = arg;

	atomic_fetch_add(&counts[item], 1);
}

static void check_share(struct backend *backend)
{
	for (unsigned n = 0; n <= 65; n++) {
		atomic_uint counts[66] = { 0 };

		backend->ops->share(backend, n, count_item, counts);
		for (unsigned i = 0; i < 66; i++)
			assert_int_equal(counts[i], i < n);
	}
}

static void every_shared_item_is_done_once(void **state)
{
	(void)state;
	with_each_backend(check_share);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_maximum_is_the_largest_of_its_block),
		cmocka_unit_test(a_block_with_nan_or_infinity_says_so),
		cmocka_unit_test(sums_are_right_and_the_same_everywhere),
		cmocka_unit_test(a_weight_is_portable_exp),
		cmocka_unit_test(a_block_alone_weighs_the_same),
		cmocka_unit_test(every_shared_item_is_done_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
