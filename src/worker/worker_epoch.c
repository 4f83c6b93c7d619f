/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's stage, from Assign until the epoch is over: data links, steps, and what it tells. */
#include "worker/worker_private.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>

/* --- end --- */

void worker_end_epoch(struct worker *worker)
{
	struct worker_epoch *epoch = &worker->epoch;
	struct error err;

	if (!epoch->number)
		return;
	if (worker->compute && compute_release(worker->compute, &err) != SC_OK)
		log_warning("keys and values stay in memory until the next epoch: %s", err.text);
	if (epoch->unsent)
		frame_release(epoch->unsent);
	ring_close(epoch->ring);
	*epoch = (struct worker_epoch){ 0 };
}

/* The stage cannot go on. The worker stays, without a stage. */
static void fail_epoch(struct worker *worker, const struct error *err)
{
	const uint32_t number = worker->epoch.number;
	const struct error own = *err;	/* it may belong to what ends here */

	if (!number)
		return;
	worker_end_epoch(worker);
	worker_say_failed(worker, number, &own);
}

/* --- steps --- */

/* Called on the compute thread. */
static void wake_loop(void *arg)
{
	struct worker *worker = arg;

	wake_send(worker->wake);
}

static void drop_unsent(struct worker *worker, enum sc_status status)
{
	const unsigned next = ring_next(worker->epoch.ring);
	struct frame *frame = worker->epoch.unsent;
	char whom[32] = "the coordinator";
	struct error err;

	worker->epoch.unsent = NULL;
	if (next)
		snprintf(whom, sizeof whom, "stage %u", next);
	if (status != SC_E_CLOSED) {	/* for SC_E_CLOSED, on_down reports the reason */
		error_set(&err, status, "a frame of %u bytes for %s cannot be sent: %s",
			  frame->n_bytes, whom, sc_status_name(status));
		fail_epoch(worker, &err);
	}
	frame_release(frame);
}

/* Sends finished frames in order, as long as there is credit. */
static void send_output(struct worker *worker)
{
	struct worker_epoch *epoch = &worker->epoch;
	enum sc_status status;

	while (epoch->number && (epoch->unsent || (epoch->unsent = compute_pop(worker->compute)))) {
		status = ring_send(epoch->ring, epoch->unsent);
		if (status == SC_AGAIN) {
			if (!epoch->unsent_since_ns)
				epoch->unsent_since_ns = clock_ns();
			return;
		}
		if (epoch->unsent_since_ns) {
			epoch->sending_ns += clock_ns() - epoch->unsent_since_ns;
			epoch->unsent_since_ns = 0;
		}
		if (status != SC_OK)
			drop_unsent(worker, status);
		else
			epoch->unsent = NULL;
	}
}

static void on_step(void *arg, struct frame *frame)
{
	struct worker *worker = arg;
	struct error err;
	enum sc_status status = compute_push(worker->compute, frame);

	if (status == SC_OK)
		return;
	frame_release(frame);
	error_set(&err, status, "a step from the previous stage: more steps are in flight than the "
		  "window of %u", worker->epoch.window);
	fail_epoch(worker, &err);
}

static void on_credit(void *arg)
{
	send_output(arg);
}

/* The coordinator knows more: it decides who is at fault, and ends the epoch. */
static void on_link_down(void *arg, unsigned peer, enum sc_status status, const char *why)
{
	struct worker *worker = arg;

	(void)status;
	log_debug("epoch %u: data link to peer %u down: %s", worker->epoch.number, peer, why);
	worker_say_link_down(worker, peer, why);
}

/* --- news of the compute thread --- */

static void tell_state(struct worker *worker)
{
	struct worker_epoch *epoch = &worker->epoch;

	switch (compute_state(worker->compute)) {
	case COMPUTE_LOADING:
		worker_say_progress(worker);
		break;
	case COMPUTE_READY:
		if (epoch->is_ready_told || !ring_is_connected(epoch->ring))
			break;
		epoch->is_ready_told = true;
		worker_say_ready(worker);
		break;
	case COMPUTE_FAILED:
		fail_epoch(worker, compute_error(worker->compute));
		break;
	default:
		break;
	}
}

void worker_take_news(struct worker *worker)
{
	if (!worker->epoch.number || worker->is_ended)
		return;
	tell_state(worker);
	send_output(worker);
}

/* --- orders of the coordinator --- */

static enum sc_status open_ring(struct worker *worker, const struct assignment *assignment,
				struct error *err)
{
	const struct ring_config config = {
		.source = &worker->config.fabrics,
		.epoch = assignment->epoch,
		.self = assignment->stage + 1,
		.n_peers = assignment->n_stages + 1,
		.spin_us = worker->config.spin_us,
		.in_type = FRAME_STEP,
		.in = assignment->in,
		.on_frame = on_step,
		.on_credit = on_credit,
		.on_down = on_link_down,
		.arg = worker,
	};

	return ring_open(&config, &worker->epoch.ring, err);
}

