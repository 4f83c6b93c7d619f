/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/worker.h"

#include "base/clock.h"
#include "base/libm.h"
#include "base/log.h"
#include "base/resources.h"
#include "transport/control_link.h"
#include "worker/compute.h"
#include "worker/sizes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COORDINATOR_RANK 0
#define N_CONTROL_FRAMES 8
#define MAX_WINDOW 4096
#define HANG_MS 20000	/* a thread that does not end within this time hangs */

typedef Stagecoach__Cluster__V1__Control control_message;
typedef Stagecoach__Cluster__V1__Assign assign_message;

struct worker {
	struct worker_config config;
	const struct worker_peer *peers;
	struct frame_pool *control_pool;
	struct wake *wake;		/* sent when the compute thread has news */
	struct timer *heartbeat;
	struct link *coordinator;
	struct link *previous;		/* for the first stage: the coordinator's link */
	struct link *next;		/* for the last stage: the coordinator's link */
	struct compute *compute;	/* from Assign on */
	enum compute_state told;	/* the state that the coordinator was told last */
	enum cpu_isa best_isa;		/* CPU_AUTO: the backend has none */
	uint32_t epoch;
	uint32_t window;		/* steps that may be in flight, from Assign on */
	uint32_t heartbeat_ms;
	uint64_t beat_ns;		/* the last check of the coordinator's silence */
	uint32_t deadline_ms;		/* after this much silence the coordinator counts as dead */
	uint64_t heard_ns;		/* when the coordinator was last heard */
	struct frame *unsent;		/* an output without credit; later outputs wait behind it */
	uint64_t unsent_since_ns;
	uint64_t sending_ns;
	bool is_hello_sent;
	bool is_ended;
	bool is_stopped;		/* the coordinator said Stop */
};

static void end(struct worker *worker, const struct error *err)
{
	if (worker->is_ended)
		return;
	worker->is_ended = true;
	timer_stop(worker->heartbeat);
	worker->config.on_end(worker->config.arg, err);
}

/* --- control messages out --- */

/* Returns false if there is no frame or no credit, or the link is down. */
static bool send_control(struct worker *worker, const control_message *message)
{
	return link_send_control(worker->coordinator, worker->control_pool, worker->epoch,
				 message);
}

static void send_hello(struct worker *worker)
{
	Stagecoach__Cluster__V1__Hello hello = STAGECOACH__CLUSTER__V1__HELLO__INIT;
	control_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;
	unsigned n_threads = worker->config.n_threads ? worker->config.n_threads
						       : resources_processor_count();
	char host[256] = "";

	gethostname(host, sizeof host - 1);
	hello.protocol_version = CONTROL_PROTOCOL_VERSION;
	hello.rank = worker->config.fabric->config.self;
	hello.pid = (uint32_t)getpid();
	hello.host = host;
	hello.version = (char *)PACKAGE_VERSION;
	hello.model_fingerprint = worker->config.model->fingerprint;
	hello.backend = (char *)worker->config.backend->name;
	hello.kernel_version = worker->config.backend->kernel_version;
	hello.libm_fingerprint = libm_fingerprint();
	if (worker->best_isa != CPU_AUTO)
		hello.instruction_set = (char *)cpu_isa_name(worker->best_isa);
	hello.memory_bytes = worker->config.memory_bytes;
	hello.n_threads = n_threads;
	message.body_case = STAGECOACH__CLUSTER__V1__CONTROL__BODY_HELLO;
	message.hello = &hello;
	worker->is_hello_sent = send_control(worker, &message);
}

static void send_progress(struct worker *worker)
{
	Stagecoach__Cluster__V1__Progress progress = STAGECOACH__CLUSTER__V1__PROGRESS__INIT;
	control_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;

	compute_progress(worker->compute, &progress.done_bytes, &progress.total_bytes);
	message.body_case = STAGECOACH__CLUSTER__V1__CONTROL__BODY_PROGRESS;
	message.progress = &progress;
	send_control(worker, &message);
}

