/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/serve_tally.h"

#include "base/clock.h"

#include <math.h>
#include <stdlib.h>

/* What is known of a request while the events are gone through. */
struct history {
	uint64_t due_ns;
	uint64_t first_ns;	/* 0: no token yet */
	uint64_t last_ns;	/* of the last arrival */
};

struct values {
	double *all;
	size_t n;
};

/* The time from when a foreground request is due to its first token. */
struct interval {
	uint64_t from_ns, to_ns;
};

struct sums {
	const struct tally *tally;
	struct history *histories;	/* [n_requests] */
	uint32_t n_requests;
	struct interval *intervals;	/* in the order of their beginnings */
	size_t n_intervals;
	struct values firsts[2], gaps[2], wholes[2];	/* of the foreground, of the background */
	struct values window_gaps[N_WINDOWS];
	uint64_t start_ns, end_ns;
};

enum sc_status tally_init(struct tally *tally, size_t capacity, struct error *err)
{
	*tally = (struct tally){ .capacity = capacity };
	tally->events = calloc(capacity, sizeof *tally->events);
	return tally->events ? SC_OK : error_set(err, SC_E_NOMEM, "no memory for %zu events",
						 capacity);
}

void tally_deinit(struct tally *tally)
{
	free(tally->events);
}

bool tally_add(struct tally *tally, struct tally_event event)
{
	if (tally->n_events == tally->capacity)
		return false;
	tally->events[tally->n_events++] = event;
	return true;
}