static unsigned threads_of(const struct worker *worker, unsigned assigned)
{
	return worker->config.n_threads ? worker->config.n_threads :
	       assigned		       ? assigned :
					 resources_processor_count();
}

static struct backend_place place_of(const struct worker *worker, unsigned n_sharers,
				     unsigned sharer)
{
	struct backend_place place = worker->config.place;

	if (place.n_stages || !n_sharers)
		return place;
	place.n_stages = n_sharers;
	place.stage = sharer;
	return place;
}

/* The thread lives as long as the worker, so the first order decides how many threads compute. */
static enum sc_status create_compute(struct worker *worker, unsigned n_threads, unsigned n_sharers,
				     unsigned sharer, struct error *err)
{
	const struct compute_config config = {
		.stage = {
			.model = worker->config.model,
			.backend = worker->config.backend,
			.device = worker->config.device,
			.n_threads = threads_of(worker, n_threads),
			.place = place_of(worker, n_sharers, sharer),
		},
		.spin_us = worker->config.spin_us,
		.on_logits = worker->config.on_logits,
		.logits_arg = worker->config.logits_arg,
		.on_news = wake_loop,
		.arg = worker,
	};

	return worker->compute ? SC_OK : compute_create(&config, &worker->compute, err);
}

static enum sc_status start_compute(struct worker *worker, const struct assignment *assignment,
				    struct error *err)
{
	const struct compute_assignment order = {
		.stage = {
			.isa = assignment->isa,
			.first_layer = assignment->first_layer,
			.n_layers = assignment->n_layers,
			.kv_type = assignment->kv_type,
			.limits = assignment->limits,
		},
		.epoch = assignment->epoch,
		.window = assignment->window,
	};
	enum sc_status status = create_compute(worker, assignment->n_threads,
					       assignment->n_sharers, assignment->sharer, err);

	return status == SC_OK ? compute_assign(worker->compute, &order, err) : status;
}

static enum sc_status begin_epoch(struct worker *worker, const struct assignment *assignment,
				  struct error *err)
{
	enum sc_status status;

	worker->epoch = (struct worker_epoch){
		.number = assignment->epoch, .stage = assignment->stage,
		.first_layer = assignment->first_layer, .n_layers = assignment->n_layers,
		.window = assignment->window,
	};
	log_debug("epoch %u: stage %u of %u, layers %u to %u", assignment->epoch,
		  assignment->stage + 1, assignment->n_stages, assignment->first_layer,
		  assignment->first_layer + assignment->n_layers - 1);
	status = open_ring(worker, assignment, err);
	if (status == SC_OK)
		status = start_compute(worker, assignment, err);
	return status;
}

void worker_take_assign(struct worker *worker, const Stagecoach__Cluster__V1__Assign *message)
{
	struct assignment assignment;
	struct error err;
	enum sc_status status;

	/* An epoch that ended before this worker heard of it. */
	if (message->epoch && message->epoch <= worker->last_epoch)
		return;
	worker->last_epoch = message->epoch;
	worker_end_epoch(worker);
	status = assignment_read(message, worker->config.model, worker->best_isa, &assignment,
				 &err);
	if (status == SC_OK)
		status = begin_epoch(worker, &assignment, &err);
	if (status != SC_OK) {
		worker_end_epoch(worker);
		worker_say_failed(worker, message->epoch, &err);
		return;
	}
	worker_say_opened(worker);
}

void worker_take_connect(struct worker *worker, const Stagecoach__Cluster__V1__Connect *message)
{
	struct worker_epoch *epoch = &worker->epoch;
	struct error err;

	if (!epoch->number || message->epoch != epoch->number || ring_is_connected(epoch->ring))
		return;
	if (ring_connect(epoch->ring, message->previous_address.data,
			 message->previous_address.len, message->next_address.data,
			 message->next_address.len, &err) != SC_OK)
		fail_epoch(worker, &err);
	else
		worker_take_news(worker);
}

void worker_take_release(struct worker *worker, const Stagecoach__Cluster__V1__Release *message)
{
	/* The next epoch may have the same number. */
	if (message->epoch <= worker->last_epoch)
		return;
	worker->last_epoch = message->epoch - 1;
	worker_end_epoch(worker);
}

/* A preload that cannot be costs only time: nobody is told. */
void worker_take_preload(struct worker *worker, const Stagecoach__Cluster__V1__Preload *message)
{
	uint32_t n_layers = worker->config.model->hparams.n_layers;
	enum cpu_isa isa = CPU_AUTO;
	struct error err;
	enum sc_status status;

	if (worker->epoch.number || !message->n_layers || message->first_layer > n_layers ||
	    message->n_layers > n_layers - message->first_layer)
		return;
	status = assignment_read_isa(message->instruction_set, worker->best_isa, &isa, &err);
	if (status == SC_OK)
		status = create_compute(worker, message->n_threads, message->n_sharers,
					message->sharer, &err);
	if (status == SC_OK)
		status = compute_preload(worker->compute, isa, message->first_layer,
					 message->n_layers, &err);
	if (status != SC_OK)
		log_warning("preload: %s", err.text);
}
