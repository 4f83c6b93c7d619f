/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/placement.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Layers that no chosen worker keeps. */
struct gap {
	unsigned next;		/* the worker behind them; n_workers: none */
	uint32_t n_layers;
	unsigned n_newcomers;	/* workers that will load them */
};

/* A search. Arrays have room for every worker. */
struct search {
	const struct placement_input *input;
	bool *is_out;		/* [n_workers] left out, because of a bad link */
	bool *is_chosen;	/* [n_workers] */
	bool *is_covered;	/* [n_layers] held by a chosen worker that keeps its layers */
	bool *keeps;		/* [n_workers] chosen, and keeps its layers */
	struct gap *gaps;	/* [n_workers + 1] */
	unsigned n;		/* number of chosen workers */
	unsigned *order;	/* [n] */
};

static bool is_eligible(const struct search *s, unsigned i)
{
	const struct placement_worker *worker = &s->input->workers[i];

	return worker->is_usable && !s->is_out[i] &&
	       (!worker->is_quarantined || s->input->allows_quarantined);
}

static unsigned count_eligible(const struct search *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->input->n_workers; i++)
		n += is_eligible(s, i);
	return n;
}

/* The layers that the worker could keep: all that it holds, or none if a chosen worker holds one of
 * them, too. */
static uint32_t layers_to_keep(const struct search *s, unsigned i)
{
	const struct placement_worker *worker = &s->input->workers[i];

	if (worker->held_first_layer > s->input->n_layers ||
	    worker->held_n_layers > s->input->n_layers - worker->held_first_layer)
		return 0;
	for (uint32_t k = 0; k < worker->held_n_layers; k++)
		if (s->is_covered[worker->held_first_layer + k])
			return 0;
	return worker->held_n_layers;
}

/* Returns true if worker a is to be taken rather than b. */
static bool is_better(const struct search *s, unsigned a, unsigned b)
{
	const struct placement_worker *x = &s->input->workers[a], *y = &s->input->workers[b];
	uint32_t keep_x = layers_to_keep(s, a), keep_y = layers_to_keep(s, b);

	if (x->has_stage != y->has_stage)
		return x->has_stage;
	if (x->is_quarantined != y->is_quarantined)
		return y->is_quarantined;
	if (keep_x != keep_y)
		return keep_x > keep_y;
	if (x->n_losses != y->n_losses)
		return x->n_losses < y->n_losses;
	return x->memory_bytes > y->memory_bytes;
}

static void take(struct search *s, unsigned i)
{
	const struct placement_worker *worker = &s->input->workers[i];
	uint32_t n = layers_to_keep(s, i);

	s->is_chosen[i] = true;
	s->keeps[i] = n > 0;
	if (n)
		memset(s->is_covered + worker->held_first_layer, true, n);
}

static void choose_workers(struct search *s, unsigned n_stages)
{
	const unsigned n_workers = s->input->n_workers;

	memset(s->is_chosen, 0, n_workers * sizeof s->is_chosen[0]);
	memset(s->keeps, 0, n_workers * sizeof s->keeps[0]);
	memset(s->is_covered, 0, s->input->n_layers * sizeof s->is_covered[0]);
	for (s->n = 0; s->n < n_stages; s->n++) {
		unsigned best = n_workers;

		for (unsigned i = 0; i < n_workers; i++)
			if (is_eligible(s, i) && !s->is_chosen[i] &&
			    (best == n_workers || is_better(s, i, best)))
				best = i;
		take(s, best);
	}
}

/* The chosen worker that keeps its layers and has the first of them at `from` or later; or none:
 * n_workers. */
static unsigned next_keeper(const struct search *s, uint32_t from)
{
	const struct placement_worker *workers = s->input->workers;
	unsigned found = s->input->n_workers;

	for (unsigned i = 0; i < s->input->n_workers; i++)
		if (s->keeps[i] && workers[i].held_first_layer >= from &&
		    (found == s->input->n_workers ||
		     workers[i].held_first_layer < workers[found].held_first_layer))
			found = i;
	return found;
}