static bool send_ready(struct worker *worker)
{
	Stagecoach__Cluster__V1__Ready ready = STAGECOACH__CLUSTER__V1__READY__INIT;
	const char *not_finite;
	control_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;

	ready.epoch = worker->epoch;
	ready.weight_bytes = compute_weight_bytes(worker->compute);
	ready.kv_bytes = compute_kv_bytes(worker->compute);
	ready.load_ns = compute_load_ns(worker->compute);
	not_finite = compute_not_finite(worker->compute, &ready.n_not_finite);
	if (not_finite)
		ready.not_finite = (char *)(uintptr_t)not_finite;
	message.body_case = STAGECOACH__CLUSTER__V1__CONTROL__BODY_READY;
	message.ready = &ready;
	return send_control(worker, &message);
}

static bool send_failed(struct worker *worker, const struct error *err)
{
	Stagecoach__Cluster__V1__Failed failed = STAGECOACH__CLUSTER__V1__FAILED__INIT;
	control_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;

	failed.status = err->status;
	failed.text = (char *)err->text;
	message.body_case = STAGECOACH__CLUSTER__V1__CONTROL__BODY_FAILED;
	message.failed = &failed;
	return send_control(worker, &message);
}

/* Ends with err, and tells the coordinator the reason. Nothing is sent after the end, because the
 * coordinator already knows the first cause. */
static void give_up(struct worker *worker, const struct error *err)
{
	if (worker->is_ended)
		return;
	(void)send_failed(worker, err);
	end(worker, err);
}

static void send_heartbeat(struct worker *worker)
{
	Stagecoach__Cluster__V1__StageCounters counters =
		STAGECOACH__CLUSTER__V1__STAGE_COUNTERS__INIT;
	Stagecoach__Cluster__V1__Heartbeat heartbeat = STAGECOACH__CLUSTER__V1__HEARTBEAT__INIT;
	control_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;
	struct compute_counters now = { 0 };

	if (worker->compute)
		compute_counters(worker->compute, &now);
	counters.steps = now.steps;
	counters.rows = now.rows;
	counters.busy_ns = now.busy_ns;
	counters.waiting_ns = now.waiting_ns;
	counters.sending_ns = worker->sending_ns;
	counters.last_step = now.last_step;
	counters.kv_saturated = now.kv_saturated;
	counters.kv_saturated_layer = now.kv_saturated_layer;
	heartbeat.epoch = worker->epoch;
	heartbeat.counters = &counters;
	message.body_case = STAGECOACH__CLUSTER__V1__CONTROL__BODY_HEARTBEAT;
	message.heartbeat = &heartbeat;
	send_control(worker, &message);
}

static void handle_news(void *arg);

static void beat(void *arg)
{
	struct worker *worker = arg;
	uint64_t now_ns = loop_now_ns(worker->config.loop);
	uint64_t late_ms = (now_ns - worker->beat_ns) / NS_PER_MS;
	uint64_t silent_ms;
	struct error err;

	worker->beat_ns = now_ns;
	/* While this process was suspended, the coordinator's messages were not read, so do not
	 * count that time as silence. */
	if (late_ms > worker->heartbeat_ms + worker->deadline_ms / 2)
		worker->heard_ns = now_ns;
	silent_ms = (now_ns - worker->heard_ns) / NS_PER_MS;
	if (silent_ms > worker->deadline_ms) {
		error_set(&err, SC_E_TIMEOUT, "coordinator: silent for %llu ms, expected a message "
			  "within %u ms", (unsigned long long)silent_ms, worker->deadline_ms);
		end(worker, &err);
		return;
	}
	send_heartbeat(worker);
	handle_news(worker);
}

/* --- steps --- */

