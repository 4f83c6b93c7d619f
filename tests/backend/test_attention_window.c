/* SPDX-License-Identifier: Apache-2.0 */
/* Windows, rings of blocks, caps and slopes of attention. */
#include "history.h"
#include "tests/sanitizer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { EVERY = SANITIZED_EVERY(6) };

/* The fewest blocks of a ring for steps of n rows. */
static unsigned ring_of(unsigned window, unsigned block_length, unsigned n)
{
	return (window - 1 + n + block_length - 1) / block_length + 1;
}

/* Windows that cut slices (128), parts (512) and blocks; one row, a vector, and more than all. */
static void check_windows(const char *isa, enum tensor_type type)
{
	static const unsigned windows[] = { 1, 5, 32, 33, 100, 129, 511, 600, 2000 };
	static const unsigned lengths[] = { 32, 5, 16, 48, 128, 256 };
	enum { N_POSITIONS = 1100, CHUNK = 100 };

	for (unsigned i = 0; i < 9 * 6; i++) {
		struct shape shape = { SHAPE(4, 2, 40, 24, lengths[i % 6]) };
		size_t n_out = (size_t)N_POSITIONS * 4 * 24;
		float *all, *ring;
		struct history s;

		if ((i + (unsigned)type) % (4 * EVERY))
			continue;
		all = floats_alloc(n_out);
		ring = floats_alloc(n_out);
		shape.window = windows[i / 6];
		shape.has_slopes = i / 4 % 4 == 1;
		shape.cap = i / 4 % 4 == 2 ? 2.5f : 0;
		history_init(&s, shape, type, N_POSITIONS, 0, 1, i);
		run_long(isa, 1 + i % 3, &s, MAX_ROWS, all);
		check_close(isa, &s, all, 37);
		for (unsigned chunk = 1; chunk <= CHUNK; chunk += CHUNK - 1) {
			s.shape.table_blocks = ring_of(shape.window, shape.block_length, chunk);
			run_long(isa, 1 + i % 2, &s, chunk, ring);
			if (memcmp(ring, all, n_out * sizeof *all) != 0)
				fail_msg("%s, type %u: window %u, blocks of %u: a ring of %u blocks "
					 "gives other bits than all blocks", isa, type,
					 shape.window, shape.block_length, s.shape.table_blocks);
		}
		history_deinit(&s);
		free(all);
		free(ring);
	}
}

/* Runs the sequence in steps of `chunk` rows. Before each step the table's entries of blocks that no
 * row of the step sees become those of blocks that do not exist. */
static void run_forgetting(struct backend *backend, struct kv_cache *cache, struct history *s,
			   unsigned chunk, float *out)
{
	unsigned length = s->shape.block_length, n;

	for (unsigned first = 0; first < s->n_positions; first += n) {
		unsigned begin = first >= s->shape.window ? first + 1 - s->shape.window : 0;

		for (unsigned block = 0; block < begin / length; block++)
			s->blocks[block] = UINT32_MAX - block;
		n = s->n_positions - first < chunk ? s->n_positions - first : chunk;
		run_step(backend, cache, s, 1, &first, &n, &out);
	}
}

static void check_forgotten(const char *isa, enum tensor_type type)
{
	static const unsigned lengths[] = { 16, 33, 5, 256 }, chunks[] = { 1, 7, 200 };
	enum { N_POSITIONS = 600 };
	float *expected = floats_alloc((size_t)N_POSITIONS * 4 * 24);
	float *out = floats_alloc((size_t)N_POSITIONS * 4 * 24);

	for (unsigned i = 0; i < 12; i++) {
		const struct shape shape = { SHAPE(4, 2, 40, 24, lengths[i % 4]), .window = 75 };
		struct backend *backend = open_cpu(isa, 1 + i % 2, MAX_ROWS, 64);
		struct kv_cache *cache = make_cache(backend, shape, type,
						    N_POSITIONS / shape.block_length + 1);
		struct history s;

		history_init(&s, shape, type, N_POSITIONS, 0, 1, 3);
		run_long(isa, 1, &s, MAX_ROWS, expected);
		run_forgetting(backend, cache, &s, chunks[i / 4], out);
		assert_memory_equal(out, expected, (size_t)N_POSITIONS * 4 * 24 * sizeof *out);
		history_deinit(&s);
		backend->ops->kv_destroy(backend, cache);
		backend->ops->close(backend);
	}
	free(expected);
	free(out);
}

static void blocks_before_a_window_are_not_read(void **state)
{
	(void)state;
	for_each_isa(check_forgotten);
}

/* What is not finite changes rows while their window has it, and none later: neither in the same
 * tile, nor what a ring's block held before. */
