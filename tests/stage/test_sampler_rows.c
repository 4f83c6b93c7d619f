/* SPDX-License-Identifier: Apache-2.0 */
/* Many rows at once and large vocabularies: against a full sort in double. Every instruction set,
 * number of threads and number of rows gives the same bits. Nothing is computed unasked. */
#include "stage/filter.h"
#include "stage/philox.h"
#include "stage/sampler.h"
#include "tests/stage/reference_sampler.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { MAX_ROWS = 64, LARGE = 151936 + 3, SMALL = 4096 + 77 };

static float *logits;	/* [MAX_ROWS][SMALL], or a few rows of LARGE */

/* --- backends --- */

static struct backend_ops counting;
static unsigned n_maxima, n_sums, n_shares;

static void count_maxima(struct backend *backend, const float *x, unsigned n_rows, unsigned n,
			 float *maxima)
{
	n_maxima += n_rows;
	backend_cpu.logit_maxima(backend, x, n_rows, n, maxima);
}

static void count_sums(struct backend *backend, const float *x, unsigned n,
		       const struct logit_sum *sums, unsigned n_wanted)
{
	n_sums += n_wanted;
	backend_cpu.logit_sums(backend, x, n, sums, n_wanted);
}

static void count_shares(struct backend *backend, unsigned n_items, backend_task_fn *run, void *arg)
{
	n_shares++;
	backend_cpu.share(backend, n_items, run, arg);
}

static struct backend *open_backend(enum cpu_isa isa, unsigned n_threads)
{
	const struct backend_config config = {
		.isa = isa, .n_threads = n_threads, .max_rows = 1, .max_width = 1,
	};
	struct backend *backend;
	struct error err;

	if (backend_cpu.open(0, &config, &backend, &err))
		fail_msg("%s", err.text);
	counting = backend_cpu;
	counting.logit_maxima = count_maxima;
	counting.logit_sums = count_sums;
	counting.share = count_shares;
	backend->ops = &counting;
	n_maxima = n_sums = n_shares = 0;
	return backend;
}

/* --- rows --- */

struct rows {
	uint32_t n;
	struct sampling sampling[MAX_ROWS];
	bool is_scored[MAX_ROWS];
	struct token_record records[MAX_ROWS];
};

/* Rows first .. first + n - 1 of all. */
static void run(struct backend *backend, struct rows *all, uint32_t n_vocab, uint32_t first,
		uint32_t n)
{
	struct sampler_row rows[MAX_ROWS];
	struct sampler *sampler;
	const float *x = logits + (size_t)first * n_vocab;

	assert_int_equal(sampler_create(backend, n_vocab, n, 1, &sampler), SC_OK);
	for (uint32_t i = 0; i < n; i++) {
		rows[i] = (struct sampler_row){
			.sampling = all->is_scored[first + i] ? NULL : &all->sampling[first + i],
			.record = &all->records[first + i],
		};
		*rows[i].record = (struct token_record){
			.sequence = first + i, .position = 1000 + first + i,
			.token = (first + i) % n_vocab, .logprob = 99,
		};
	}
	sampler_run(sampler, x, x, rows, n, NULL);
	sampler_destroy(sampler);
}

/* Shapes of distributions: uniform, peaked, flat, coarse with many ties, mostly -infinity. */
static void fill_row(float *row, uint32_t n, uint32_t seed)
{
	for (uint32_t i = 0; i < n; i++) {
		double u = philox_uniform(seed, 0, i), v = philox_uniform(seed, 1, i);
		double normal = sqrt(-2 * log(1 - u)) * cos(6.283185307179586 * v);

		switch (seed % 5) {
		case 0: row[i] = (float)(u * 16 - 8); break;
		case 1: row[i] = (float)(3 * normal); break;
		case 2: row[i] = (float)(0.1 * normal); break;
		case 3: row[i] = (float)floor(4 * normal) / 4; break;
		default: row[i] = v < 0.97 ? -INFINITY : (float)(2 * normal); break;
		}
	}
	row[seed % n] = seed % 7 ? row[seed % n] : 9;
}

static struct sampling sampling_of(uint32_t i, uint32_t n_vocab)
{
	static const uint32_t top_k[] = { 0, 40, 1, 3000, 0, 200, 1100, 0 };
	static const float top_p[] = { 1, 0.95f, 1, 0.5f, 0.999f, 0.3f };
	static const float min_p[] = { 0, 0.05f, 0, 0.3f };

	return (struct sampling){
		.seed = i, .stream = i % 3, SAMPLING_OFF,
		.temperature = i % 9 ? 0.3f + (float)(i % 4) * 0.5f : 0,
		.top_k = i % 31 == 30 ? n_vocab - 1 : top_k[i % 8],
		.top_p = top_p[i % 6],
		.min_p = min_p[i / 2 % 4],
		.flags = i % 2,
	};
}

static void make_rows(struct rows *rows, uint32_t n, uint32_t n_vocab, uint32_t seed)
{
	rows->n = n;
	for (uint32_t i = 0; i < n; i++) {
		fill_row(logits + (size_t)i * n_vocab, n_vocab, seed + i);
		rows->sampling[i] = sampling_of(seed + i, n_vocab);
		rows->is_scored[i] = i % 13 == 12;
	}
}