static void drop_unsent(struct worker *worker, enum sc_status status)
{
	struct frame *frame = worker->unsent;
	struct error err;

	if (status != SC_E_CLOSED) {	/* for SC_E_CLOSED, on_down reports the reason */
		error_set(&err, status, "a frame of %u bytes for rank %u cannot be sent: %s",
			  frame->n_bytes, link_peer(worker->next), sc_status_name(status));
		give_up(worker, &err);
	}
	frame_release(frame);
}

/* Sends finished frames in order, as long as there is credit. */
static void send_output(struct worker *worker)
{
	enum sc_status status;

	while (!worker->is_ended &&
	       (worker->unsent || (worker->unsent = compute_pop(worker->compute)))) {
		status = link_send(worker->next, worker->unsent);
		if (status == SC_AGAIN) {
			if (!worker->unsent_since_ns)
				worker->unsent_since_ns = clock_ns();
			return;
		}
		if (worker->unsent_since_ns) {
			worker->sending_ns += clock_ns() - worker->unsent_since_ns;
			worker->unsent_since_ns = 0;
		}
		if (status != SC_OK)
			drop_unsent(worker, status);
		worker->unsent = NULL;
	}
}

static enum sc_status check_step_link(const struct worker *worker, const struct link *link,
				      struct error *err)
{
	if (!worker->compute)
		return error_set(err, SC_E_PROTOCOL, "step from rank %u: this worker has no stage "
				 "yet, expected Assign first", link_peer(link));
	if (link != worker->previous)
		return error_set(err, SC_E_PROTOCOL, "step from rank %u: expected steps from the "
				 "previous stage only, rank %u", link_peer(link),
				 link_peer(worker->previous));
	return SC_OK;
}

static void take_step(struct worker *worker, struct link *link, struct frame *frame)
{
	struct error err;
	enum sc_status status = check_step_link(worker, link, &err);

	if (status == SC_OK && frame->epoch != worker->epoch) {
		frame_release(frame);	/* of an older plan */
		return;
	}
	if (status == SC_OK) {
		status = compute_push(worker->compute, frame);
		if (status != SC_OK)
			error_set(&err, status, "step from rank %u: more steps are in flight than "
				  "the window of %u", link_peer(link), worker->window);
	}
	if (status != SC_OK) {
		frame_release(frame);
		give_up(worker, &err);
	}
}

static bool tell_state(struct worker *worker, enum compute_state state)
{
	if (state == COMPUTE_READY)
		return send_ready(worker);
	return send_failed(worker, compute_error(worker->compute));
}

static void handle_news(void *arg)
{
	struct worker *worker = arg;
	enum compute_state state;

	if (!worker->compute || worker->is_ended)
		return;
	state = compute_state(worker->compute);
	if (state == COMPUTE_LOADING) {
		send_progress(worker);
		return;
	}
	if (state != worker->told && tell_state(worker, state))
		worker->told = state;	/* if not told now, with the next credit or heartbeat */
	send_output(worker);
	if (state == COMPUTE_FAILED)
		end(worker, compute_error(worker->compute));
}

/* Called on the compute thread. */
static void wake_loop(void *arg)
{
	struct worker *worker = arg;

	wake_send(worker->wake);
}

/* --- control messages in --- */

static const struct link_events neighbour_events;

/* link is what comes from there. */
static enum sc_status connect_neighbour(struct worker *worker, uint32_t rank,
					const struct link_config *link, struct link **link_out,
					struct error *err)
{
	struct fabric *fabric = worker->config.fabric;

	if (rank == COORDINATOR_RANK) {
		*link_out = worker->coordinator;
		return SC_OK;
	}
	if (rank >= fabric->config.n_peers || rank == fabric->config.self)
		return error_set(err, SC_E_PROTOCOL, "assign: neighbour of rank %u, expected "
				 "another rank, below %u", rank, fabric->config.n_peers);
	return fabric_connect(fabric, rank, worker->peers[rank].address,
			      worker->peers[rank].n_bytes, link, &neighbour_events, worker,
			      link_out, err);
}

static struct step_limits limits_of(const struct worker *worker, const assign_message *assign)
{
	const struct hparams *h = &worker->config.model->hparams;

