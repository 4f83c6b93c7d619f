/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/team.h"

#include "base/bell.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Neighbouring lines are fetched in pairs. */
#define APART _Alignas(128)
#define SPIN_NS 50000
#define MAX_ITEMS ((size_t)1 << 31)

/* The items of a thread that nobody has begun: the first in the upper half, the end in the lower.
 * What the word says is all there is to know: whoever changes it from what it read has taken an
 * item of the region of that moment, whatever went on in between. */
struct seat {
	APART atomic_uint_least64_t items;
	struct bell bell;		/* the helper's */
	pthread_t thread;
	struct team *team;
	unsigned index;
};

/* An item that was taken keeps its region from ending, so run and arg hold still for it. */
struct team {
	team_task_fn *run;
	void *arg;
	size_t base;			/* number of the region's first item */
	unsigned n_threads;
	unsigned n_started;		/* seats with a thread, the caller's included */
	atomic_bool is_stopping;
	APART atomic_size_t n_left;	/* items that have not been reported as done */
	struct bell caller;
	struct seat seats[];		/* [n_threads], the first is the caller's */
};

static uint64_t pack_items(size_t first, size_t end)
{
	return (uint64_t)first << 32 | end;
}

static bool has_items(uint64_t items)
{
	return items >> 32 < (uint32_t)items;
}

/* The owner goes up, others come down to it from the end. */
static bool take_item(struct seat *seat, bool is_owner, size_t *item_out)
{
	uint64_t items = atomic_load_explicit(&seat->items, memory_order_relaxed);

	while (has_items(items)) {
		uint64_t left = is_owner ? items + pack_items(1, 0) : items - 1;

		if (!atomic_compare_exchange_weak(&seat->items, &items, left))
			continue;
		*item_out = is_owner ? items >> 32 : (uint32_t)items - 1;
		return true;
	}
	return false;
}

static size_t run_items_of(struct team *team, unsigned owner, unsigned thread)
{
	size_t item, n = 0;

	for (; take_item(&team->seats[owner], owner == thread, &item); n++)
		team->run(team->arg, team->base + item, thread);
	return n;
}

/* Its own first, then anybody's. */
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

	return has_items(atomic_load(&seat->items)) || atomic_load(&seat->team->is_stopping);
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

static void run_region(struct team *team, size_t n_items)
{
	size_t n = team->n_threads;

	atomic_store(&team->n_left, n_items);
	/* The caller's own last: until then it need not share it. */
	for (size_t i = n; i-- > 0;) {
		uint64_t items = pack_items(n_items * i / n, n_items * (i + 1) / n);

		if (!has_items(items))
			continue;
		atomic_store(&team->seats[i].items, items);
		bell_ring(&team->seats[i].bell);
	}
	work(team, 0);
	bell_wait(&team->caller, SPIN_NS, is_done, team);
}

void team_run(struct team *team, size_t n_items, team_task_fn *run, void *arg)
{
	if (team->n_threads == 1 || n_items == 1) {
		for (size_t item = 0; item < n_items; item++)
			run(arg, item, 0);
		return;
	}
	team->run = run;
	team->arg = arg;
	for (team->base = 0; team->base < n_items; team->base += MAX_ITEMS) {
		size_t n_more = n_items - team->base;

		run_region(team, n_more < MAX_ITEMS ? n_more : MAX_ITEMS);
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
		return error_errno(err, SC_E_INTERNAL, errnum, "start compute thread %u of %u",
				   index + 1, team->n_threads);
	snprintf(name, sizeof name, "helper %u", index);
	(void)pthread_setname_np(seat->thread, name);
	team->n_started++;
	return SC_OK;
}

enum sc_status team_create(unsigned n_threads, struct team **team_out, struct error *err)
{
	size_t n_bytes = sizeof(struct team) + n_threads * sizeof(struct seat);
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
