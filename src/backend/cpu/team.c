/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/team.h"

#include "base/bell.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Two cache lines, because processors fetch neighbouring lines in pairs. */
#define APART _Alignas(128)
#define SPIN_NS 50000
#define ITEM_BITS 29
#define MAX_ITEMS ((size_t)1 << (ITEM_BITS - 1))

/* The items that belong to a thread and have not started, packed into one 64-bit word. From the
 * highest bit down: the longest run that may be taken at once, the first item, the end.
 * The word is the whole state, so a single compare-and-swap takes items. If it succeeds, the word
 * still described items of the current region, even if the region changed in between. */
struct seat {
	APART atomic_uint_least64_t items;
	struct bell bell;		/* wakes this seat's helper */
	pthread_t thread;
	struct team *team;
	unsigned index;
};

/* run and arg stay valid while an item is being computed, because its region cannot end before. */
struct team {
	team_task_fn *run;
	void *arg;
	size_t base;			/* number of the region's first item */
	unsigned n_threads;
	unsigned n_started;		/* seats that have a thread, the caller's included */
	atomic_bool is_stopping;
	APART atomic_size_t n_left;	/* items not yet reported as done */
	struct bell caller;
	struct seat seats[];		/* [n_threads], the first is the caller's */
};

static_assert(TEAM_MAX_RUN < 1 << (64 - 2 * ITEM_BITS), "it has the bits that are left");

struct items {
	size_t max_run;
	size_t first;
	size_t end;
};

static uint64_t pack_items(struct items items)
{
	return (uint64_t)items.max_run << 2 * ITEM_BITS | (uint64_t)items.first << ITEM_BITS |
	       items.end;
}

static struct items unpack_items(uint64_t word)
{
	const uint64_t mask = ((uint64_t)1 << ITEM_BITS) - 1;

	return (struct items){
		.max_run = word >> 2 * ITEM_BITS, .first = word >> ITEM_BITS & mask,
		.end = word & mask,
	};
}

static bool has_items(struct items items)
{
	return items.first < items.end;
}

/* Takes at most three quarters of the rest, so that the last runs are short, but few. */
static size_t run_length(struct items items)
{
	size_t left = items.end - items.first, most = left - left / 4;

	return most < items.max_run ? most : items.max_run;
}

/* The owner takes items from the front, other threads from the end. */
static bool take_run(struct seat *seat, bool is_owner, struct items *run_out)
{
	uint64_t word = atomic_load_explicit(&seat->items, memory_order_relaxed);
	struct items items = unpack_items(word), run;

	for (; has_items(items); items = unpack_items(word)) {
		run = items;
		if (is_owner)
			items.first = run.end = run.first + run_length(run);
		else
			items.end = run.first = run.end - run_length(run);
		if (atomic_compare_exchange_weak(&seat->items, &word, pack_items(items))) {
			*run_out = run;
			return true;
		}
	}
	return false;
}

static size_t run_items_of(struct team *team, unsigned owner, unsigned thread)
{
	struct items run;
	size_t n = 0;

	for (; take_run(&team->seats[owner], owner == thread, &run); n += run.end - run.first)
		team->run(team->arg, team->base + run.first, team->base + run.end, thread);
	return n;
}

/* Computes the thread's own items first, then those of others. */
static void work(struct team *team, unsigned thread)
{
	size_t n = 0;

	for (unsigned i = 0; i < team->n_threads; i++)
		n += run_items_of(team, (thread + i) % team->n_threads, thread);
	if (n && atomic_fetch_sub(&team->n_left, n) == n)
		bell_ring(&team->caller);
}

static bool has_work(void *arg)
{
	struct seat *seat = arg;

	return has_items(unpack_items(atomic_load(&seat->items))) ||
	       atomic_load(&seat->team->is_stopping);
}