	return (struct step_limits){
		.max_rows = assign->max_rows,
		.max_sequences = assign->max_sequences,
		.max_blocks = assign->n_blocks,
		.block_length = assign->block_length,
		.max_context = assign->max_context,
		.n_vocab = h->n_vocab,
		.dim = h->dim,
	};
}

static bool has_kv_type(const assign_message *assign)
{
	const struct tensor_type_info *info = tensor_type_info(assign->kv_type);

	return info && info->is_supported;
}

/* The coordinator chooses from what all workers have reported, so any other choice means that its
 * version differs. */
#define SAME_VERSION "install the same stagecoach on all machines"

/* Finds the instruction set for the stage; CPU_AUTO if the backend has none. */
static enum sc_status find_isa(const struct worker *worker, const assign_message *assign,
			       enum cpu_isa *isa_out, struct error *err)
{
	enum cpu_isa isa = CPU_AUTO;

	if (*assign->instruction_set &&
	    (!cpu_isa_find(assign->instruction_set, &isa) || isa == CPU_AUTO))
		return error_set(err, SC_E_PROTOCOL, "assign: instruction set \"%.32s\" is not "
				 "known to this version: " SAME_VERSION, assign->instruction_set);
	if (isa == CPU_AUTO && worker->best_isa != CPU_AUTO)
		return error_set(err, SC_E_PROTOCOL, "assign: no instruction set, expected %s or a "
				 "lower one: " SAME_VERSION, cpu_isa_name(worker->best_isa));
	if (isa > worker->best_isa)
		return error_set(err, SC_E_PROTOCOL, "assign: instruction set \"%.32s\", but this "
				 "worker supports up to %s: " SAME_VERSION, assign->instruction_set,
				 worker->best_isa ? cpu_isa_name(worker->best_isa) : "none");
	*isa_out = isa;
	return SC_OK;
}

/* Checks every value of the message before any of them is used, above all before memory is
 * allocated. */
static enum sc_status check_assign(const struct worker *worker, const assign_message *assign,
				   struct error *err)
{
	uint32_t n_layers = worker->config.model->hparams.n_layers;
	struct step_limits limits = limits_of(worker, assign);
	enum sc_status status;

	if (!assign->n_layers || assign->first_layer > n_layers ||
	    assign->n_layers > n_layers - assign->first_layer)
		return error_set(err, SC_E_PROTOCOL, "assign: layers %u+%u of a model with %u",
				 assign->first_layer, assign->n_layers, n_layers);
	if (!has_kv_type(assign))
		return error_set(err, SC_E_PROTOCOL, "assign: keys and values of type %u, which "
				 "this version does not support: " SAME_VERSION, assign->kv_type);
	if (!assign->window || assign->window > MAX_WINDOW)
		return error_set(err, SC_E_PROTOCOL, "assign: window %u, expected 1 to %d",
				 assign->window, MAX_WINDOW);
	if (!assign->heartbeat_ms || assign->deadline_ms < assign->heartbeat_ms)
		return error_set(err, SC_E_PROTOCOL, "assign: heartbeat of %u ms and deadline of "
				 "%u ms, expected at least 1 ms and at least the heartbeat",
				 assign->heartbeat_ms, assign->deadline_ms);
	status = step_limits_check(&limits, err);
	if (status)
		error_prefix(err, "assign");
	return status;
}

static enum sc_status start_compute(struct worker *worker, const assign_message *assign,
				    enum cpu_isa isa, struct error *err)
{
	const struct compute_config config = {
		.stage = {
			.model = worker->config.model,
			.backend = worker->config.backend,
			.device = worker->config.device,
			.n_threads = worker->config.n_threads,
			.place = worker->config.place,
		},
		.spin_us = worker->config.spin_us,
		.on_logits = worker->config.on_logits,
		.logits_arg = worker->config.logits_arg,
		.on_news = wake_loop,
		.arg = worker,
	};
	const struct compute_assignment assignment = {
		.stage = {
			.isa = isa,
			.first_layer = assign->first_layer,
			.n_layers = assign->n_layers,
			.kv_type = (enum tensor_type)assign->kv_type,
			.limits = limits_of(worker, assign),
		},
		.epoch = assign->epoch,
		.window = assign->window,
	};
	enum sc_status status = compute_create(&config, &worker->compute, err);

