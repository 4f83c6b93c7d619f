/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/pipeline/chaos_computing.h"

#include "worker/worker_private.h"

static bool has_steps(const struct worker *worker, struct net_traffic traffic)
{
	struct compute_counters counters;

	if (traffic.can_send)
		return traffic.n_in > traffic.n_out + (worker->epoch.unsent != NULL);
	compute_counters(worker->compute, &counters);
	return traffic.n_in > counters.steps;
}

bool worker_is_computing(const struct worker *worker, struct net_traffic traffic)
{
	enum compute_state state;

	if (!worker->compute || worker->is_ended)
		return false;
	state = compute_state(worker->compute);
	if (state == COMPUTE_LOADING)
		return true;
	if (state != COMPUTE_READY || !worker->epoch.number)
		return false;
	if (!worker->epoch.is_ready_told)
		return ring_is_connected(worker->epoch.ring);
	return has_steps(worker, traffic);
}