/* Nothing between them but the reference and its neighbours as floats. */
static void assert_rounded(float logprob, double truth)
{
	float rounded = fmaxf((float)truth, -FLT_MAX);

	assert_true(logprob >= nextafterf(rounded, -INFINITY) &&
		    logprob <= nextafterf(rounded, INFINITY));
}

static void check_row(const struct rows *rows, uint32_t i, uint32_t n_vocab)
{
	const float *row = logits + (size_t)i * n_vocab;
	const struct token_record *record = &rows->records[i];
	const struct sampling *sampling = &rows->sampling[i];

	assert_int_equal(record->fault, TOKEN_FAULT_NONE);
	if (!rows->is_scored[i])
		assert_int_equal(record->token,
				 reference_draw(row, n_vocab, sampling, record->position));
	if (rows->is_scored[i] || sampling->flags)
		assert_rounded(record->logprob, reference_logprob(row, n_vocab, record->token));
	else
		assert_true(record->logprob == 0);
}

static void draws_of_a_large_vocabulary_equal_a_full_sort(void **state)
{
	static struct rows rows;
	struct backend *backend = open_backend(CPU_AUTO, 2);

	(void)state;
	for (uint32_t seed = 0; seed < 40; seed += 2) {
		make_rows(&rows, 2, LARGE, seed);
		run(backend, &rows, LARGE, 0, 2);
		check_row(&rows, 0, LARGE);
		check_row(&rows, 1, LARGE);
	}
	backend->ops->close(backend);
}

static void draws_of_many_rows_equal_a_full_sort(void **state)
{
	static const uint32_t sizes[] = { SMALL, 129, 128, 127, 1, 2, 1025, 4096 };
	static struct rows rows;
	struct backend *backend = open_backend(CPU_AUTO, 3);

	(void)state;
	for (unsigned k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
		make_rows(&rows, MAX_ROWS, sizes[k], 100 * k);
		for (uint32_t i = 0; i < MAX_ROWS; i++)
			logits[(size_t)i * sizes[k]] = 0;	/* not all are -infinity */
		run(backend, &rows, sizes[k], 0, MAX_ROWS);
		for (uint32_t i = 0; i < MAX_ROWS; i++)
			check_row(&rows, i, sizes[k]);
	}
	backend->ops->close(backend);
}

/* --- the same bits --- */

static void instructions_threads_and_rows_do_not_change_a_bit(void **state)
{
	static struct rows rows, others;

	(void)state;
	make_rows(&rows, MAX_ROWS, SMALL, 7);
	make_rows(&others, MAX_ROWS, SMALL, 7);
	for (enum cpu_isa isa = CPU_SCALAR; isa <= cpu_isa_best(); isa++)
		for (unsigned n_threads = 1; n_threads <= 4; n_threads++) {
			bool is_first = isa == CPU_SCALAR && n_threads == 1;
			struct backend *backend = open_backend(isa, n_threads);
			struct rows *into = is_first ? &rows : &others;

			run(backend, into, SMALL, 0, MAX_ROWS);
			assert_memory_equal(into->records, rows.records, sizeof rows.records);
			/* One by one, and in groups. */
			for (uint32_t first = 0, n; first < MAX_ROWS; first += n) {
				n = first % 5 + 1;
				n = first + n > MAX_ROWS ? MAX_ROWS - first : n;
				run(backend, &others, SMALL, first, n);
			}
			for (uint32_t i = 0; i < MAX_ROWS; i++)
				assert_memory_equal(&others.records[i], &rows.records[i],
						    sizeof rows.records[i]);
			backend->ops->close(backend);
		}
}

/* --- faults --- */

static void expect_fault(struct backend *backend, struct rows *rows, uint32_t n_vocab,
			 uint32_t spoilt, enum token_fault fault, uint32_t token)
{
	run(backend, rows, n_vocab, 0, rows->n);
	for (uint32_t i = 0; i < rows->n; i++) {
		assert_int_equal(rows->records[i].fault, i == spoilt ? fault : TOKEN_FAULT_NONE);
		if (i != spoilt)
			continue;
		assert_int_equal(rows->records[i].token, token);
		assert_true(rows->records[i].logprob == 0);
	}
}

