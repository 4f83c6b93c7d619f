/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/local_stages.h"

#include "transport/fabrics.h"

#include <stdio.h>
#include <stdlib.h>

struct local_stage {
	struct local_stages *all;
	struct worker *worker;
	enum cpu_isa isa;
	bool is_ended;
};

struct local_stages {
	unsigned n;
	struct worker_config worker;
	struct loopback_hub *hub;
	struct loopback_port port;
	struct wake *sweep;		/* a stage has ended */
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
		(void)worker_destroy(stage->worker);
		stage->worker = NULL;
	}
}

static void end(struct local_stage *stage)
{
	stage->is_ended = true;
	wake_send(stage->all->sweep);
}

/* What went wrong reaches the coordinator through the channel, as from any other worker. */
static void on_end(void *arg, const struct error *err)
{
	(void)err;
	end(arg);
}

/* The coordinator of this process is gone, and no other one will come. */
static void on_detached(void *arg, enum worker_detachment why, const struct error *err)
{
	(void)why;
	(void)err;
	end(arg);
}

enum sc_status local_stages_open(const struct local_stages_config *config,
				 struct local_stages **stages_out, struct error *err)
{
	struct local_stages *all = calloc(1, sizeof *all);

	if (!all)
		goto no_memory;
	all->n = config->n_stages;
	all->worker = *config->worker;
	all->stages = calloc(all->n, sizeof all->stages[0]);
	if (!all->stages || loopback_hub_create(&all->hub) != SC_OK ||
	    wake_create(all->worker.loop, sweep_ended, all, &all->sweep) != SC_OK)
		goto no_memory;
	all->port = (struct loopback_port){ all->worker.loop, all->hub };
	all->worker.fabrics = loopback_source(&all->port);
	all->worker.on_end = on_end;
	all->worker.on_detached = on_detached;
	for (unsigned i = 0; i < all->n; i++) {
		all->stages[i].all = all;
		all->stages[i].isa = config->isas ? config->isas[i] : config->worker->isa;
	}
	*stages_out = all;
	return SC_OK;

no_memory:
	local_stages_close(all);
	return error_set(err, SC_E_NOMEM, "out of memory for the stages of this process");
}

struct fabric_source local_stages_fabrics(struct local_stages *stages)
{
	return loopback_source(&stages->port);
}

static enum sc_status start_stage(struct local_stages *all, unsigned i,
				  struct coordinator *coordinator, struct error *err)
{
	struct worker_config worker = all->worker;
	struct local_stage *stage = &all->stages[i];
	struct channel *ends[2];
	enum sc_status status;
	char id[32];

	snprintf(id, sizeof id, "local.%u", i + 1);
	worker.id = id;
	worker.arg = stage;
	worker.isa = stage->isa;
	worker.place.stage = i;
	status = worker_create(&worker, &stage->worker, err);
	if (status != SC_OK)
		return status;
	status = channel_pair(worker.loop, ends);
	if (status != SC_OK)
		return error_set(err, status, "out of memory for a channel");
	coordinator_accept(coordinator, ends[0]);
	worker_attach(stage->worker, ends[1]);
	return SC_OK;
}

enum sc_status local_stages_start(struct local_stages *all, struct coordinator *coordinator,
				  struct error *err)
{
	enum sc_status status = SC_OK;

	for (unsigned i = 0; status == SC_OK && i < all->n; i++)
		status = start_stage(all, i, coordinator, err);
	return status;
}

void local_stages_close(struct local_stages *all)
{
	if (!all)
		return;
	for (unsigned i = 0; all->stages && i < all->n; i++)
		(void)worker_destroy(all->stages[i].worker);
	loopback_hub_destroy(all->hub);
	wake_destroy(all->sweep);
	free(all->stages);
	free(all);
}