	return status ? status : compute_assign(worker->compute, &assignment, err);
}

static enum sc_status take_assign(struct worker *worker, const assign_message *assign,
				  struct error *err)
{
	enum sc_status status;
	enum cpu_isa isa = CPU_AUTO;
	struct link_config steps = { .credits = assign->window }, nothing = { 0 };
	struct step_limits limits = limits_of(worker, assign);

	if (worker->compute)
		return error_set(err, SC_E_PROTOCOL, "assign: this worker already has a stage");
	status = check_assign(worker, assign, err);
	if (status == SC_OK)
		status = find_isa(worker, assign, &isa, err);
	if (status != SC_OK)
		return status;
	worker->epoch = assign->epoch;
	worker->window = assign->window;
	worker->heartbeat_ms = assign->heartbeat_ms;
	worker->deadline_ms = assign->deadline_ms;
	worker->beat_ns = loop_now_ns(worker->config.loop);
	log_debug("stage %u of %u: layers %u to %u", assign->stage + 1, assign->n_stages,
		  assign->first_layer, assign->first_layer + assign->n_layers - 1);
	steps.max_payload = step_bytes_max(&limits);
	status = connect_neighbour(worker, assign->previous_rank, &steps, &worker->previous, err);
	if (status == SC_OK && assign->next_rank == assign->previous_rank)
		worker->next = worker->previous;
	else if (status == SC_OK)
		status = connect_neighbour(worker, assign->next_rank, &nothing, &worker->next, err);
	if (status == SC_OK)
		status = start_compute(worker, assign, isa, err);
	if (status == SC_OK)
		timer_start(worker->heartbeat, assign->heartbeat_ms, assign->heartbeat_ms);
	return status;
}

static void take_welcome(struct worker *worker, const Stagecoach__Cluster__V1__Welcome *welcome)
{
	struct worker_sizes sizes;
	struct error err;

	if (worker_sizes_for(&worker->config, worker->best_isa, welcome->limits, &sizes,
			     &err) == SC_OK)
		send_control(worker, &sizes.message);
	else
		give_up(worker, &err);
}

static void take_stop(struct worker *worker, const Stagecoach__Cluster__V1__Stop *stop)
{
	struct error err;

	log_debug("stop: %s", stop->reason);
	error_set(&err, stop->status < SC_N_STATUS ? (enum sc_status)stop->status : SC_E_INTERNAL,
		  "%s", stop->reason);
	if (worker->compute)
		send_heartbeat(worker);	/* sends the final counters */
	worker->is_stopped = true;
	end(worker, &err);
}

static void take_control(struct worker *worker, const struct frame *frame)
{
	control_message *message;
	struct error err;

	if (control_decode(frame, &message, &err) != SC_OK) {
		error_prefix(&err, "coordinator");
		end(worker, &err);
		return;
	}
	switch (message->body_case) {
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_ASSIGN:
		if (take_assign(worker, message->assign, &err) != SC_OK)
			give_up(worker, &err);
		break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_WELCOME:
		take_welcome(worker, message->welcome);
		break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_STOP:
		take_stop(worker, message->stop);
		break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_HEARTBEAT:
		if (message->heartbeat->wants_counters && worker->compute)
			send_heartbeat(worker);
		break;
	default:
		break;	/* for coordinators */
	}
	control_free(message);
}

