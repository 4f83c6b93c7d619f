/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/local_stages.h"

#include "transport/fabrics.h"

#include <stdlib.h>

struct local_stage {
	struct local_stages *all;
	struct fabric *fabric;
	struct worker *worker;
	enum cpu_isa isa;
	bool is_ended;
};

struct local_stages {
	unsigned n;
	struct worker_config worker;
	struct loopback_hub *hub;
	struct fabric *fabric;		/* the coordinator's */
	struct wake *sweep;		/* a stage has ended */
	struct worker_peer *peers;	/* [n + 1] by rank */
	struct local_stage *stages;	/* [n] */
};

/* A worker may not be destroyed inside its own callback. */
static void sweep_ended(void *arg)
{
	struct local_stages *all = arg;

	for (unsigned i = 0; i < all->n; i++) {
		struct local_stage *stage = &all->stages[i];

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
	wake_send(stage->all->sweep);
}

static enum sc_status open_fabrics(struct local_stages *all, const struct fabric_config *config,
				   struct error *err)
{
	struct fabric_config fabric = *config;
	enum sc_status status;

	status = loopback_hub_create(&all->hub);
	if (status != SC_OK)
		return error_set(err, status, "out of memory for links");
	for (unsigned rank = 0; rank <= all->n; rank++) {
		struct fabric **out = rank ? &all->stages[rank - 1].fabric : &all->fabric;

		fabric.self = rank;
		status = fabric_loopback_open(all->worker.loop, all->hub, &fabric, out, err);
		if (status != SC_OK)
			return status;
		fabric_address(*out, &all->peers[rank].address, &all->peers[rank].n_bytes);
	}
	return SC_OK;
}

enum sc_status local_stages_open(const struct local_stages_config *config,
				 struct local_stages **stages_out, struct error *err)
{
	struct local_stages *all = calloc(1, sizeof *all);
	enum sc_status status;

	if (!all)
		goto no_memory;
	all->n = config->n_stages;
	all->worker = *config->worker;
	all->worker.on_end = on_end;
	all->stages = calloc(all->n, sizeof all->stages[0]);
	all->peers = calloc(all->n + 1, sizeof all->peers[0]);
	if (!all->stages || !all->peers ||
	    wake_create(all->worker.loop, sweep_ended, all, &all->sweep) != SC_OK)
		goto no_memory;
	for (unsigned i = 0; i < all->n; i++)
		all->stages[i].isa = config->isas ? config->isas[i] : config->worker->isa;
	status = open_fabrics(all, config->fabric, err);
	if (status != SC_OK) {
		local_stages_close(all);
		return status;
	}
	*stages_out = all;
	return SC_OK;

no_memory:
	local_stages_close(all);
	return error_set(err, SC_E_NOMEM, "out of memory for the stages of this process");
}

struct fabric *local_stages_fabric(const struct local_stages *stages)
{
	return stages->fabric;
}

const struct worker_peer *local_stages_peers(const struct local_stages *stages)
{
	return stages->peers;
}

enum sc_status local_stages_start(struct local_stages *all, struct error *err)
{
	struct worker_config worker = all->worker;
	enum sc_status status = SC_OK;

	for (unsigned i = 0; status == SC_OK && i < all->n; i++) {
		struct local_stage *stage = &all->stages[i];

		stage->all = all;
		worker.fabric = stage->fabric;
		worker.arg = stage;
		worker.isa = stage->isa;
		worker.place.stage = i;
		status = worker_create(&worker, all->peers, &stage->worker, err);
	}
	return status;
}

void local_stages_close(struct local_stages *all)
{
	if (!all)
		return;
	for (unsigned i = 0; all->stages && i < all->n; i++) {
		worker_destroy(all->stages[i].worker);
		fabric_close(all->stages[i].fabric);
	}
	fabric_close(all->fabric);
	loopback_hub_destroy(all->hub);
	wake_destroy(all->sweep);
	free(all->peers);
	free(all->stages);
	free(all);
}
