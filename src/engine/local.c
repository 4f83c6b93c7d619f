/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/local.h"

#include "transport/fabrics.h"

#include <stdlib.h>

struct local_stage {
	struct local *local;
	struct fabric *fabric;
	struct worker *worker;
	bool is_ended;
};

struct local {
	unsigned n_stages;
	struct loopback_hub *hub;
	struct fabric *fabric;		/* the coordinator's */
	struct coordinator *coordinator;
	struct wake *sweep;		/* a stage has ended */
	struct worker_peer *peers;	/* [n_stages + 1] by rank */
	struct local_stage *stages;	/* [n_stages] */
};

/* A worker may not be destroyed inside its own callback. */
static void sweep_ended(void *arg)
{
	struct local *local = arg;

	for (unsigned i = 0; i < local->n_stages; i++) {
		struct local_stage *stage = &local->stages[i];

		if (!stage->is_ended)
			continue;
		worker_destroy(stage->worker);
		stage->worker = NULL;
	}
}

/* What went wrong reaches the coordinator through the link, as from any other worker. */
static void on_end(void *arg, const struct error *err)
{
	struct local_stage *stage = arg;

	(void)err;
	stage->is_ended = true;
	wake_send(stage->local->sweep);
}

static enum sc_status open_fabrics(struct local *local, const struct local_config *config,
				   struct error *err)
{
	struct loop *loop = config->coordinator->loop;
	struct fabric_config fabric = *config->fabric;
	enum sc_status status;

	status = loopback_hub_create(local->n_stages + 1, &local->hub);
	if (status != SC_OK)
		return error_set(err, status, "out of memory for links");
	for (unsigned rank = 0; rank <= local->n_stages; rank++) {
		struct fabric **out = rank ? &local->stages[rank - 1].fabric : &local->fabric;

		fabric.rank = rank;
		status = fabric_loopback_open(loop, local->hub, &fabric, out, err);
		if (status != SC_OK)
			return status;
		fabric_address(*out, &local->peers[rank].address, &local->peers[rank].n_bytes);
	}
	return SC_OK;
}

static enum sc_status start_coordinator(struct local *local, const struct local_config *config,
					struct error *err)
{
	struct coordinator_config coordinator = *config->coordinator;
	enum sc_status status;

	coordinator.fabric = local->fabric;
	status = coordinator_create(&coordinator, &local->coordinator, err);
	for (unsigned rank = 1; status == SC_OK && rank <= local->n_stages; rank++)
		status = coordinator_connect(local->coordinator, rank, local->peers[rank].address,
					     local->peers[rank].n_bytes, err);
	return status;
}

static enum sc_status start_stages(struct local *local, const struct local_config *config,
				   struct error *err)
{
	struct worker_config worker = *config->worker;
	enum sc_status status = SC_OK;

	worker.loop = config->coordinator->loop;
	worker.on_end = on_end;
	for (unsigned i = 0; status == SC_OK && i < local->n_stages; i++) {
		struct local_stage *stage = &local->stages[i];

		stage->local = local;
		worker.fabric = stage->fabric;
		worker.arg = stage;
		worker.place.stage = i;
		if (config->isas)
			worker.isa = config->isas[i];
		status = worker_create(&worker, local->peers, &stage->worker, err);
	}
	return status;
}

enum sc_status local_create(const struct local_config *config, struct local **local_out,
			    struct error *err)
{
	struct local *local = calloc(1, sizeof *local);
	enum sc_status status;

	if (!local)
		goto no_memory;
	local->n_stages = config->coordinator->n_stages;
	local->stages = calloc(local->n_stages, sizeof local->stages[0]);
	local->peers = calloc(local->n_stages + 1, sizeof local->peers[0]);
	if (!local->stages || !local->peers ||
	    wake_create(config->coordinator->loop, sweep_ended, local, &local->sweep) != SC_OK)
		goto no_memory;
	status = open_fabrics(local, config, err);
	if (status == SC_OK)
		status = start_coordinator(local, config, err);
	if (status == SC_OK)
		status = start_stages(local, config, err);
	if (status != SC_OK) {
		local_destroy(local);
		return status;
	}
	*local_out = local;
	return SC_OK;

no_memory:
	local_destroy(local);
	return error_set(err, SC_E_NOMEM, "out of memory for the stages of this process");
}

void local_destroy(struct local *local)
{
	if (!local)
		return;
	coordinator_destroy(local->coordinator);
	for (unsigned i = 0; local->stages && i < local->n_stages; i++) {
		worker_destroy(local->stages[i].worker);
		fabric_close(local->stages[i].fabric);
	}
	fabric_close(local->fabric);
	loopback_hub_destroy(local->hub);
	wake_destroy(local->sweep);
	free(local->peers);
	free(local->stages);
	free(local);
}

struct coordinator *local_coordinator(struct local *local)
{
	return local->coordinator;
}
