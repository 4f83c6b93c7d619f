/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_PLACES_H
#define STAGECOACH_BACKEND_CPU_PLACES_H
/*
 * places - which cores the threads of a team stay on.
 * A thread that moves leaves its caches behind, and on machines with several memory nodes its
 * weights as well: memory belongs to the node of the thread that wrote it first. The team's even
 * split gives a thread the same panels when they are packed and when they are used.
 */
#include "backend/backend.h"
#include "backend/cpu/team.h"

#include <hwloc.h>

/* Binds the calling thread and the team's helpers as place says, within the processors that the
 * calling thread may use. SC_E_CONFIG: BACKEND_PIN_ON, and there is no room, or hwloc cannot tell
 * or bind. */
must_check enum sc_status places_bind(struct team *team, const struct backend_place *place,
				      struct error *err);

/* The choice alone: sets_out[n_threads] are filled, each the processors of one core, or one
 * processor of it when threads outnumber cores; true. False: not to be bound. Stages divide the
 * cores of `allowed` evenly, and threads those of their stage. */
bool places_choose(hwloc_topology_t topology, hwloc_const_cpuset_t allowed,
		   const struct backend_place *place, unsigned n_threads,
		   hwloc_cpuset_t *sets_out);

#endif
