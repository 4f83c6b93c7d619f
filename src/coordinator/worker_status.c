/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/worker_status.h"

#include "base/clock.h"
#include "coordinator/coordinator_private.h"

static uint64_t ms_between(uint64_t from_ns, uint64_t to_ns)
{
	return to_ns > from_ns ? (to_ns - from_ns) / NS_PER_MS : 0;
}

unsigned coordinator_n_workers(const struct coordinator *c)
{
	return members_count(c->members);
}

void coordinator_worker_status(const struct coordinator *c, unsigned i, struct worker_status *out)
{
	const struct member *member = members_get(c->members, i);
	const struct plan *plan = coordinator_plan(c);
	uint64_t now_ns = loop_now_ns(c->config.loop);

	*out = (struct worker_status){
		.id = member->hello.worker_id,
		.host = member->hello.host,
		.backend = member->backend,
		.pid = member->hello.pid,
		.state = member->state,
		.is_quarantined = member_is_quarantined(member),
		.stage = member->channel ? member->stage : MEMBER_NO_STAGE,
		.state_ms = ms_between(member->since_ns, now_ns),
		.heard_ms_ago = ms_between(member->heard_ns, now_ns),
		.n_losses = member->n_losses,
		.quarantine_ms = ms_between(now_ns, member->quarantined_until_ns),
		.memory_bytes = member->allowance.memory_bytes,
	};
	if (!plan || out->stage >= plan->n_stages)
		return;
	out->first_layer = plan->stages[out->stage].first_layer;
	out->n_layers = plan->stages[out->stage].n_layers;
}