/* Finds the layers that nobody keeps, between those of two keepers. Returns the number of gaps:
 * one before each keeper, which may have no layers, and one behind the last. */
static unsigned find_gaps(struct search *s)
{
	uint32_t layer = 0;
	unsigned keeper, n = 0;

	while ((keeper = next_keeper(s, layer)) < s->input->n_workers) {
		const struct placement_worker *worker = &s->input->workers[keeper];

		s->gaps[n++] = (struct gap){
			.next = keeper, .n_layers = worker->held_first_layer - layer,
		};
		layer = worker->held_first_layer + worker->held_n_layers;
	}
	s->gaps[n++] = (struct gap){
		.next = s->input->n_workers, .n_layers = s->input->n_layers - layer,
	};
	return n;
}

/* The gap with the most layers for one more worker; the last one if there are none to be had. */
static struct gap *widest_gap(const struct search *s, unsigned n_gaps)
{
	struct gap *widest = &s->gaps[n_gaps - 1];

	for (unsigned i = 0; i < n_gaps; i++)
		if ((uint64_t)s->gaps[i].n_layers * (widest->n_newcomers + 1) >
		    (uint64_t)widest->n_layers * (s->gaps[i].n_newcomers + 1))
			widest = &s->gaps[i];
	return widest;
}

/* The next chosen worker behind i that loads all its layers. */
static unsigned next_newcomer(const struct search *s, unsigned i)
{
	do
		i++;
	while (i < s->input->n_workers && (!s->is_chosen[i] || s->keeps[i]));
	return i;
}

/* Workers that keep their layers go in the order of these. The others fill the gaps. */
static void put_in_order(struct search *s)
{
	unsigned newcomer = UINT_MAX, n_gaps = find_gaps(s), n = 0;

	for (unsigned i = 0; i < s->input->n_workers; i++)
		if (s->is_chosen[i] && !s->keeps[i])
			widest_gap(s, n_gaps)->n_newcomers++;
	for (unsigned i = 0; i < n_gaps; i++) {
		for (unsigned k = 0; k < s->gaps[i].n_newcomers; k++) {
			newcomer = next_newcomer(s, newcomer);
			s->order[n++] = newcomer;
		}
		if (s->gaps[i].next < s->input->n_workers)
			s->order[n++] = s->gaps[i].next;
	}
}

/* The number of workers from stage i on that load all their layers. */
static unsigned count_newcomers(const struct search *s, unsigned i)
{
	unsigned n = 0;

	while (i + n < s->n && !s->keeps[s->order[i + n]])
		n++;
	return n;
}

/* Every worker keeps what it holds; workers in the same gap share its layers equally. Returns false
 * if that leaves a layer without a worker, a worker without a layer, or nothing to keep. */
static bool find_ends(const struct search *s, uint32_t *ends)
{
	uint32_t layer = 0;
	bool keeps_any = false;

	for (unsigned i = 0; i < s->n;) {
		const struct placement_worker *worker = &s->input->workers[s->order[i]];
		unsigned n_new = count_newcomers(s, i);
		uint32_t gap_end = i + n_new == s->n ? s->input->n_layers :
				   s->input->workers[s->order[i + n_new]].held_first_layer;

		if (gap_end < layer || gap_end - layer < n_new || (!n_new && gap_end != layer))
			return false;
		for (unsigned k = 1; k <= n_new; k++)
			ends[i + k - 1] = layer + (uint32_t)((uint64_t)(gap_end - layer) * k / n_new);
		layer = gap_end;
		i += n_new;
		if (n_new)
			continue;
		layer += worker->held_n_layers;
		ends[i++] = layer;
		keeps_any = true;
	}
	return keeps_any && layer == s->input->n_layers;
}

/* --- bad links --- */

static bool is_apart(const struct placement_input *input, unsigned a, unsigned b)
{
	for (unsigned i = 0; i < input->n_apart; i++)
		if ((input->apart[i].a == a && input->apart[i].b == b) ||
		    (input->apart[i].a == b && input->apart[i].b == a))
			return true;
	return false;
}