static void check_passing(const char *isa, enum tensor_type type)
{
	enum { N_POSITIONS = 900, WINDOW = 90, ROW = 4 * 24, ODD = 301 };
	float *clean = floats_alloc((size_t)N_POSITIONS * ROW);
	float *out = floats_alloc((size_t)N_POSITIONS * ROW);

	for (unsigned i = 0; i < 6; i++) {
		struct shape shape = { SHAPE(4, 2, 24, 24, i % 2 ? 16 : 33), .window = WINDOW };
		unsigned chunk = i / 2 == 0 ? 1 : i / 2 == 1 ? 50 : 250;
		struct history s;

		history_init(&s, shape, type, N_POSITIONS, 0, 1, 4);
		run_long(isa, 2, &s, MAX_ROWS, clean);
		for (unsigned k = 0; k < 2 * 24; k++) {
			s.v[(size_t)ODD * 2 * 24 + k] = k % 2 ? NAN : INFINITY;
			s.k[(size_t)ODD * 2 * 24 + k] = NAN;
		}
		s.shape.table_blocks = ring_of(WINDOW, shape.block_length, chunk);
		run_long(isa, 1 + i % 3, &s, chunk, out);
		for (unsigned p = 0; p < N_POSITIONS; p++) {
			bool sees = p >= ODD && p < ODD + WINDOW;

			for (unsigned k = 0; k < ROW; k++) {
				size_t at = (size_t)p * ROW + k;

				if (sees ? !isnan(out[at]) : out[at] != clean[at])
					fail_msg("%s, type %u, blocks of %u, chunks of %u: "
						 "position %u element %u is %g, without NaN %g",
						 isa, type, shape.block_length, chunk, p, k,
						 (double)out[at], (double)clean[at]);
			}
		}
		history_deinit(&s);
	}
	free(clean);
	free(out);
}

static void what_is_not_finite_leaves_with_the_window(void **state)
{
	(void)state;
	for_each_isa(check_passing);
}

/* Sequences at different places of one ring cache beside each other, one of which takes over the
 * blocks of another that ended with garbage. */
static void check_neighbours(const char *isa, enum tensor_type type)
{
	const struct shape shape = { SHAPE(6, 2, 48, 40, 16), .window = 60, .table_blocks = 12 };
	enum { ROW = 6 * 40 };
	struct backend *backend = open_cpu(isa, 3, MAX_ROWS, 64);
	struct kv_cache *cache = make_cache(backend, shape, type, 24);
	unsigned first[2] = { 0, 0 }, n[2], length[2] = { 400, 230 };
	float *alone[2], *out[2];
	struct history s[2];

	for (unsigned i = 0; i < 2; i++) {
		history_init(&s[i], shape, type, length[i], i * 12, 1, 20 + i);
		alone[i] = floats_alloc((size_t)length[i] * ROW);
		out[i] = floats_alloc((size_t)length[i] * ROW);
		run_long(isa, 1, &s[i], 100, alone[i]);
	}
	for (unsigned step = 0; first[0] < length[0] || first[1] < length[1]; step++) {
		for (unsigned i = 0; i < 2; i++) {
			unsigned wanted = (step + i) % 3 == 0 ? 100 : 1 + step % 4;

			n[i] = length[i] - first[i] < wanted ? length[i] - first[i] : wanted;
		}
		/* The one that has ended makes room for garbage. */
		run_step(backend, cache, s, first[1] < length[1] ? 2 : 1, first, n, out);
		first[0] += n[0];
		first[1] += n[1];
	}
	for (unsigned i = 0; i < 2; i++) {
		assert_memory_equal(out[i], alone[i], (size_t)length[i] * ROW * sizeof(float));
		for (size_t k = 0; k < (size_t)length[i] * 2 * 40; k++)
			s[i].v[k] = NAN;
	}
	/* Both rings full of NaN, then the first sequence again. */
	n[0] = n[1] = 100;
	for (first[0] = first[1] = 0; first[0] < 200; first[0] += 100, first[1] += 100)
		run_step(backend, cache, s, 2, first, n, out);
	history_deinit(&s[0]);
	history_init(&s[0], shape, type, length[0], 0, 1, 20);
	for (first[0] = 0; first[0] < length[0]; first[0] += 100)
		run_step(backend, cache, s, 1, first, n, out);
	assert_memory_equal(out[0], alone[0], (size_t)length[0] * ROW * sizeof(float));
	for (unsigned i = 0; i < 2; i++) {
		history_deinit(&s[i]);
		free(alone[i]);
		free(out[i]);
	}
	backend->ops->kv_destroy(backend, cache);
	backend->ops->close(backend);
}

static void rings_hide_what_they_held_before(void **state)
{
	(void)state;
	for_each_isa(check_neighbours);
}

static void windows_match_double_and_rings_leave_no_trace(void **state)
{
	(void)state;
	for_each_isa(check_windows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(windows_match_double_and_rings_leave_no_trace),
		cmocka_unit_test(blocks_before_a_window_are_not_read),
		cmocka_unit_test(what_is_not_finite_leaves_with_the_window),
		cmocka_unit_test(rings_hide_what_they_held_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
