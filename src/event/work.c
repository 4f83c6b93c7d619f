/* SPDX-License-Identifier: Apache-2.0 */
#include "event/work.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>

/* Helpers yield to the compute threads where processors are scarce. */
#define HELPER_NICE 10
/* Time per turn of the loop for the done functions of finished items. */
#define DONE_NS (2 * NS_PER_MS)

enum { HELPER_ANY, HELPER_SHORT, N_HELPERS };

struct helper {
	struct work_pool *pool;
	pthread_t thread;
	bool takes_long;		/* takes long items, too */
	bool is_started;
};

struct work_pool {
	struct work_limits limits;
	struct wake *wake;		/* sent when an item is finished */
	struct timer *later;		/* calls done for items that did
					 * not fit into the last turn */
	bool is_later;			/* the timer is running */
	struct list items;		/* items that wait or run, or whose
					 * done is still to be called */
	unsigned n_items;
	size_t n_bytes;
	struct helper helpers[N_HELPERS];

	pthread_mutex_t lock;		/* guards all members below */
	pthread_cond_t news;		/* signalled for a new item, and for is_stopping */
	struct list waiting;		/* sorted by round */
	uint64_t round;			/* the latest round of which an item was started */
	struct list finished;
	bool is_stopping;
};

static struct work *take_first(struct work_pool *pool, bool takes_long)
{
	list_for_each(node, &pool->waiting) {
		struct work *work = list_entry(node, struct work, node);

		if (work->is_long && !takes_long)
			continue;
		list_remove(node);
		work->is_waiting = false;
		if (work->round > pool->round)
			pool->round = work->round;
		return work;
	}
	return NULL;
}

