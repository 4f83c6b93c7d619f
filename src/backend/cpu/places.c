/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/places.h"

#include "base/log.h"

#include <pthread.h>
#include <stdlib.h>

/* Counts the cores that have at least one allowed processor. Cores are numbered in the order of the
 * topology, where neighbours share caches and memory. */
static unsigned count_cores(hwloc_topology_t topology, hwloc_const_cpuset_t allowed)
{
	hwloc_obj_t core = NULL;
	unsigned n = 0;

	while ((core = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_CORE, core)))
		n += hwloc_bitmap_intersects(core->cpuset, allowed) != 0;
	return n;
}

/* set_out = the allowed processors of core number `index`. */
static void core_at(hwloc_topology_t topology, hwloc_const_cpuset_t allowed, unsigned index,
		    hwloc_cpuset_t set_out)
{
	hwloc_obj_t core = NULL;

	hwloc_bitmap_zero(set_out);
	while ((core = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_CORE, core))) {
		if (!hwloc_bitmap_intersects(core->cpuset, allowed) || index--)
			continue;
		hwloc_bitmap_and(set_out, core->cpuset, allowed);
		return;
	}
}

/* Keeps only member number `index` of set, or none. */
static void keep_nth(hwloc_cpuset_t set, unsigned index)
{
	int processor = hwloc_bitmap_first(set);

	while (processor >= 0 && index--)
		processor = hwloc_bitmap_next(set, processor);
	hwloc_bitmap_zero(set);
	if (processor >= 0)
		hwloc_bitmap_set(set, (unsigned)processor);
}

/* For more threads than cores: first uses one processor of every core, then a second one of each.
 * Returns false if there are not enough processors. */
static bool share_cores(hwloc_topology_t topology, hwloc_const_cpuset_t allowed, unsigned first,
			unsigned n_cores, unsigned n_threads, hwloc_cpuset_t *sets_out)
{
	unsigned n_empty = 0, n_placed = 0;

	for (unsigned i = 0; n_placed < n_threads && n_empty < n_cores; i++) {
		hwloc_cpuset_t set = sets_out[n_placed];

		core_at(topology, allowed, first + i % n_cores, set);
		keep_nth(set, i / n_cores);
		n_empty = hwloc_bitmap_iszero(set) ? n_empty + 1 : 0;
		n_placed += !n_empty;
	}
	return n_placed == n_threads;
}

/* BACKEND_PIN_AUTO binds threads only if both hold:
 * - There are several memory nodes: a thread that moves away from its node reads its weights more
 *   slowly.
 * - The cores have no room for one more stage of this size. If they had, another program like this
 *   one could run here; it would choose the same cores, and both would share them while others are
 *   idle. */
static bool is_worthwhile(hwloc_topology_t topology, hwloc_const_cpuset_t allowed,
			  uint64_t n_wanted_by_one_more, uint64_t n_cores)
{
	hwloc_obj_t node = NULL;
	unsigned n_nodes = 0;

	while ((node = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE, node)))
		n_nodes += hwloc_bitmap_intersects(node->cpuset, allowed) != 0;
	return n_nodes > 1 && n_wanted_by_one_more > n_cores;
}

bool places_choose(hwloc_topology_t topology, hwloc_const_cpuset_t allowed,
		   const struct backend_place *place, unsigned n_threads,
		   hwloc_cpuset_t *sets_out)
{
	uint64_t n_cores = count_cores(topology, allowed);
	unsigned n_stages = place->n_stages ? place->n_stages : 1;
	unsigned first = (unsigned)(n_cores * place->stage / n_stages);
	unsigned n_own = (unsigned)(n_cores * (place->stage + 1) / n_stages) - first;

	if (place->pin == BACKEND_PIN_OFF || place->stage >= n_stages || !n_own)
		return false;
	if (place->pin == BACKEND_PIN_AUTO &&
	    !is_worthwhile(topology, allowed, (n_stages + 1ull) * n_threads, n_cores))
		return false;
	if (n_threads > n_own)
		return share_cores(topology, allowed, first, n_own, n_threads, sets_out);
	for (unsigned i = 0; i < n_threads; i++)
		core_at(topology, allowed, first + (unsigned)((uint64_t)n_own * i / n_threads),
			sets_out[i]);
	return true;
}

static void free_sets(hwloc_cpuset_t *sets, unsigned n)
{
	for (unsigned i = 0; sets && i < n; i++)
		hwloc_bitmap_free(sets[i]);
	free(sets);
}

static hwloc_cpuset_t *alloc_sets(unsigned n)
{
	hwloc_cpuset_t *sets = calloc(n, sizeof *sets);

	for (unsigned i = 0; sets && i < n; i++) {
		sets[i] = hwloc_bitmap_alloc();
		if (!sets[i]) {
			free_sets(sets, i);
			return NULL;
		}
	}
	return sets;
}

static bool load_cores(hwloc_topology_t *topology_out)
{
	if (hwloc_topology_init(topology_out))
		return false;
	hwloc_topology_set_all_types_filter(*topology_out, HWLOC_TYPE_FILTER_KEEP_NONE);
	hwloc_topology_set_type_filter(*topology_out, HWLOC_OBJ_CORE, HWLOC_TYPE_FILTER_KEEP_ALL);
	if (!hwloc_topology_load(*topology_out))
		return true;
	hwloc_topology_destroy(*topology_out);
	return false;
}

static bool bind_threads(hwloc_topology_t topology, struct team *team, hwloc_cpuset_t *sets)
{
	bool is_bound = true;

	for (unsigned i = 0; i < team_size(team); i++) {
		pthread_t thread = i ? team_helper(team, i) : pthread_self();
		char text[128];

		hwloc_bitmap_list_snprintf(text, sizeof text, sets[i]);
		if (hwloc_set_thread_cpubind(topology, thread, sets[i], 0)) {
			log_debug("compute thread %u cannot be bound to processors %s", i, text);
			is_bound = false;
		} else {
			log_debug("compute thread %u stays on processors %s", i, text);
		}
	}
	return is_bound;
}

/* Returns NULL, or the reason why the threads were not bound. */
static const char *choose_and_bind(hwloc_topology_t topology, struct team *team,
				   const struct backend_place *place)
{
	const unsigned n = team_size(team);
	hwloc_cpuset_t *sets = alloc_sets(n);
	hwloc_bitmap_t allowed = hwloc_bitmap_alloc();
	const char *reason = NULL;

	if (!sets || !allowed)
		reason = "out of memory";
	else if (hwloc_get_cpubind(topology, allowed, HWLOC_CPUBIND_THREAD))
		reason = "the processors that may be used are unknown";
	else if (!places_choose(topology, allowed, place, n, sets))
		reason = "there are too few processors; use fewer threads or --pin off";
	else if (!bind_threads(topology, team, sets))
		reason = "the system refused to bind a thread";
	hwloc_bitmap_free(allowed);
	free_sets(sets, n);
	return reason;
}

enum sc_status places_bind(struct team *team, const struct backend_place *place,
			   struct error *err)
{
	const char *reason = "the cores of this machine are unknown";
	hwloc_topology_t topology;

	if (place->pin == BACKEND_PIN_OFF)
		return SC_OK;
	if (load_cores(&topology)) {
		reason = choose_and_bind(topology, team, place);
		hwloc_topology_destroy(topology);
	}
	if (!reason || place->pin == BACKEND_PIN_AUTO)
		return SC_OK;
	return error_set(err, SC_E_CONFIG, "pin: cannot bind %u threads of each of %u stages to "
			 "cores: %s", team_size(team), place->n_stages, reason);
}
