/* SPDX-License-Identifier: Apache-2.0 */
/* Which pages are chosen by what they cost, and the thread that makes small ones huge later. */
#include "backend/cpu/cpu.h"
#include "base/clock.h"
#include "tests/sanitizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#define FAST_NS (PAGE_CHOICE_SLOW_NS / 10)
#define SLOW_NS (PAGE_CHOICE_SLOW_NS * 2)
#define MEDIUM_NS (PAGE_CHOICE_SLOW_NS / 2)

/* --- the choice --- */

/* Takes n pieces, which cost what the table says. Returns how many were small. */
static unsigned take(struct page_choice *choice, unsigned n, uint64_t huge_ns, uint64_t small_ns)
{
	const uint64_t cost_ns[] = { [PAGE_HUGE] = huge_ns, [PAGE_SMALL] = small_ns };
	unsigned n_small = 0;

	for (unsigned i = 0; i < n; i++) {
		enum page_size size = page_choice_next(choice);

		page_choice_note(choice, size, cost_ns[size]);
		n_small += size == PAGE_SMALL;
	}
	return n_small;
}

static void fast_huge_pages_are_kept(void **state)
{
	struct page_choice choice = { 0 };

	(void)state;
	assert_int_equal(take(&choice, 1000, FAST_NS, 0), 0);
	/* One slow piece is no reason to change. */
	assert_int_equal(take(&choice, 1, SLOW_NS, 0), 0);
	assert_int_equal(take(&choice, 1000, FAST_NS, 0), 0);
}

static void slow_huge_pages_give_way_to_small_ones(void **state)
{
	struct page_choice choice = { 0 };

	(void)state;
	take(&choice, 10, SLOW_NS, MEDIUM_NS);
	assert_true(take(&choice, 1000, SLOW_NS, MEDIUM_NS) >= 970);
}

static void huge_pages_return_when_they_are_fast_again(void **state)
{
	struct page_choice choice = { 0 };

	(void)state;
	take(&choice, 1000, SLOW_NS, MEDIUM_NS);
	assert_true(take(&choice, PAGE_CHOICE_MANY + 8, FAST_NS, MEDIUM_NS) > 0);
	assert_int_equal(take(&choice, 1000, FAST_NS, MEDIUM_NS), 0);
}

static void small_pages_that_are_slower_are_only_tried(void **state)
{
	struct page_choice choice = { 0 };

	(void)state;
	take(&choice, 20, SLOW_NS, 2 * SLOW_NS);
	assert_true(take(&choice, 1000, SLOW_NS, 2 * SLOW_NS) <= 30);
	/* Small pages that become cheap are found. */
	take(&choice, 2 * PAGE_CHOICE_MANY, SLOW_NS, MEDIUM_NS);
	assert_true(take(&choice, 1000, SLOW_NS, MEDIUM_NS) >= 970);
}

/* --- the collapser --- */

struct treated {
	atomic_uint n;
	void *pieces[64];
	bool is_done;		/* what the function returns */
	unsigned n_wanted;
	pthread_mutex_t lock;
	pthread_cond_t is_enough;
};

static bool treat(void *arg, void *piece)
{
	struct treated *treated = arg;

	pthread_mutex_lock(&treated->lock);
	treated->pieces[atomic_fetch_add(&treated->n, 1)] = piece;
	if (atomic_load(&treated->n) == treated->n_wanted)
		pthread_cond_signal(&treated->is_enough);
	pthread_mutex_unlock(&treated->lock);
	return treated->is_done;
}

static void await(struct treated *treated)
{
	pthread_mutex_lock(&treated->lock);
	while (atomic_load(&treated->n) < treated->n_wanted)
		pthread_cond_wait(&treated->is_enough, &treated->lock);
	pthread_mutex_unlock(&treated->lock);
}

#define TREATED(n, done) { .n_wanted = (n), .is_done = (done), \
			   .lock = PTHREAD_MUTEX_INITIALIZER, .is_enough = PTHREAD_COND_INITIALIZER }

static void init(struct collapser *collapser, struct treated *treated, uint64_t pause_ns,
		 char *pieces, unsigned n)
{
	const struct collapser_config config = {
		.fn = treat, .arg = treated, .least_pause_ns = pause_ns, .pause_factor = 1,
	};

	collapser_init(collapser, &config);
	for (unsigned i = 0; i < n; i++)
		collapser_add(collapser, pieces + i);
}

static void every_piece_is_treated_in_order(void **state)
{
	struct treated treated = TREATED(40, true);
	struct collapser collapser;
	char pieces[40];

	(void)state;
	init(&collapser, &treated, 0, pieces, 40);
	collapser_start(&collapser);
	await(&treated);
	collapser_deinit(&collapser);
	for (unsigned i = 0; i < 40; i++)
		assert_ptr_equal(treated.pieces[i], pieces + i);
	assert_int_equal(atomic_load(&treated.n), 40);
}

static void without_pieces_no_thread_starts(void **state)
{
	struct treated treated = TREATED(0, true);
	struct collapser collapser;

	(void)state;
	init(&collapser, &treated, 0, NULL, 0);
	collapser_start(&collapser);
	assert_false(collapser.is_started);
	collapser_deinit(&collapser);
}