static void *help(void *arg)
{
	struct helper *helper = arg;
	struct work_pool *pool = helper->pool;

	/* On Linux each thread has a priority of its own. If this fails, the helper works at normal
	 * priority. */
	(void)setpriority(PRIO_PROCESS, 0, HELPER_NICE);
	pthread_mutex_lock(&pool->lock);
	while (!pool->is_stopping) {
		struct work *work = take_first(pool, helper->takes_long);

		if (!work) {
			pthread_cond_wait(&pool->news, &pool->lock);
			continue;
		}
		pthread_mutex_unlock(&pool->lock);
		work->run(work);
		pthread_mutex_lock(&pool->lock);
		list_append(&pool->finished, &work->node);
		wake_send(pool->wake);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

static void leave(struct work *work)
{
	list_remove(&work->pool_node);
	work->pool->n_items--;
	work->pool->n_bytes -= work->n_bytes;
}

/* Calls done of the item that finished first. Returns false if there is none. */
static bool finish_first(struct work_pool *pool)
{
	struct work *work = NULL;

	pthread_mutex_lock(&pool->lock);
	if (!list_is_empty(&pool->finished)) {
		work = list_entry(pool->finished.next, struct work, node);
		list_remove(&work->node);
	}
	pthread_mutex_unlock(&pool->lock);
	if (!work)
		return false;
	leave(work);
	work->done(work);
	return true;
}

/* Limits the time per turn: done may handle a large answer, and helpers may have finished many
 * items while the loop was busy. Items that do not fit wait for the next turn. */
static void finish_some(struct work_pool *pool)
{
	uint64_t end_ns = clock_ns() + DONE_NS;

	while (finish_first(pool)) {
		if (clock_ns() >= end_ns) {
			pool->is_later = true;
			timer_start(pool->later, 0, 0);
			return;
		}
	}
}

static void on_wake(void *arg)
{
	struct work_pool *pool = arg;

	if (!pool->is_later)
		finish_some(pool);
}

static void on_later(void *arg)
{
	struct work_pool *pool = arg;

	pool->is_later = false;
	finish_some(pool);
}

static bool start_helper(struct work_pool *pool, struct helper *helper, bool takes_long)
{
	helper->pool = pool;
	helper->takes_long = takes_long;
	helper->is_started = pthread_create(&helper->thread, NULL, help, helper) == 0;
	return helper->is_started;
}

enum sc_status work_pool_create(struct loop *loop, const struct work_limits *limits,
				struct work_pool **pool_out)
{
	struct work_pool *pool = calloc(1, sizeof *pool);

	if (!pool)
		return SC_E_NOMEM;
	pool->limits = *limits;
	list_init(&pool->items);
	list_init(&pool->waiting);
	list_init(&pool->finished);
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->news, NULL);
	if (wake_create(loop, on_wake, pool, &pool->wake) != SC_OK ||
	    timer_create_on(loop, on_later, pool, &pool->later) != SC_OK ||
	    !start_helper(pool, &pool->helpers[HELPER_ANY], true) ||
	    !start_helper(pool, &pool->helpers[HELPER_SHORT], false)) {
		work_pool_destroy(pool);
		return SC_E_NOMEM;
	}
	*pool_out = pool;
	return SC_OK;
}

static void stop_helpers(struct work_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->is_stopping = true;
	pthread_cond_broadcast(&pool->news);
	pthread_mutex_unlock(&pool->lock);
	for (int i = 0; i < N_HELPERS; i++)
		if (pool->helpers[i].is_started)
			pthread_join(pool->helpers[i].thread, NULL);
}

void work_pool_destroy(struct work_pool *pool)
{
	if (!pool)
		return;
	stop_helpers(pool);
	list_for_each(node, &pool->waiting) {
		list_entry(node, struct work, node)->is_cancelled = true;
		list_remove(node);
		list_append(&pool->finished, node);
	}
	while (finish_first(pool))
		;
	timer_destroy(pool->later);
	wake_destroy(pool->wake);
	pthread_cond_destroy(&pool->news);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

/* Returns the round for a new item: one after the client's last waiting item, or one after the
 * latest round that has started. */
static uint64_t round_for(const struct work_pool *pool, uint64_t client)
{
	uint64_t round = pool->round;

	list_for_each(node, &pool->waiting) {
		const struct work *work = list_entry(node, struct work, node);

		if (work->client == client)
			round = work->round;
	}
	return round + 1;
}

static void insert(struct work_pool *pool, struct work *work)
{
	struct list *place = &pool->waiting;

	work->round = round_for(pool, work->client);
	while (place->prev != &pool->waiting &&
	       list_entry(place->prev, struct work, node)->round > work->round)
		place = place->prev;
	list_insert_before(place, &work->node);
}

static bool is_within(uint64_t n, uint64_t more, uint64_t max)
{
	return n <= max && more <= max - n;
}

/* Any client may use up to three quarters of each limit. The rest is reserved for clients that hold
 * at most an eighth. */
static bool has_room(const struct work_pool *pool, const struct work *work)
{
	const struct work_limits *limits = &pool->limits;
	unsigned n_items = 0;
	size_t n_bytes = 0;

	if (!is_within(pool->n_items, 1, limits->max_items) ||
	    !is_within(pool->n_bytes, work->n_bytes, limits->max_bytes))
		return false;
	if (is_within(pool->n_items, 1, limits->max_items / 4 * 3) &&
	    is_within(pool->n_bytes, work->n_bytes, limits->max_bytes / 4 * 3))
		return true;
	list_for_each(node, &pool->items) {
		const struct work *other = list_entry(node, struct work, pool_node);

		if (other->client != work->client)
			continue;
		n_items++;
		n_bytes += other->n_bytes;
	}
	return is_within(n_items, 1, limits->max_items / 8 + 1) &&
	       is_within(n_bytes, work->n_bytes, limits->max_bytes / 8);
}

enum sc_status work_start(struct work_pool *pool, struct work *work)
{
	if (!has_room(pool, work))
		return SC_E_OVERLOADED;
	list_append(&pool->items, &work->pool_node);
	pool->n_items++;
	pool->n_bytes += work->n_bytes;
	work->pool = pool;
	work->is_cancelled = false;
	work->is_waiting = true;
	pthread_mutex_lock(&pool->lock);
	insert(pool, work);
	pthread_cond_broadcast(&pool->news);
	pthread_mutex_unlock(&pool->lock);
	return SC_OK;
}

bool work_cancel(struct work *work)
{
	struct work_pool *pool = work->pool;
	bool is_waiting;

	pthread_mutex_lock(&pool->lock);
	is_waiting = work->is_waiting;
	if (is_waiting) {
		list_remove(&work->node);
		work->is_waiting = false;
	}
	pthread_mutex_unlock(&pool->lock);
	if (is_waiting)
		leave(work);
	return is_waiting;
}