static double ms_between(uint64_t from_ns, uint64_t to_ns)
{
	return to_ns > from_ns ? (double)(to_ns - from_ns) * 1e-6 : 0.0;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Of sorted values; share above 0. */
static double rank(const struct values *values, double share)
{
	size_t i = (size_t)ceil(share * (double)values->n - 1e-9);

	return values->all[i ? i - 1 : 0];
}

static struct percentiles percentiles_of(struct values *values)
{
	if (!values->n)
		return (struct percentiles){ .n = 0 };
	qsort(values->all, values->n, sizeof values->all[0], compare);
	return (struct percentiles){ values->n, rank(values, 0.5), rank(values, 0.9),
				     rank(values, 0.99), values->all[values->n - 1] };
}

static void free_sums(struct sums *sums)
{
	free(sums->histories);
	free(sums->intervals);
	for (int i = 0; i < 2; i++) {
		free(sums->firsts[i].all);
		free(sums->gaps[i].all);
		free(sums->wholes[i].all);
	}
	for (int i = 0; i < N_WINDOWS; i++)
		free(sums->window_gaps[i].all);
}

static bool reserve(struct values *values, size_t n)
{
	values->all = calloc(n + 1, sizeof values->all[0]);
	return values->all != NULL;
}

/* No class has more values of a kind than there are requests or tokens. */
static bool allocate(struct sums *sums)
{
	const struct tally *tally = sums->tally;
	uint64_t n_tokens = 0;
	bool is_good = true;

	for (size_t i = 0; i < tally->n_events; i++) {
		n_tokens += tally->events[i].n_tokens;
		if (tally->events[i].request >= sums->n_requests)
			sums->n_requests = tally->events[i].request + 1;
	}
	sums->histories = calloc(sums->n_requests + 1, sizeof sums->histories[0]);
	sums->intervals = calloc(sums->n_requests + 1, sizeof sums->intervals[0]);
	for (int i = 0; i < 2; i++)
		is_good = is_good && reserve(&sums->firsts[i], sums->n_requests) &&
			  reserve(&sums->wholes[i], sums->n_requests) &&
			  reserve(&sums->gaps[i], n_tokens);
	for (int i = 0; i < N_WINDOWS; i++)
		is_good = is_good && reserve(&sums->window_gaps[i], n_tokens);
	return is_good && sums->histories && sums->intervals;
}

static int compare_intervals(const void *a, const void *b)
{
	const struct interval *x = a, *y = b;

	return (x->from_ns > y->from_ns) - (x->from_ns < y->from_ns);
}

/* When foreground requests waited for their first tokens; intervals that overlap become one. */
static void find_intervals(struct sums *sums)
{
	const struct tally *tally = sums->tally;
	struct interval *all = sums->intervals;
	size_t n = 0, n_joined = 0;

	for (size_t i = 0; i < tally->n_events; i++) {
		const struct tally_event *event = &tally->events[i];
		struct history *history = &sums->histories[event->request];

		if (event->is_background)
			continue;
		if (event->kind == TALLY_DUE) {
			history->due_ns = event->at_ns;
		} else if (!history->first_ns) {
			history->first_ns = event->at_ns;
			all[n++] = (struct interval){ history->due_ns, event->at_ns };
		}
	}
	qsort(all, n, sizeof all[0], compare_intervals);
	for (size_t i = 0; i < n; i++) {
		if (n_joined && all[i].from_ns <= all[n_joined - 1].to_ns) {
			if (all[i].to_ns > all[n_joined - 1].to_ns)
				all[n_joined - 1].to_ns = all[i].to_ns;
		} else {
			all[n_joined++] = all[i];
		}
	}
	sums->n_intervals = n_joined;
	for (uint32_t i = 0; i < sums->n_requests; i++)
		sums->histories[i] = (struct history){ .due_ns = 0 };
}

static enum window window_of(const struct sums *sums, uint64_t from_ns, uint64_t to_ns)
{
	if (!sums->n_intervals || to_ns <= sums->intervals[0].from_ns)
		return WINDOW_BEFORE;
	for (size_t i = 0; i < sums->n_intervals; i++)
		if (from_ns < sums->intervals[i].to_ns && to_ns > sums->intervals[i].from_ns)
			return WINDOW_DURING;
	return WINDOW_AFTER;
}

static void add_gaps(struct values *values, double gap, uint32_t n)
{
	while (n--)
		values->all[values->n++] = gap;
}

static void take_window(struct sums *sums, const struct tally_event *event, uint64_t last_ns,
			struct numbers *numbers)
{
	enum window window = window_of(sums, last_ns, event->at_ns);
	struct window_numbers *numbers_of = &numbers->windows[window];
	double wait = ms_between(last_ns, event->at_ns);

	if (last_ns < sums->start_ns)
		return;
	add_gaps(&sums->window_gaps[window], wait / event->n_tokens, event->n_tokens);
	numbers_of->n_tokens += event->n_tokens;
	if (wait > numbers_of->longest_wait)
		numbers_of->longest_wait = wait;
}

static void take_tokens(struct sums *sums, const struct tally_event *event,
			struct class_numbers *class, struct numbers *numbers)
{
	struct history *history = &sums->histories[event->request];
	bool k = event->is_background;
	double wait = ms_between(history->last_ns, event->at_ns);

	if (event->at_ns >= sums->start_ns && event->at_ns <= sums->end_ns)
		class->n_tokens += event->n_tokens;
	if (!history->first_ns) {
		history->first_ns = event->at_ns;
		add_gaps(&sums->firsts[k], ms_between(history->due_ns, event->at_ns), 1);
	} else {
		add_gaps(&sums->gaps[k], wait / event->n_tokens, event->n_tokens);
		if (wait > class->longest_wait)
			class->longest_wait = wait;
		if (k)
			take_window(sums, event, history->last_ns, numbers);
	}
	history->last_ns = event->at_ns;
}

static void take_event(struct sums *sums, const struct tally_event *event,
		       struct numbers *numbers)
{
	struct class_numbers *class = event->is_background ? &numbers->background :
				      &numbers->foreground;
	struct history *history = &sums->histories[event->request];

	switch ((enum tally_kind)event->kind) {
	case TALLY_DUE:
		class->n_requests++;
		history->due_ns = event->at_ns;
		break;
	case TALLY_TOKENS:
		take_tokens(sums, event, class, numbers);
		break;
	case TALLY_DONE:
		class->n_done++;
		add_gaps(&sums->wholes[event->is_background],
			 ms_between(history->due_ns, event->at_ns), 1);
		break;
	case TALLY_CUT:
		class->n_cut++;
		break;
	case TALLY_FAILED:
		class->n_failed++;
		break;
	}
}

static void measure_windows(const struct sums *sums, struct numbers *numbers)
{
	struct window_numbers *windows = numbers->windows;
	double during = 0.0;
	uint64_t first_ns = sums->n_intervals ? sums->intervals[0].from_ns : sums->end_ns;

	for (size_t i = 0; i < sums->n_intervals; i++)
		during += ms_between(sums->intervals[i].from_ns, sums->intervals[i].to_ns) * 1e-3;
	windows[WINDOW_BEFORE].seconds = ms_between(sums->start_ns, first_ns) * 1e-3;
	windows[WINDOW_DURING].seconds = during;
	windows[WINDOW_AFTER].seconds = ms_between(first_ns, sums->end_ns) * 1e-3 - during;
}

static void finish(struct sums *sums, struct numbers *numbers)
{
	struct class_numbers *classes[] = { &numbers->foreground, &numbers->background };

	for (int i = 0; i < 2; i++) {
		classes[i]->first = percentiles_of(&sums->firsts[i]);
		classes[i]->gap = percentiles_of(&sums->gaps[i]);
		classes[i]->whole = percentiles_of(&sums->wholes[i]);
	}
	for (int i = 0; i < N_WINDOWS; i++)
		numbers->windows[i].gap = percentiles_of(&sums->window_gaps[i]);
	measure_windows(sums, numbers);
	numbers->seconds = ms_between(sums->start_ns, sums->end_ns) * 1e-3;
}

enum sc_status tally_numbers(const struct tally *tally, uint64_t start_ns, uint64_t end_ns,
			     struct numbers *numbers_out, struct error *err)
{
	struct sums sums = { .tally = tally, .start_ns = start_ns, .end_ns = end_ns };
	struct numbers numbers = { .seconds = 0.0 };

	if (!allocate(&sums)) {
		free_sums(&sums);
		return error_set(err, SC_E_NOMEM, "no memory for the numbers of %zu events",
				 tally->n_events);
	}
	find_intervals(&sums);
	for (size_t i = 0; i < tally->n_events; i++)
		take_event(&sums, &tally->events[i], &numbers);
	finish(&sums, &numbers);
	free_sums(&sums);
	*numbers_out = numbers;
	return SC_OK;
}

void tally_print_csv(const struct tally *tally, uint64_t start_ns, FILE *file)
{
	static const char *const names[] = {
		[TALLY_DUE] = "due", [TALLY_TOKENS] = "tokens", [TALLY_DONE] = "done",
		[TALLY_CUT] = "cut", [TALLY_FAILED] = "failed",
	};

	fputs("seconds,class,request,event,tokens\n", file);
	for (size_t i = 0; i < tally->n_events; i++) {
		const struct tally_event *event = &tally->events[i];

		fprintf(file, "%.6f,%s,%u,%s,%u\n",
			((double)event->at_ns - (double)start_ns) * 1e-9,
			event->is_background ? "background" : "foreground", event->request,
			names[event->kind], event->n_tokens);
	}
}