/* The thread sleeps for a day. */
static void stopping_does_not_wait_for_a_pause(void **state)
{
	struct treated treated = TREATED(1, true);
	struct collapser collapser;
	char pieces[3];

	(void)state;
	init(&collapser, &treated, 86400 * NS_PER_SECOND, pieces, 3);
	collapser_start(&collapser);
	assert_true(collapser.is_started);
	collapser_stop(&collapser);
	assert_false(collapser.is_started);
	assert_int_equal(atomic_load(&treated.n), 0);
	assert_int_equal(collapser.n_pieces, 3);
	collapser_deinit(&collapser);
}

static void after_a_stop_the_rest_is_treated(void **state)
{
	struct treated treated = TREATED(10, true);
	struct collapser collapser;
	char pieces[40];

	(void)state;
	init(&collapser, &treated, 0, pieces, 20);
	collapser_start(&collapser);
	await(&treated);
	collapser_stop(&collapser);
	for (unsigned i = 20; i < 40; i++)
		collapser_add(&collapser, pieces + i);
	treated.n_wanted = 40;
	collapser_start(&collapser);
	await(&treated);
	collapser_deinit(&collapser);
	for (unsigned i = 0; i < 40; i++)
		assert_ptr_equal(treated.pieces[i], pieces + i);
}

static void a_system_that_cannot_is_not_asked_for_ever(void **state)
{
	struct treated treated = TREATED(COLLAPSER_MAX_FAILURES, false);
	struct collapser collapser;
	char pieces[40];

	(void)state;
	init(&collapser, &treated, 0, pieces, 40);
	collapser_start(&collapser);
	await(&treated);
	pthread_join(collapser.thread, NULL);
	collapser.is_started = false;
	collapser_deinit(&collapser);
	assert_int_equal(atomic_load(&treated.n), COLLAPSER_MAX_FAILURES);
}

/* --- both --- */

static _Thread_local uint64_t time_ns;

/* Every piece seems to take long. */
static uint64_t slow_clock(void)
{
	return time_ns += SLOW_NS;
}

static uint64_t fast_clock(void)
{
	return time_ns += FAST_NS;
}

/* The scratch memory of the backend was taken by the real clock. */
static struct backend *open_with(pages_clock_fn *clock)
{
	const struct backend_config config = { .n_threads = 2, .max_rows = 4, .max_width = 64 };
	struct backend *backend;
	struct pages *pages;

	assert_int_equal(backend_cpu.open(0, &config, &backend, NULL), SC_OK);
	pages = cpu_of(backend)->pages;
	pages->collapser.n_pieces = 0;
	pages->choice = (struct page_choice){ 0 };
	pages->clock = clock;
	return backend;
}

static bool can_choose(const struct cpu_backend *cpu)
{
	return cpu->pages->has_huge && cpu_memory_is_mapped(PAGES_HUGE);
}

static void nothing_is_collapsed_where_huge_pages_are_fast(void **state)
{
	struct backend *backend = open_with(fast_clock);
	void *memory;

	(void)state;
	assert_int_equal(backend_cpu.alloc(backend, 64 * PAGES_HUGE, &memory), SC_OK);
	backend_cpu.settle(backend);
	assert_int_equal(cpu_of(backend)->pages->collapser.n_pieces, 0);
	assert_false(cpu_of(backend)->pages->collapser.is_started);
	backend_cpu.release(backend, memory);
	backend_cpu.close(backend);
}

/* Steps write while the thread runs. The thread ends before the block, wherever it is. */
static void small_pages_keep_their_bytes_until_they_are_released(void **state)
{
	const size_t n_bytes = 64 * PAGES_HUGE + 5;
	struct backend *backend = open_with(slow_clock);
	struct cpu_backend *cpu = cpu_of(backend);
	uint8_t *memory;
	void *block;

	(void)state;
	assert_int_equal(backend_cpu.alloc(backend, n_bytes, &block), SC_OK);
	memory = block;
	if (can_choose(cpu))
		assert_true(cpu->pages->collapser.n_pieces > 8);
	for (size_t at = 0; at < n_bytes; at += 4096)
		assert_int_equal(memory[at], 0);
	backend_cpu.settle(backend);
	assert_true(cpu->pages->collapser.is_started == can_choose(cpu));
	for (unsigned round = 1; round < (HAS_TSAN ? 4 : 20); round++) {
		memset(memory, (int)round, n_bytes);
		for (size_t at = 0; at < n_bytes; at += 4096)
			assert_int_equal(memory[at], round);
	}
	backend_cpu.release(backend, memory);
	assert_false(cpu->pages->collapser.is_started);
	backend_cpu.close(backend);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fast_huge_pages_are_kept),
		cmocka_unit_test(slow_huge_pages_give_way_to_small_ones),
		cmocka_unit_test(huge_pages_return_when_they_are_fast_again),
		cmocka_unit_test(small_pages_that_are_slower_are_only_tried),
		cmocka_unit_test(every_piece_is_treated_in_order),
		cmocka_unit_test(without_pieces_no_thread_starts),
		cmocka_unit_test(stopping_does_not_wait_for_a_pause),
		cmocka_unit_test(after_a_stop_the_rest_is_treated),
		cmocka_unit_test(a_system_that_cannot_is_not_asked_for_ever),
		cmocka_unit_test(nothing_is_collapsed_where_huge_pages_are_fast),
		cmocka_unit_test(small_pages_keep_their_bytes_until_they_are_released),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