/* The worker of a place in the ring that starts and ends at the coordinator: places 1 .. n are the
 * stages. */
static unsigned at_place(const struct search *s, unsigned place)
{
	return place == 0 || place > s->n ? PLACEMENT_COORDINATOR : s->order[place - 1];
}

/* Of the two ends of a bad link in this order, the worker that was lost more often, and the other
 * one; returns false if no link is bad. */
static bool find_bad_link(const struct search *s, unsigned *worse_out, unsigned *other_out)
{
	for (unsigned place = 0; place <= s->n; place++) {
		unsigned a = at_place(s, place), b = at_place(s, place + 1);

		if (!is_apart(s->input, a, b))
			continue;
		if (a == PLACEMENT_COORDINATOR || (b != PLACEMENT_COORDINATOR &&
		    s->input->workers[b].n_losses > s->input->workers[a].n_losses)) {
			*worse_out = b;
			*other_out = a;
		} else {
			*worse_out = a;
			*other_out = b;
		}
		return true;
	}
	return false;
}

static bool has_bad_link(const struct search *s)
{
	unsigned a, b;

	return find_bad_link(s, &a, &b);
}

static void arrange(struct search *s, unsigned n_stages)
{
	choose_workers(s, n_stages);
	put_in_order(s);
}

/* The same number of stages without this worker. */
static bool replace(struct search *s, unsigned worker, unsigned n_stages)
{
	if (worker == PLACEMENT_COORDINATOR)
		return false;
	s->is_out[worker] = true;
	if (count_eligible(s) >= n_stages) {
		arrange(s, n_stages);
		if (!has_bad_link(s))
			return true;
	}
	s->is_out[worker] = false;
	arrange(s, n_stages);
	return false;
}

static void move(struct search *s, unsigned from, unsigned to)
{
	unsigned worker = s->order[from];

	memmove(s->order + from, s->order + from + 1, (s->n - from - 1) * sizeof s->order[0]);
	memmove(s->order + to + 1, s->order + to, (s->n - to - 1) * sizeof s->order[0]);
	s->order[to] = worker;
}

/* The same workers in another order: one of them goes to another place. */
static bool reorder(struct search *s)
{
	for (unsigned from = 0; from < s->n; from++)
		for (unsigned to = 0; to < s->n; to++) {
			if (from == to)
				continue;
			move(s, from, to);
			if (!has_bad_link(s))
				return true;
			move(s, to, from);
		}
	return false;
}

/* Returns false if a bad link remains. */
static bool avoid_bad_links(struct search *s)
{
	unsigned worse, other;

	while (find_bad_link(s, &worse, &other)) {
		if (replace(s, worse, s->n) || replace(s, other, s->n) || reorder(s))
			return true;
		if (s->n == 1)
			return false;
		s->is_out[worse] = true;
		arrange(s, s->n - 1);
	}
	return true;
}

/* --- life --- */

static void search_deinit(struct search *s)
{
	free(s->is_out);
	free(s->is_chosen);
	free(s->is_covered);
	free(s->keeps);
	free(s->gaps);
	free(s->order);
}

static enum sc_status search_init(struct search *s, const struct placement_input *input)
{
	size_t n = input->n_workers ? input->n_workers : 1;

	*s = (struct search){
		.input = input,
		.is_out = calloc(n, sizeof s->is_out[0]),
		.is_chosen = calloc(n, sizeof s->is_chosen[0]),
		.is_covered = calloc(input->n_layers ? input->n_layers : 1,
				     sizeof s->is_covered[0]),
		.keeps = calloc(n, sizeof s->keeps[0]),
		.gaps = calloc(n + 1, sizeof s->gaps[0]),
		.order = calloc(n, sizeof s->order[0]),
	};
	if (s->is_out && s->is_chosen && s->is_covered && s->keeps && s->gaps &&
	    s->order)
		return SC_OK;
	search_deinit(s);
	return SC_E_NOMEM;
}

