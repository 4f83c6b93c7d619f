/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/pipeline/troupe.h"

#include "engine/wiring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <xxhash.h>

static void on_phase(void *arg, enum coordinator_phase phase, const struct error *err)
{
	struct troupe *troupe = arg;

	troupe->rig.phase = phase;
	if (phase == COORDINATOR_RECOVERING) {
		troupe->n_recovering++;
		wake_send(troupe->recovering);
	}
	if (err)
		troupe->rig.error = *err;
}

static void on_recovering(void *arg)
{
	struct troupe *troupe = arg;

	if (troupe->on_recovering)
		troupe->on_recovering();
}

/* On the thread of whichever worker has the last stage. */
static void on_logits(void *arg, uint32_t sequence, uint32_t position, const float *logits,
		      uint32_t n_vocab)
{
	struct troupe *troupe = arg;
	struct rig *rig = &troupe->rig;

	(void)sequence;
	pthread_mutex_lock(&troupe->mutex);
	if (rig->n_logits == rig->max_logits) {
		rig->max_logits = rig->max_logits ? 2 * rig->max_logits : 1024;
		rig->logits = realloc(rig->logits, rig->max_logits * sizeof rig->logits[0]);
		if (!rig->logits)
			abort();
	}
	rig->logits[rig->n_logits++] = (struct rig_logits){
		position, XXH3_64bits(logits, n_vocab * sizeof logits[0])
	};
	pthread_mutex_unlock(&troupe->mutex);
}

static void on_detached(void *arg, enum worker_detachment why, const struct error *err)
{
	(void)why;
	(void)err;
	*(bool *)arg = true;
}

static void on_end(void *arg, const struct error *err)
{
	(void)err;
	*(bool *)arg = true;
}

void troupe_add(struct troupe *troupe, unsigned i)
{
	struct worker_config worker;
	struct channel *ends[2];
	struct error err;
	char id[32];

	troupe_kill(troupe, i);
	if (wire_worker_config(&troupe->settings, rig_model()->model, NULL, &worker, &err) != SC_OK)
		fail_msg("%s", err.text);
	snprintf(id, sizeof id, "worker.%u", i);
	worker.loop = troupe->rig.loop;
	worker.fabrics = loopback_source(&troupe->port);
	worker.id = id;
	worker.on_detached = on_detached;
	worker.on_end = on_end;
	worker.arg = &troupe->is_ended[i];
	worker.on_logits = on_logits;
	worker.logits_arg = troupe;
	troupe->is_ended[i] = false;
	if (worker_create(&worker, &troupe->workers[i], &err) != SC_OK)
		fail_msg("%s", err.text);
	assert_int_equal(channel_pair(troupe->rig.loop, ends), SC_OK);
	engine_accept(troupe->rig.engine, ends[0]);
	worker_attach(troupe->workers[i], ends[1]);
}

void troupe_kill(struct troupe *troupe, unsigned i)
{
	assert_int_equal(worker_destroy(troupe->workers[i]), SC_OK);
	troupe->workers[i] = NULL;
}

void troupe_start(struct troupe *troupe, const struct troupe_options *options, unsigned n_workers)
{
	struct coordinator_config coordinator;
	struct engine_cluster cluster = { .coordinator = &coordinator };
	struct engine_config engine = {
		.model = rig_model(), .cluster = &cluster, .on_phase = on_phase, .arg = troupe,
	};
	struct error err;

	*troupe = (struct troupe){ .settings = rig_settings(&options->rig) };
	pthread_mutex_init(&troupe->mutex, NULL);
	if (options->deadline_ms)
		troupe->settings.deadline_ms = options->deadline_ms;
	if (options->start_ms)
		troupe->settings.start_ms = options->start_ms;
	troupe->settings.heartbeat_ms = 50;
	assert_int_equal(loop_create(&troupe->rig.loop), SC_OK);
	assert_int_equal(loopback_hub_create(&troupe->hub), SC_OK);
	assert_int_equal(wake_create(troupe->rig.loop, on_recovering, troupe,
				     &troupe->recovering), SC_OK);
	troupe->port = (struct loopback_port){ troupe->rig.loop, troupe->hub };
	if (wire_coordinator_config(&troupe->settings, rig_model(), options->rig.n_stages,
				    &coordinator, &err) != SC_OK)
		fail_msg("%s", err.text);
	coordinator.survives_losses = true;
	coordinator.warms_spares = options->warms_spares;
	cluster.fabrics = loopback_source(&troupe->port);
	engine.loop = troupe->rig.loop;
	engine.settings = &troupe->settings;
	if (engine_create(&engine, &troupe->rig.engine, &err) != SC_OK)
		fail_msg("%s", err.text);
	for (unsigned i = 0; i < n_workers; i++)
		troupe_add(troupe, i);
	rig_wait(&troupe->rig, troupe->rig.phase == COORDINATOR_READY ||
			       troupe->rig.phase == COORDINATOR_FAILED);
}

/* Workers that have ended leave, as processes do. */
static void sweep(struct troupe *troupe)
{
	for (unsigned i = 0; i < TROUPE_MAX_WORKERS; i++)
		if (troupe->is_ended[i])
			troupe_kill(troupe, i);
}

void troupe_stop(struct troupe *troupe)
{
	if (troupe->rig.phase < COORDINATOR_STOPPED)
		engine_drain(troupe->rig.engine, 0);
	while (troupe->rig.phase < COORDINATOR_STOPPED) {
		loop_turn(troupe->rig.loop, true);
		sweep(troupe);
	}
	for (unsigned i = 0; i < TROUPE_MAX_WORKERS; i++)
		troupe_kill(troupe, i);
	engine_destroy(troupe->rig.engine);
	loopback_hub_destroy(troupe->hub);
	wake_destroy(troupe->recovering);
	loop_destroy(troupe->rig.loop);
	pthread_mutex_destroy(&troupe->mutex);
}

unsigned troupe_n_stages(const struct troupe *troupe)
{
	const struct plan *plan = engine_plan(troupe->rig.engine);

	return plan ? plan->n_stages : 0;
}

unsigned troupe_of_stage(const struct troupe *troupe, unsigned stage)
{
	const struct plan *plan = engine_plan(troupe->rig.engine);
	unsigned i;

	if (!plan || stage >= plan->n_stages)
		return TROUPE_MAX_WORKERS;
	assert_int_equal(sscanf(plan->stages[stage].worker, "worker.%u", &i), 1);
	return i;
}

static bool is_of(const struct rig_logits *logits, const struct wanted *w)
{
	uint32_t first = (uint32_t)w->request.n_prompt_tokens;

	return logits->position >= first && logits->position < first + w->n_tokens &&
	       logits->hash == w->hashes[logits->position - first];
}

void troupe_check_logits(const struct troupe *troupe, const struct wanted *wanted, unsigned n)
{
	const struct rig *rig = &troupe->rig;

	for (size_t i = 0; i < rig->n_logits; i++) {
		bool is_known = rig->logits[i].position == 1;	/* perhaps a probe's */

		for (unsigned k = 0; k < n && !is_known; k++)
			is_known = is_of(&rig->logits[i], &wanted[k]);
		assert_true(is_known);
	}
	for (unsigned i = 0; i < n; i++)
		for (uint32_t k = 0; k < wanted[i].n_tokens; k++)
			assert_true(rig_has_logits(rig, (uint32_t)wanted[i].request.n_prompt_tokens + k,
						   wanted[i].hashes[k]));
}