/* Greedy, drawn, and scored; in every lane, at the borders of blocks, items and the row. */
static void a_fault_is_found_wherever_it_is(void **state)
{
	static const float odd[] = { NAN, INFINITY, -NAN };
	static struct rows rows;

	(void)state;
	for (enum cpu_isa isa = CPU_SCALAR; isa <= cpu_isa_best(); isa++) {
		struct backend *backend = open_backend(isa, 2);

		make_rows(&rows, 3, SMALL, 5);
		rows.sampling[0].temperature = 0;
		rows.sampling[1].temperature = 1;
		rows.is_scored[2] = true;
		for (uint32_t at = 0; at < SMALL; at += at < 260 || at > 3960 ? 1 : 61) {
			uint32_t spoilt = at % 3;
			float *row = logits + (size_t)spoilt * SMALL, kept = row[at];
			float later = row[SMALL - 1];

			row[at] = odd[at % 3];
			expect_fault(backend, &rows, SMALL, spoilt,
				     at % 3 == 1 ? TOKEN_FAULT_INFINITE : TOKEN_FAULT_NAN, at);
			/* The first of several is told, whichever it is. */
			row[SMALL - 1] = at == SMALL - 1 ? row[at] : odd[(at + 1) % 2];
			expect_fault(backend, &rows, SMALL, spoilt,
				     at % 3 == 1 ? TOKEN_FAULT_INFINITE : TOKEN_FAULT_NAN, at);
			row[at] = kept;
			if (at < SMALL - 1)
				row[SMALL - 1] = later;
		}
		for (uint32_t i = 0; i < SMALL; i++)
			logits[i] = -INFINITY;
		expect_fault(backend, &rows, SMALL, 0, TOKEN_FAULT_EMPTY, 0);
		backend->ops->close(backend);
	}
}

/* --- only what was asked for --- */

static void nothing_is_computed_unasked(void **state)
{
	static const struct {
		struct sampling sampling;
		bool is_scored;
		unsigned n_sums, n_shares;
	} cases[] = {
		{ { SAMPLING_OFF, .temperature = 0, .top_p = 0.9f }, false, 0, 0 },
		{ { SAMPLING_OFF, .temperature = 1, .top_k = 1, .top_p = 0.9f }, false, 0, 0 },
		{ { SAMPLING_OFF, .temperature = 0, .top_p = 1, .flags = SAMPLING_LOGPROB },
		  false, 1, 0 },
		{ { SAMPLING_OFF }, true, 1, 0 },
		/* The draw's own, and top-p's. */
		{ { SAMPLING_OFF, .temperature = 1, .top_p = 1, .top_k = 40 }, false, 1, 1 },
		{ { SAMPLING_OFF, .temperature = 1, .top_p = 0.9f, .top_k = 40 }, false, 1, 1 },
		{ { SAMPLING_OFF, .temperature = 1, .top_p = 0.9f }, false, 2, 1 },
		{ { SAMPLING_OFF, .temperature = 1, .top_p = 0.9f, .flags = SAMPLING_LOGPROB },
		  false, 2, 1 },
	};
	static struct rows rows;

	(void)state;
	for (unsigned k = 0; k < sizeof cases / sizeof cases[0]; k++) {
		struct backend *backend = open_backend(CPU_AUTO, 1);

		make_rows(&rows, 1, SMALL, 0);
		rows.sampling[0] = cases[k].sampling;
		rows.is_scored[0] = cases[k].is_scored;
		run(backend, &rows, SMALL, 0, 1);
		assert_int_equal(n_maxima, 1);
		assert_int_equal(n_sums, cases[k].n_sums);
		assert_int_equal(n_shares, cases[k].n_shares);
		/* A fault needs no sums. */
		n_sums = n_shares = 0;
		logits[77] = NAN;
		run(backend, &rows, SMALL, 0, 1);
		assert_int_equal(n_sums + n_shares, 0);
		backend->ops->close(backend);
	}
}

/* All weights of a top-p search in the same few floats: the list overflows, buckets narrow down to
 * one value, and ties go by token. */
static void ties_beyond_the_list_go_by_token(void **state)
{
	enum { N = 20 * SEARCH_CANDIDATES + 5 };
	static struct rows rows;
	struct backend *backend = open_backend(CPU_AUTO, 2);

	(void)state;
	for (uint32_t trial = 0; trial < 60; trial++) {
		rows.n = 1;
		rows.sampling[0] = (struct sampling){
			.seed = trial, .temperature = 1, SAMPLING_OFF,
			.top_p = trial % 3 ? (float)philox_uniform(1, trial, 0) : 1,
			.top_k = trial % 3 == 1 ? 0 : (uint32_t)(philox_uniform(2, trial, 0) * N),
		};
		for (uint32_t i = 0; i < N; i++)
			logits[i] = trial % 4 ? (float)(i * UINT32_C(2654435761) >> 31) : -0.0f;
		for (uint32_t i = 0; trial % 4 == 2 && i < N; i += 3)
			logits[i] = 0;
		run(backend, &rows, N, 0, 1);
		check_row(&rows, 0, N);
	}
	backend->ops->close(backend);
}

static int allocate(void **state)
{
	(void)state;
	logits = malloc((size_t)MAX_ROWS * SMALL * sizeof *logits + 2 * LARGE * sizeof *logits);
	return !logits;
}

static int deallocate(void **state)
{
	(void)state;
	free(logits);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(draws_of_a_large_vocabulary_equal_a_full_sort),
		cmocka_unit_test(draws_of_many_rows_equal_a_full_sort),
		cmocka_unit_test(instructions_threads_and_rows_do_not_change_a_bit),
		cmocka_unit_test(a_fault_is_found_wherever_it_is),
		cmocka_unit_test(nothing_is_computed_unasked),
		cmocka_unit_test(ties_beyond_the_list_go_by_token),
	};

	return cmocka_run_group_tests(tests, allocate, deallocate);
}
