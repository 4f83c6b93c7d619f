/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker says to its coordinator. */
#include "worker/worker_private.h"

#include "base/libm.h"
#include "wire/control.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef Stagecoach__Cluster__V1__ResourceLimit limit_message;

/* Messages of the limits, and the list of pointers that protobuf wants. */
struct limit_list {
	limit_message limits[RESOURCES_MAX_LIMITS];
	limit_message *pointers[RESOURCES_MAX_LIMITS];
};

static void fill_limits(struct limit_list *list, const struct resource_limit *limits, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		stagecoach__cluster__v1__resource_limit__init(&list->limits[i]);
		list->limits[i].id = limits[i].id;
		list->limits[i].amount = limits[i].amount;
		list->pointers[i] = &list->limits[i];
	}
}

static void say_hello_with(const struct worker *worker, Stagecoach__Cluster__V1__Hello *hello)
{
	const struct resources *own = &worker->resources;
	Stagecoach__Cluster__V1__Resources resources = STAGECOACH__CLUSTER__V1__RESOURCES__INIT;
	control_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;
	struct limit_list memory, processors;

	fill_limits(&memory, own->memory, own->n_memory);
	fill_limits(&processors, own->processors, own->n_processors);
	resources.n_memory = own->n_memory;
	resources.memory = memory.pointers;
	resources.n_processors = own->n_processors;
	resources.processors = processors.pointers;
	hello->resources = &resources;
	message.body_case = CONTROL_BODY(HELLO);
	message.hello = hello;
	worker_send(worker, &message);
}

void worker_say_hello(const struct worker *worker)
{
	const struct worker_config *config = &worker->config;
	Stagecoach__Cluster__V1__Hello hello = STAGECOACH__CLUSTER__V1__HELLO__INIT;
	char host[256] = "";

	gethostname(host, sizeof host - 1);
	hello.protocol_version = CONTROL_PROTOCOL_VERSION;
	hello.worker_id = (char *)(uintptr_t)worker->id;
	hello.incarnation = worker->incarnation;
	hello.launch_rank = config->launch_rank;
	hello.pid = (uint32_t)getpid();
	hello.host = host;
	hello.version = (char *)PACKAGE_VERSION;
	hello.model_fingerprint = config->model->fingerprint;
	hello.model_samples = config->model->samples;
	hello.backend = (char *)config->backend->name;
	hello.kernel_version = config->backend->kernel_version;
	hello.libm_fingerprint = libm_fingerprint();
	if (worker->best_isa != CPU_AUTO)
		hello.instruction_set = (char *)cpu_isa_name(worker->best_isa);
	hello.memory_bytes = config->memory_bytes;
	hello.n_threads = config->n_threads;
	hello.fabric = (char *)(uintptr_t)config->fabrics.name;
	if (worker->compute)
		compute_held(worker->compute, &hello.held_first_layer, &hello.held_n_layers);
	say_hello_with(worker, &hello);
}

static void fill_counters(const struct worker *worker,
			  Stagecoach__Cluster__V1__StageCounters *counters)
{
	struct compute_counters now = { 0 };

	compute_counters(worker->compute, &now);
	counters->steps = now.steps;
	counters->rows = now.rows;
	counters->busy_ns = now.busy_ns;
	counters->waiting_ns = now.waiting_ns;
	counters->sending_ns = worker->epoch.sending_ns + now.blocked_ns;
	counters->queued_ns = now.queued_ns;
	counters->received_bytes = now.received_bytes;
	counters->sent_bytes = now.sent_bytes;
	counters->last_step = now.last_step;
	counters->kv_saturated = now.kv_saturated;
	counters->kv_saturated_layer = now.kv_saturated_layer;
}

void worker_say_heartbeat(const struct worker *worker, uint32_t question)
{
	Stagecoach__Cluster__V1__StageCounters counters =
		STAGECOACH__CLUSTER__V1__STAGE_COUNTERS__INIT;
	Stagecoach__Cluster__V1__Heartbeat heartbeat = STAGECOACH__CLUSTER__V1__HEARTBEAT__INIT;
	control_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;

	heartbeat.epoch = worker->epoch.number;
	heartbeat.question = question;
	if (worker->compute)
		compute_held(worker->compute, &heartbeat.held_first_layer,
			     &heartbeat.held_n_layers);
	if (worker->epoch.number) {
		fill_counters(worker, &counters);
		heartbeat.counters = &counters;
	}
	message.body_case = CONTROL_BODY(HEARTBEAT);
	message.heartbeat = &heartbeat;
	worker_send(worker, &message);
}

