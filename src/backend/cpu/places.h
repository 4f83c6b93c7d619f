/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_PLACES_H
#define STAGECOACH_BACKEND_CPU_PLACES_H
/*
 * places - binds the threads of a team to cores.
 * A thread that moves to another core loses its caches. On machines with several memory nodes it
 * also moves away from its weights, because memory belongs to the node of the thread that wrote it
 * first. The team's even split gives a thread the same panels when they are packed and when they
 * are used.
 * Thread: the backend's.
 */
#include "backend/backend.h"
#include "backend/cpu/team.h"

#include <hwloc.h>

/* Binds the calling thread and the team's helpers as `place` says, within the processors that the
 * calling thread may use. SC_E_CONFIG: BACKEND_PIN_ON, and there are too few processors, or hwloc
 * cannot read the topology or bind a thread. */
must_check enum sc_status places_bind(struct team *team, const struct backend_place *place,
				      struct error *err);

/* Only chooses: fills sets_out[n_threads] and returns true; or returns false if threads should not
 * be bound. Each set is the processors of one core, or one processor of a core if threads outnumber
 * cores. Stages divide the cores of `allowed` evenly, and threads those of their stage. */
bool places_choose(hwloc_topology_t topology, hwloc_const_cpuset_t allowed,
		   const struct backend_place *place, unsigned n_threads,
		   hwloc_cpuset_t *sets_out);

#endif
