/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/epoch.h"

#include <assert.h>
#include <stdlib.h>

uint64_t epoch_bytes(const struct step_limits *limits, uint32_t window)
{
	return (uint64_t)(window + 1) * step_bytes_into(limits, 0);
}

/* The probe draws one token behind a prompt of one token. */
static enum sc_status make_probe(struct epoch *epoch, const struct epoch_config *config)
{
	uint32_t token = config->probe_token < config->limits.n_vocab ? config->probe_token : 0;
	enum sc_status status = sequence_init(&epoch->probe, &token, 1, 2, &config->limits);

	share_client_init(&epoch->probe_client);
	share_job_init(&epoch->probe_job, &epoch->probe_client);
	epoch->probe.share = &epoch->probe_job;
	epoch->probe.sampling = (struct sampling){ .top_p = 1.0f, SAMPLING_OFF };
	return status;
}

static enum sc_status make_parts(struct epoch *epoch, const struct epoch_config *config,
				 unsigned n_stages, struct error *err)
{
	const struct scheduler_config scheduler = {
		.limits = config->limits,
		.window = config->window,
		.n_stages = n_stages,
		.prompt_chunk = config->prompt_chunk,
		.max_gap_ns = config->max_gap_ns,
		.n_spare = config->n_spare,
		.on_started = config->on_started,
		.arg = config->arg,
	};
	enum sc_status status = scheduler_create(&scheduler, &epoch->scheduler, err);

	if (status != SC_OK)
		return status;
	status = frame_pool_create(config->window + 1, step_bytes_into(&config->limits, 0),
				   &epoch->step_pool);
	if (status == SC_OK)
		status = make_probe(epoch, config);
	return status == SC_OK ? SC_OK : error_set(err, status, "out of memory for steps");
}

enum sc_status epoch_create(const struct epoch_config *config, struct plan *plan,
			    struct epoch **epoch_out, struct error *err)
{
	struct epoch *epoch = calloc(1, sizeof *epoch);
	enum sc_status status;

	if (!epoch)
		return error_set(err, SC_E_NOMEM, "out of memory for an epoch");
	epoch->number = config->number;
	epoch->limits = config->limits;
	epoch->window = config->window;
	status = make_parts(epoch, config, plan->n_stages, err);
	if (status != SC_OK) {
		epoch_destroy(epoch);
		return status;
	}
	epoch->plan = plan;
	*epoch_out = epoch;
	return SC_OK;
}

void epoch_destroy(struct epoch *epoch)
{
	if (!epoch)
		return;
	ring_close(epoch->ring);
	if (epoch->unsent)
		frame_release(epoch->unsent);
	if (epoch->scheduler)
		scheduler_remove(epoch->scheduler, &epoch->probe);
	scheduler_destroy(epoch->scheduler);
	sequence_deinit(&epoch->probe);
	frame_pool_destroy(epoch->step_pool);
	plan_destroy(epoch->plan);
	free(epoch);
}

void epoch_start_probe(struct epoch *epoch)
{
	assert(epoch->state == EPOCH_LOADING);
	epoch->state = EPOCH_PROBING;
	scheduler_add(epoch->scheduler, &epoch->probe);
}

void epoch_run(struct epoch *epoch)
{
	assert(epoch->state == EPOCH_PROBING);
	epoch->state = EPOCH_RUNNING;
}

void epoch_note_activity(struct epoch *epoch, uint64_t now_ns)
{
	bool is_active = scheduler_counts(epoch->scheduler).in_flight > 0;

	if (is_active && !epoch->active_since_ns) {
		epoch->active_since_ns = now_ns;
	} else if (!is_active && epoch->active_since_ns) {
		epoch->active_ns += now_ns - epoch->active_since_ns;
		epoch->active_since_ns = 0;
	}
}

uint64_t epoch_active_ns(const struct epoch *epoch, uint64_t now_ns)
{
	return epoch->active_ns + (epoch->active_since_ns ? now_ns - epoch->active_since_ns : 0);
}