static void on_frame(void *arg, struct link *link, struct frame *frame)
{
	struct worker *worker = arg;

	if (link == worker->coordinator)
		worker->heard_ns = loop_now_ns(worker->config.loop);
	if (worker->is_ended) {
		frame_release(frame);
	} else if (frame->type == FRAME_STEP) {
		take_step(worker, link, frame);
	} else {
		if (frame->type == FRAME_CONTROL && link == worker->coordinator)
			take_control(worker, frame);
		frame_release(frame);
	}
}

static void on_credit(void *arg, struct link *link)
{
	struct worker *worker = arg;

	if (!worker->is_hello_sent && link == worker->coordinator)
		send_hello(worker);
	if (link == worker->next || link == worker->coordinator)
		handle_news(worker);
}

static void on_coordinator_down(void *arg, struct link *link, enum sc_status status,
				const char *why)
{
	struct error err;

	(void)link;
	error_set(&err, status, "coordinator lost: %s", why);
	end(arg, &err);
}

/* The coordinator has its own link to the lost neighbour and decides what happens. */
static void on_neighbour_down(void *arg, struct link *link, enum sc_status status, const char *why)
{
	const struct worker *worker = arg;

	(void)status;
	if (!worker->is_ended)
		log_debug("link to rank %u down: %s", link_peer(link), why);
}

static const struct link_events coordinator_events = { on_frame, on_credit, on_coordinator_down };
static const struct link_events neighbour_events = { on_frame, on_credit, on_neighbour_down };

/* --- life --- */

static enum sc_status set_up(struct worker *worker, struct error *err)
{
	const struct worker_peer *peer = &worker->peers[COORDINATOR_RANK];
	struct loop *loop = worker->config.loop;

	if (frame_pool_create(N_CONTROL_FRAMES, CONTROL_FRAME_BYTES,
			      &worker->control_pool) != SC_OK ||
	    wake_create(loop, handle_news, worker, &worker->wake) != SC_OK ||
	    timer_create_on(loop, beat, worker, &worker->heartbeat) != SC_OK)
		return error_set(err, SC_E_NOMEM, "out of memory for a worker");
	loop_spin(loop, worker->config.spin_us);
	return fabric_connect(worker->config.fabric, COORDINATOR_RANK, peer->address,
			      peer->n_bytes, &worker->config.link, &coordinator_events, worker,
			      &worker->coordinator, err);
}

enum sc_status worker_create(const struct worker_config *config, const struct worker_peer *peers,
			     struct worker **worker_out, struct error *err)
{
	struct worker *worker = calloc(1, sizeof *worker);
	enum sc_status status;

	if (!worker)
		return error_set(err, SC_E_NOMEM, "out of memory for a worker");
	worker->config = *config;
	worker->peers = peers;
	worker->told = COMPUTE_LOADING;
	worker->heard_ns = loop_now_ns(config->loop);
	status = config->backend->has_isa ? cpu_isa_select(config->isa, &worker->best_isa, err)
					  : SC_OK;
	if (status == SC_OK)
		status = set_up(worker, err);
	if (status != SC_OK) {
		worker_destroy(worker);
		return status;
	}
	send_hello(worker);
	*worker_out = worker;
	return SC_OK;
}

enum sc_status worker_destroy(struct worker *worker)
{
	enum sc_status status;
	struct error err;

	if (!worker)
		return SC_OK;
	worker->is_ended = true;
	status = compute_destroy(worker->compute, HANG_MS, &err);
	if (status != SC_OK)
		log_error("%s", err.text);
	if (worker->unsent)
		frame_release(worker->unsent);
	if (worker->previous != worker->coordinator)
		link_close(worker->previous);
	if (worker->next != worker->coordinator && worker->next != worker->previous)
		link_close(worker->next);
	link_close(worker->coordinator);
	timer_destroy(worker->heartbeat);
	wake_destroy(worker->wake);
	frame_pool_destroy(worker->control_pool);
	free(worker);
	return status;
}

bool worker_is_stopped(const struct worker *worker)
{
	return worker->is_stopped;
}

void worker_abort(struct worker *worker, const struct error *err)
{
	give_up(worker, err);
}