void worker_say_opened(const struct worker *worker)
{
	Stagecoach__Cluster__V1__Opened opened = STAGECOACH__CLUSTER__V1__OPENED__INIT;
	control_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;
	const void *address;
	size_t n_bytes;

	address = ring_address(worker->epoch.ring, &n_bytes);
	opened.epoch = worker->epoch.number;
	opened.address.data = (uint8_t *)(uintptr_t)address;
	opened.address.len = n_bytes;
	message.body_case = CONTROL_BODY(OPENED);
	message.opened = &opened;
	worker_send(worker, &message);
}

void worker_say_progress(const struct worker *worker)
{
	Stagecoach__Cluster__V1__Progress progress = STAGECOACH__CLUSTER__V1__PROGRESS__INIT;
	control_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;

	progress.epoch = worker->epoch.number;
	compute_progress(worker->compute, &progress.done_bytes, &progress.total_bytes);
	message.body_case = CONTROL_BODY(PROGRESS);
	message.progress = &progress;
	worker_send(worker, &message);
}

/* The hashes of a Ready message. */
struct hash_list {
	size_t n;
	uint32_t tensors[CONTROL_MAX_HASHES];
	uint64_t hashes[CONTROL_MAX_HASHES];
};

/* A model_tensor_fn. */
static void add_hash(void *arg, const struct model *model, const struct tensor *tensor)
{
	struct hash_list *list = arg;
	size_t i = model_tensor_number(model, tensor);
	uint64_t hash = model_hash(model, i);

	if (!hash || list->n == CONTROL_MAX_HASHES)
		return;
	list->tensors[list->n] = (uint32_t)i;
	list->hashes[list->n++] = hash;
}

/* Hashes are left out if there is no memory for them. */
static struct hash_list *make_hashes(const struct worker *worker,
				     Stagecoach__Cluster__V1__Ready *ready)
{
	struct hash_list *list = malloc(sizeof *list);

	if (!list)
		return NULL;
	list->n = 0;
	model_visit_layers(worker->config.model, worker->epoch.first_layer,
			   worker->epoch.n_layers, add_hash, list);
	ready->n_tensors = ready->n_hashes = list->n;
	ready->tensors = list->tensors;
	ready->hashes = list->hashes;
	return list;
}

void worker_say_ready(const struct worker *worker)
{
	struct hash_list *hashes;
	Stagecoach__Cluster__V1__Ready ready = STAGECOACH__CLUSTER__V1__READY__INIT;
	control_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;
	const char *not_finite;

	ready.epoch = worker->epoch.number;
	ready.weight_bytes = compute_weight_bytes(worker->compute);
	ready.kv_bytes = compute_kv_bytes(worker->compute);
	ready.load_ns = compute_load_ns(worker->compute);
	not_finite = compute_not_finite(worker->compute, &ready.n_not_finite);
	if (not_finite)
		ready.not_finite = (char *)(uintptr_t)not_finite;
	hashes = make_hashes(worker, &ready);
	message.body_case = CONTROL_BODY(READY);
	message.ready = &ready;
	worker_send(worker, &message);
	free(hashes);
}

void worker_say_failed(const struct worker *worker, uint32_t epoch, const struct error *err)
{
	Stagecoach__Cluster__V1__Failed failed = STAGECOACH__CLUSTER__V1__FAILED__INIT;
	control_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;

	failed.epoch = epoch;
	failed.status = err->status;
	failed.text = (char *)(uintptr_t)err->text;
	message.body_case = CONTROL_BODY(FAILED);
	message.failed = &failed;
	worker_send(worker, &message);
}

void worker_say_link_down(const struct worker *worker, unsigned peer, const char *why)
{
	Stagecoach__Cluster__V1__LinkDown link_down = STAGECOACH__CLUSTER__V1__LINK_DOWN__INIT;
	control_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;

	link_down.epoch = worker->epoch.number;
	link_down.peer = peer;
	link_down.text = (char *)(uintptr_t)why;
	message.body_case = CONTROL_BODY(LINK_DOWN);
	message.link_down = &link_down;
	worker_send(worker, &message);
}

void worker_say_bye(const struct worker *worker, const char *text)
{
	Stagecoach__Cluster__V1__Bye bye = STAGECOACH__CLUSTER__V1__BYE__INIT;
	control_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;

	bye.text = (char *)(uintptr_t)text;
	message.body_case = CONTROL_BODY(BYE);
	message.bye = &bye;
	worker_send(worker, &message);
}