enum sc_status placement_choose(const struct placement_input *input, struct placement *out)
{
	struct search search;
	enum sc_status status = search_init(&search, input);
	unsigned n_stages;
	uint32_t *ends;

	if (status != SC_OK)
		return status;
	n_stages = count_eligible(&search);
	if (n_stages > input->n_wanted)
		n_stages = input->n_wanted;
	ends = calloc(n_stages ? n_stages : 1, sizeof ends[0]);
	if (!n_stages || !ends) {
		free(ends);
		search_deinit(&search);
		return n_stages ? SC_E_NOMEM : SC_E_UNAVAILABLE;
	}
	arrange(&search, n_stages);
	*out = (struct placement){ .has_bad_link = !avoid_bad_links(&search) };
	out->n_stages = search.n;
	if (find_ends(&search, ends)) {
		out->ends = ends;
		ends = NULL;
	}
	out->workers = search.order;
	search.order = NULL;
	free(ends);
	search_deinit(&search);
	return SC_OK;
}

void placement_deinit(struct placement *placement)
{
	free(placement->workers);
	free(placement->ends);
	*placement = (struct placement){ .n_stages = 0 };
}

/* --- warm spares --- */

static bool holds(const struct placement_worker *worker, const uint32_t *ends, unsigned stage)
{
	uint32_t first = stage ? ends[stage - 1] : 0;

	return worker->held_first_layer == first &&
	       worker->held_n_layers == ends[stage] - first;
}

static bool may_warm(const struct placement_input *input, const struct placement *placement,
		     unsigned i)
{
	const struct placement_worker *worker = &input->workers[i];

	if (!worker->is_usable || worker->is_quarantined)
		return false;
	for (unsigned stage = 0; stage < placement->n_stages; stage++)
		if (placement->workers[stage] == i)
			return false;
	return true;
}

/* The stage with the fewest spares; of equal ones, the one whose worker was lost most often. */
static unsigned neediest(const struct placement_input *input, const struct placement *placement,
			 const unsigned *n_spares, const uint64_t *weight_bytes,
			 uint64_t memory_bytes)
{
	unsigned found = PLACEMENT_NONE;

	for (unsigned stage = 0; stage < placement->n_stages; stage++) {
		unsigned n_losses = input->workers[placement->workers[stage]].n_losses;

		if (memory_bytes && weight_bytes[stage] > memory_bytes)
			continue;
		if (found == PLACEMENT_NONE || n_spares[stage] < n_spares[found] ||
		    (n_spares[stage] == n_spares[found] &&
		     n_losses > input->workers[placement->workers[found]].n_losses))
			found = stage;
	}
	return found;
}

enum sc_status placement_warm(const struct placement_input *input,
			      const struct placement *placement, const uint32_t *ends,
			      const uint64_t *weight_bytes, unsigned *stage_out)
{
	unsigned *n_spares = calloc(placement->n_stages, sizeof n_spares[0]);

	if (!n_spares)
		return SC_E_NOMEM;
	for (unsigned i = 0; i < input->n_workers; i++) {
		stage_out[i] = PLACEMENT_NONE;
		for (unsigned stage = 0; stage < placement->n_stages; stage++)
			if (may_warm(input, placement, i) &&
			    holds(&input->workers[i], ends, stage))
				stage_out[i] = stage;
		if (stage_out[i] != PLACEMENT_NONE)
			n_spares[stage_out[i]]++;
	}
	for (unsigned i = 0; i < input->n_workers; i++) {
		if (stage_out[i] != PLACEMENT_NONE || !may_warm(input, placement, i))
			continue;
		stage_out[i] = neediest(input, placement, n_spares, weight_bytes,
					input->workers[i].memory_bytes);
		if (stage_out[i] != PLACEMENT_NONE)
			n_spares[stage_out[i]]++;
	}
	free(n_spares);
	return SC_OK;
}