static void *helper_main(void *arg)
{
	struct seat *seat = arg;

	for (;;) {
		bell_wait(&seat->bell, SPIN_NS, has_work, seat);
		if (atomic_load(&seat->team->is_stopping))
			return NULL;
		work(seat->team, seat->index);
	}
}

static bool is_done(void *arg)
{
	struct team *team = arg;

	return !atomic_load(&team->n_left);
}

/* Publish every thread's share before waking any helper, the caller's share first. Reason: a helper
 * that runs out of items looks for more only once; shares published later would be missed. A helper
 * that is still awake may miss the share of a helper with a higher index. That helper is woken, and
 * computes its share itself. */
static void run_region(struct team *team, size_t n_items, size_t max_run)
{
	size_t n = team->n_threads;

	atomic_store(&team->n_left, n_items);
	for (size_t i = 0; i < n; i++) {
		struct items items = { max_run, n_items * i / n, n_items * (i + 1) / n };

		atomic_store(&team->seats[i].items, pack_items(items));
	}
	for (size_t i = 1; i < n; i++)
		if (has_work(&team->seats[i]))
			bell_ring(&team->seats[i].bell);
	work(team, 0);
	bell_wait(&team->caller, SPIN_NS, is_done, team);
}

void team_run_here(size_t n_items, size_t max_run, team_task_fn *run, void *arg)
{
	for (size_t first = 0; first < n_items; first += max_run)
		run(arg, first, n_items - first < max_run ? n_items : first + max_run, 0);
}

void team_run(struct team *team, size_t n_items, size_t max_run, team_task_fn *run, void *arg)
{
	assert(max_run >= 1 && max_run <= TEAM_MAX_RUN);
	if (team->n_threads == 1 || n_items == 1) {
		team_run_here(n_items, max_run, run, arg);
		return;
	}
	team->run = run;
	team->arg = arg;
	for (team->base = 0; team->base < n_items; team->base += MAX_ITEMS) {
		size_t n_more = n_items - team->base;

		run_region(team, n_more < MAX_ITEMS ? n_more : MAX_ITEMS, max_run);
	}
}

unsigned team_size(const struct team *team)
{
	return team->n_threads;
}

pthread_t team_helper(const struct team *team, unsigned thread)
{
	return team->seats[thread].thread;
}

static enum sc_status start_helper(struct team *team, unsigned index, struct error *err)
{
	struct seat *seat = &team->seats[index];
	char name[32];
	int errnum;

	seat->team = team;
	seat->index = index;
	errnum = pthread_create(&seat->thread, NULL, helper_main, seat);
	if (errnum)
		return error_errno(err, SC_E_INTERNAL, errnum, "cannot start compute thread %u of "
				   "%u",
				   index + 1, team->n_threads);
	snprintf(name, sizeof name, "helper %u", index);
	(void)pthread_setname_np(seat->thread, name);
	team->n_started++;
	return SC_OK;
}

size_t team_bytes(unsigned n_threads)
{
	return sizeof(struct team) + n_threads * sizeof(struct seat);
}

enum sc_status team_create(unsigned n_threads, struct team **team_out, struct error *err)
{
	size_t n_bytes = team_bytes(n_threads);
	struct team *team = aligned_alloc(_Alignof(struct team), n_bytes);
	enum sc_status status = SC_OK;

	if (!team)
		return error_set(err, SC_E_NOMEM, "out of memory for %u threads", n_threads);
	memset(team, 0, n_bytes);
	team->n_threads = n_threads;
	team->n_started = 1;
	while (status == SC_OK && team->n_started < n_threads)
		status = start_helper(team, team->n_started, err);
	if (status != SC_OK) {
		team_destroy(team);
		return status;
	}
	*team_out = team;
	return SC_OK;
}

void team_destroy(struct team *team)
{
	if (!team)
		return;
	atomic_store(&team->is_stopping, true);
	for (unsigned i = 1; i < team->n_started; i++) {
		bell_ring(&team->seats[i].bell);
		pthread_join(team->seats[i].thread, NULL);
	}
	free(team);
}
