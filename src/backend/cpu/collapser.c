/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/collapser.h"

#include "base/clock.h"
#include "base/integers.h"

#include <stdlib.h>
#include <time.h>

enum { FIRST_PLACES = 64, WATCH_NS = 50000000 };

void collapser_init(struct collapser *collapser, const struct collapser_config *config)
{
	pthread_condattr_t attr;

	*collapser = (struct collapser){ .config = *config };
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&collapser->is_wanted, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&collapser->lock, NULL);
	collapser->has_processors = !pthread_getaffinity_np(
		pthread_self(), sizeof collapser->processors, &collapser->processors);
}

void collapser_deinit(struct collapser *collapser)
{
	collapser_stop(collapser);
	free(collapser->pieces);
	pthread_cond_destroy(&collapser->is_wanted);
	pthread_mutex_destroy(&collapser->lock);
}

static bool grow(struct collapser *collapser)
{
	size_t n = collapser->n_places ? 2 * collapser->n_places : FIRST_PLACES;
	void **pieces = realloc(collapser->pieces, n * sizeof *pieces);

	if (!pieces)
		return false;
	collapser->pieces = pieces;
	collapser->n_places = n;
	return true;
}

void collapser_add(struct collapser *collapser, void *piece)
{
	pthread_mutex_lock(&collapser->lock);
	if (collapser->n_pieces < collapser->n_places || grow(collapser))
		collapser->pieces[collapser->n_pieces++] = piece;
	pthread_mutex_unlock(&collapser->lock);
}

/* Sleeps, and returns the next piece, or NULL if the thread must stop or there is none. */
static void *next_piece(struct collapser *collapser, uint64_t pause_ns)
{
	uint64_t end = clock_ns() + pause_ns;
	const struct timespec until = {
		.tv_sec = (time_t)(end / NS_PER_SECOND), .tv_nsec = (long)(end % NS_PER_SECOND),
	};
	void *piece = NULL;
	int errnum = 0;

	pthread_mutex_lock(&collapser->lock);
	while (!collapser->is_stopping && !errnum)
		errnum = pthread_cond_timedwait(&collapser->is_wanted, &collapser->lock, &until);
	if (!collapser->is_stopping && collapser->n_treated < collapser->n_pieces)
		piece = collapser->pieces[collapser->n_treated++];
	pthread_mutex_unlock(&collapser->lock);
	return piece;
}

/* What the other threads of the process do. */
struct others {
	uint64_t since_ns;	/* of the wall clock */
	uint64_t used_ns;	/* processor time by then */
	bool are_busy;		/* they used an eighth of a processor before */
};

static void watch(struct others *others)
{
	uint64_t now_ns = clock_ns(), own_ns = clock_thread_ns();
	uint64_t used_ns = clock_process_ns() - own_ns;

	if (now_ns - others->since_ns < WATCH_NS)
		return;
	others->are_busy = (used_ns - others->used_ns) * 8 >= now_ns - others->since_ns;
	others->since_ns = now_ns;
	others->used_ns = used_ns;
}

/* Returns whether fn treated the piece, and how long to sleep then. */
static bool treat(struct collapser *collapser, void *piece, struct others *others,
		  uint64_t *pause_ns_out)
{
	const struct collapser_config *config = &collapser->config;
	uint64_t start_ns = clock_thread_ns();
	bool is_done = config->fn(config->arg, piece);
	uint64_t long_ns = (clock_thread_ns() - start_ns) * config->pause_factor;

	watch(others);
	*pause_ns_out = max_of(config->least_pause_ns, others->are_busy ? long_ns : 0);
	return is_done;
}

static void *treat_all(void *arg)
{
	struct collapser *collapser = arg;
	struct others others = { 0 };
	uint64_t pause_ns = collapser->config.least_pause_ns;
	unsigned n_failed = 0;
	void *piece;

	watch(&others);
	others.are_busy = true;
	while (n_failed < COLLAPSER_MAX_FAILURES &&
	       (piece = next_piece(collapser, pause_ns))) {
		if (treat(collapser, piece, &others, &pause_ns))
			n_failed = 0;
		else
			n_failed++;
	}
	return NULL;
}

void collapser_start(struct collapser *collapser)
{
	pthread_attr_t attr;

	collapser_stop(collapser);
	if (!collapser->n_pieces || pthread_attr_init(&attr))
		return;
	if (collapser->has_processors)
		(void)pthread_attr_setaffinity_np(&attr, sizeof collapser->processors,
						  &collapser->processors);
	collapser->is_started = !pthread_create(&collapser->thread, &attr, treat_all, collapser);
	pthread_attr_destroy(&attr);
	if (collapser->is_started)
		(void)pthread_setname_np(collapser->thread, "collapser");
}

static void drop_treated(struct collapser *collapser)
{
	collapser->n_pieces -= collapser->n_treated;
	for (size_t i = 0; i < collapser->n_pieces; i++)
		collapser->pieces[i] = collapser->pieces[collapser->n_treated + i];
	collapser->n_treated = 0;
}

void collapser_stop(struct collapser *collapser)
{
	pthread_mutex_lock(&collapser->lock);
	collapser->is_stopping = true;
	pthread_cond_signal(&collapser->is_wanted);
	pthread_mutex_unlock(&collapser->lock);
	if (collapser->is_started)
		pthread_join(collapser->thread, NULL);
	collapser->is_started = collapser->is_stopping = false;
	drop_treated(collapser);
}
