/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/members.h"

#include "base/clock.h"
#include "base/log.h"
#include "transport/control_link.h"
#include "wire/step.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONTROL_FRAMES_PER_MEMBER 4

typedef Stagecoach__Cluster__V1__Control control_message;

struct members {
	struct members_config config;
	struct frame_pool *control_pool;
	struct timer *heartbeat;
	uint64_t started_ns;
	uint64_t beat_ns;		/* time of the last check for silent members */
	uint32_t epoch;
	bool is_lost;			/* on_lost was called */
	struct error stop;		/* what members_stop said */
	unsigned n_members;
	struct member *members;		/* [n_members] */
};

static bool are_all(const struct members *members, enum member_state at_least)
{
	for (unsigned i = 0; i < members->n_members; i++)
		if (members->members[i].state < at_least)
			return false;
	return true;
}

/* Only the first loss is reported; later ones follow from it. */
static void lose(struct member *member, enum sc_status status, const char *why)
{
	struct members *members = member->members;
	struct error err;

	if (members->is_lost || member->state >= MEMBER_STOPPED)
		return;
	members->is_lost = true;
	if (!member->pid)
		error_set(&err, status, "stage %u (rank %u): %s", member->rank, member->rank, why);
	else
		error_set(&err, status, "stage %u (rank %u, host %s, pid %u): %s", member->rank,
			  member->rank, member->host, member->pid, why);
	members->config.on_lost(members->config.arg, &err);
}

/* --- out --- */

/* Returns false if nothing was sent. */
static bool send_control(struct member *member, const control_message *message)
{
	const struct members *members = member->members;

	return member->link && link_send_control(member->link, members->control_pool,
						 members->epoch, message);
}

static void describe_backend(struct member *member, const char *instruction_set)
{
	snprintf(member->backend, sizeof member->backend, "%s%s%s, %u thread%s",
		 member->kernels.backend, *instruction_set ? " " : "", instruction_set,
		 member->n_threads, member->n_threads == 1 ? "" : "s");
}

static void send_assign(struct member *member, const struct plan *plan,
			const struct assignment *assignment)
{
	const struct members *members = member->members;
	Stagecoach__Cluster__V1__Assign assign = STAGECOACH__CLUSTER__V1__ASSIGN__INIT;
	control_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;
	unsigned stage = member->rank - 1;

	assign.epoch = assignment->epoch;
	assign.stage = stage;
	assign.n_stages = plan->n_stages;
	assign.first_layer = plan->stages[stage].first_layer;
	assign.n_layers = plan->stages[stage].n_layers;
	assign.max_rows = assignment->limits.max_rows;
	assign.max_sequences = assignment->limits.max_sequences;
	assign.n_blocks = assignment->limits.max_blocks;
	assign.block_length = assignment->limits.block_length;
	assign.kv_type = assignment->kv_type;
	if (member->kernels.best_isa != CPU_AUTO)
		assign.instruction_set = (char *)cpu_isa_name(members_common_isa(members));
	describe_backend(member, assign.instruction_set);
	assign.max_context = assignment->limits.max_context;
	assign.window = assignment->window;
	assign.previous_rank = member->rank - 1;
	assign.next_rank = member->rank == plan->n_stages ? 0 : member->rank + 1;
	assign.heartbeat_ms = members->config.heartbeat_ms;
	assign.deadline_ms = members->config.deadline_ms;
	message.body_case = STAGECOACH__CLUSTER__V1__CONTROL__BODY_ASSIGN;
	message.assign = &assign;
	(void)send_control(member, &message);
}

void members_assign(struct members *members, const struct plan *plan,
		    const struct assignment *assignment)
{
	members->epoch = assignment->epoch;
	for (unsigned i = 0; i < members->n_members; i++) {
		members->members[i].state = MEMBER_LOADING;
		/* The stage's own total replaces this one. Without it the percentage of all stages
		 * would jump when a stage reports its first progress. */
		members->members[i].total_bytes = plan->stages[i].weight_bytes +
						  plan->stages[i].kv_bytes;
		/* The member had nothing to send while it waited for the others. */
		members->members[i].heard_ns = loop_now_ns(members->config.loop);
		send_assign(&members->members[i], plan, assignment);
	}
}

/* A member that has not connected yet is told when it has. */
static void send_stop(struct member *member)
{
	Stagecoach__Cluster__V1__Stop stop = STAGECOACH__CLUSTER__V1__STOP__INIT;
	control_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;

	stop.reason = member->members->stop.text;
	stop.status = member->members->stop.status;
	message.body_case = STAGECOACH__CLUSTER__V1__CONTROL__BODY_STOP;
	message.stop = &stop;
	member->is_stop_sent = send_control(member, &message);
}

void members_stop(struct members *members, enum sc_status status, const char *reason)
{
	error_set(&members->stop, status, "%s", reason);
	for (unsigned i = 0; i < members->n_members; i++) {
		struct member *member = &members->members[i];

		if (member->state >= MEMBER_STOPPED)
			continue;
		send_stop(member);
		member->state = member->link ? MEMBER_STOPPED : MEMBER_GONE;
	}
}

enum sc_status members_send_step(struct members *members, struct frame *frame)
{
	struct member *first = &members->members[0];

	return first->link ? link_send(first->link, frame) : SC_E_CLOSED;
}

static void send_welcome(struct member *member)
{
	const struct members_config *config = &member->members->config;
	Stagecoach__Cluster__V1__StageLimits limits = STAGECOACH__CLUSTER__V1__STAGE_LIMITS__INIT;
	Stagecoach__Cluster__V1__Welcome welcome = STAGECOACH__CLUSTER__V1__WELCOME__INIT;
	control_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;

	limits.max_rows = config->limits.max_rows;
	limits.max_sequences = config->limits.max_sequences;
	limits.block_length = config->limits.block_length;
	limits.kv_type = config->limits.kv_type;
	welcome.limits = &limits;
	welcome.heartbeat_ms = config->heartbeat_ms;
	welcome.deadline_ms = config->deadline_ms;
	message.body_case = STAGECOACH__CLUSTER__V1__CONTROL__BODY_WELCOME;
	message.welcome = &welcome;
	send_control(member, &message);
}

/* --- in --- */

/* The first member that has said Hello, or NULL. */
static const struct member *first_known(const struct members *members)
{
	for (unsigned i = 0; i < members->n_members; i++)
		if (members->members[i].state >= MEMBER_GREETED)
			return &members->members[i];
	return NULL;
}

static enum sc_status compare(const struct member *a, const struct member *b, struct error *err)
{
	char whose[96];

	snprintf(whose, sizeof whose, "stage %u (host %s)", a->rank, a->host);
	return kernels_match(&a->kernels, whose, &b->kernels, err);
}

static enum sc_status take_kernels(struct member *member,
				   const Stagecoach__Cluster__V1__Hello *hello, struct error *err)
{
	const struct member *other = first_known(member->members);
	enum sc_status status = kernels_read(hello->backend, hello->instruction_set,
					     hello->kernel_version, hello->libm_fingerprint,
					     &member->kernels, err);

	if (status == SC_OK && other && !member->members->config.allows_mixed_backends)
		status = compare(other, member, err);
	return status;
}

static void take_hello(struct member *member, const Stagecoach__Cluster__V1__Hello *hello)
{
	struct members *members = member->members;
	struct error err;
	char why[128];

	if (member->state != MEMBER_EXPECTED)
		return;
	snprintf(member->host, sizeof member->host, "%s", hello->host);
	member->pid = hello->pid;
	member->memory_bytes = hello->memory_bytes;
	member->n_threads = hello->n_threads;
	if (hello->protocol_version != CONTROL_PROTOCOL_VERSION) {
		snprintf(why, sizeof why, "speaks protocol %u (version %.32s), expected %u",
			 hello->protocol_version, hello->version, CONTROL_PROTOCOL_VERSION);
		lose(member, SC_E_PROTOCOL, why);
		return;
	}
	if (hello->model_fingerprint != members->config.model_fingerprint) {
		lose(member, SC_E_INVALID, "has opened another model file than the coordinator: "
		     "copy the same file to all machines");
		return;
	}
	if (take_kernels(member, hello, &err) != SC_OK) {
		lose(member, err.status, err.text);
		return;
	}
	describe_backend(member, "");
	member->state = MEMBER_GREETED;
	send_welcome(member);
}

/* The table that the message has for an instruction set. */
static bool find_table(const Stagecoach__Cluster__V1__Sizes *sizes, enum cpu_isa isa,
		       struct stage_sizes *table_out)
{
	const char *name = isa == CPU_AUTO ? "" : cpu_isa_name(isa);

	for (size_t i = 0; i < sizes->n_tables; i++) {
		const Stagecoach__Cluster__V1__StageSizes *table = sizes->tables[i];

		if (strcmp(table->instruction_set, name) != 0)
			continue;
		*table_out = (struct stage_sizes){
			.fixed_bytes = table->fixed_bytes,
			.head_bytes = table->head_bytes,
			.layer_bytes = table->layer_bytes,
			.kv_block_bytes = table->kv_block_bytes,
			.block_bytes = table->block_bytes,
			.context_block_bytes = table->context_block_bytes,
			.thread_bytes = table->thread_bytes,
			.shared_thread_bytes = table->shared_thread_bytes,
			.shared_block_bytes = table->shared_block_bytes,
			.shared_most_bytes = table->shared_most_bytes,
		};
		return true;
	}
	return false;
}

static void take_sizes(struct member *member, const Stagecoach__Cluster__V1__Sizes *sizes)
{
	struct members *members = member->members;
	enum cpu_isa best = member->kernels.best_isa;

	if (member->state != MEMBER_GREETED)
		return;
	for (enum cpu_isa isa = best == CPU_AUTO ? CPU_AUTO : CPU_SCALAR; isa <= best; isa++) {
		if (!find_table(sizes, isa, &member->sizes[isa])) {
			lose(member, SC_E_PROTOCOL, "did not say how much memory a stage takes "
			     "with each of its instruction sets");
			return;
		}
	}
	member->state = MEMBER_KNOWN;
	if (are_all(members, MEMBER_KNOWN))
		members->config.on_known(members->config.arg);
}

static void take_ready(struct member *member, const Stagecoach__Cluster__V1__Ready *ready)
{
	struct members *members = member->members;

	if (member->state != MEMBER_LOADING || ready->epoch != members->epoch)
		return;
	member->state = MEMBER_READY;
	member->weight_bytes = ready->weight_bytes;
	member->kv_bytes = ready->kv_bytes;
	snprintf(member->not_finite, sizeof member->not_finite, "%s", ready->not_finite);
	member->n_not_finite = ready->n_not_finite;
	member->done_bytes = member->total_bytes;
	if (are_all(members, MEMBER_READY))
		members->config.on_ready(members->config.arg);
}

static void take_heartbeat(struct member *member,
			   const Stagecoach__Cluster__V1__Heartbeat *heartbeat)
{
	const Stagecoach__Cluster__V1__StageCounters *counters = heartbeat->counters;

	if (!counters)
		return;
	member->steps = counters->steps;
	member->rows = counters->rows;
	member->busy_ns = counters->busy_ns;
	member->waiting_ns = counters->waiting_ns;
	member->sending_ns = counters->sending_ns;
	member->last_step = counters->last_step;
	member->kv_saturated = counters->kv_saturated;
	if (counters->kv_saturated && !member->has_warned_of_kv) {
		member->has_warned_of_kv = true;
		log_warning("stage %u: keys or values of layer %u are beyond what kv-type holds "
			    "and were cut to its largest number. Use --kv-type bf16 or f32",
			    member->rank, counters->kv_saturated_layer);
	}
	member->members->config.on_counters(member->members->config.arg);
}

static void take_progress(struct member *member, const Stagecoach__Cluster__V1__Progress *progress)
{
	struct members *members = member->members;

	/* A total of 0: it has not begun. */
	if (member->state != MEMBER_LOADING || !progress->total_bytes ||
	    progress->done_bytes > progress->total_bytes)
		return;
	member->done_bytes = progress->done_bytes;
	member->total_bytes = progress->total_bytes;
	members->config.on_progress(members->config.arg);
}

static void take_control(struct member *member, const struct frame *frame)
{
	control_message *message;
	struct error err;

	if (control_decode(frame, &message, &err) != SC_OK) {
		lose(member, err.status, err.text);
		return;
	}
	switch (message->body_case) {
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_HELLO:
		take_hello(member, message->hello);
		break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_SIZES:
		take_sizes(member, message->sizes);
		break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_PROGRESS:
		take_progress(member, message->progress);
		break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_READY:
		take_ready(member, message->ready);
		break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_HEARTBEAT:
		take_heartbeat(member, message->heartbeat);
		break;
	case STAGECOACH__CLUSTER__V1__CONTROL__BODY_FAILED:
		lose(member, message->failed->status < SC_N_STATUS && message->failed->status
				     ? (enum sc_status)message->failed->status
				     : SC_E_INTERNAL,
		     message->failed->text);
		break;
	default:
		break;
	}
	control_free(message);
}

static void take_tokens(struct member *member, const struct frame *frame)
{
	struct members *members = member->members;

	if (frame->type != FRAME_TOKENS || member->rank != members->n_members)
		lose(member, SC_E_PROTOCOL, "sent a frame of tokens; only the last stage may send "
		     "tokens");
	else
		members->config.on_tokens(members->config.arg, frame);
}

static void on_frame(void *arg, struct link *link, struct frame *frame)
{
	struct member *member = arg;
	struct members *members = member->members;

	(void)link;
	member->heard_ns = loop_now_ns(members->config.loop);
	if (frame->type == FRAME_CONTROL)
		take_control(member, frame);
	else if (frame->epoch == members->epoch && !members->is_lost)
		take_tokens(member, frame);
	frame_release(frame);
}

static void on_credit(void *arg, struct link *link)
{
	struct member *member = arg;

	(void)link;
	if (member->state == MEMBER_STOPPED && !member->is_stop_sent)
		send_stop(member);
	if (member->rank == 1)
		member->members->config.on_credit(member->members->config.arg);
}

static void on_down(void *arg, struct link *link, enum sc_status status, const char *why)
{
	struct member *member = arg;
	struct members *members = member->members;
	bool was_stopped = member->state == MEMBER_STOPPED;

	lose(member, status, why);
	link_close(link);
	member->link = NULL;
	member->state = MEMBER_GONE;
	if (was_stopped && are_all(members, MEMBER_GONE))
		members->config.on_gone(members->config.arg);
}

static const struct link_events member_events = { on_frame, on_credit, on_down };

/* --- liveness --- */

static void check(struct member *member, uint64_t now_ns)
{
	const struct members_config *config = &member->members->config;
	uint64_t silent_ms = (now_ns - member->heard_ns) / NS_PER_MS;
	uint64_t started_ms = (now_ns - member->members->started_ns) / NS_PER_MS;
	char why[128];

	if (member->state < MEMBER_KNOWN && started_ms > config->start_ms) {
		snprintf(why, sizeof why, "not heard of after %llu ms: check that it runs and that "
			 "the network lets it connect",
			 (unsigned long long)started_ms);
		lose(member, SC_E_TIMEOUT, why);
	} else if ((member->state == MEMBER_LOADING || member->state == MEMBER_READY) &&
		   silent_ms > config->deadline_ms) {
		snprintf(why, sizeof why, "silent for %llu ms", (unsigned long long)silent_ms);
		lose(member, SC_E_TIMEOUT, why);
	}
}

/* While this process was suspended, the members' messages were not read, so do not count that time
 * as silence. */
static void forgive(struct members *members, uint64_t now_ns)
{
	uint64_t late_ns = now_ns - members->beat_ns;

	members->beat_ns = now_ns;
	if (late_ns / NS_PER_MS <=
	    members->config.heartbeat_ms + members->config.deadline_ms / 2)
		return;
	members->started_ns += late_ns;
	for (unsigned i = 0; i < members->n_members; i++)
		members->members[i].heard_ns = now_ns;
}

static void send_heartbeat(struct member *member, bool wants_counters)
{
	Stagecoach__Cluster__V1__Heartbeat heartbeat = STAGECOACH__CLUSTER__V1__HEARTBEAT__INIT;
	control_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;

	heartbeat.epoch = member->members->epoch;
	heartbeat.wants_counters = wants_counters;
	message.body_case = STAGECOACH__CLUSTER__V1__CONTROL__BODY_HEARTBEAT;
	message.heartbeat = &heartbeat;
	(void)send_control(member, &message);
}

void members_ask(struct members *members)
{
	for (unsigned i = 0; i < members->n_members; i++)
		if (members->members[i].state == MEMBER_READY)
			send_heartbeat(&members->members[i], true);
}

static void beat(void *arg)
{
	struct members *members = arg;
	uint64_t now_ns = loop_now_ns(members->config.loop);

	forgive(members, now_ns);
	for (unsigned i = 0; i < members->n_members; i++) {
		struct member *member = &members->members[i];

		if (member->state == MEMBER_LOADING || member->state == MEMBER_READY)
			send_heartbeat(member, false);
		check(member, now_ns);
	}
}

/* --- life --- */

enum sc_status members_create(const struct members_config *config, struct members **members_out,
			      struct error *err)
{
	struct members *members = calloc(1, sizeof *members);

	if (!members)
		goto no_memory;
	members->config = *config;
	members->started_ns = loop_now_ns(config->loop);
	members->beat_ns = members->started_ns;
	members->members = calloc(config->n_members, sizeof members->members[0]);
	if (!members->members)
		goto no_memory;
	members->n_members = config->n_members;
	for (unsigned i = 0; i < config->n_members; i++) {
		members->members[i].members = members;
		members->members[i].rank = i + 1;
	}
	if (frame_pool_create((size_t)CONTROL_FRAMES_PER_MEMBER * config->n_members,
			      CONTROL_FRAME_BYTES, &members->control_pool) != SC_OK ||
	    timer_create_on(config->loop, beat, members, &members->heartbeat) != SC_OK)
		goto no_memory;
	timer_start(members->heartbeat, config->heartbeat_ms, config->heartbeat_ms);
	*members_out = members;
	return SC_OK;

no_memory:
	members_destroy(members);
	return error_set(err, SC_E_NOMEM, "out of memory for %u workers", config->n_members);
}

void members_destroy(struct members *members)
{
	if (!members)
		return;
	for (unsigned i = 0; i < members->n_members; i++)
		link_close(members->members[i].link);
	timer_destroy(members->heartbeat);
	frame_pool_destroy(members->control_pool);
	free(members->members);
	free(members);
}

enum sc_status members_connect(struct members *members, unsigned rank, const void *address,
			       size_t n_bytes, const struct link_config *link, struct error *err)
{
	struct member *member;

	if (!rank || rank > members->n_members)
		return error_set(err, SC_E_INVALID, "rank %u is no stage, expected 1 to %u", rank,
				 members->n_members);
	member = &members->members[rank - 1];
	member->heard_ns = loop_now_ns(members->config.loop);
	return fabric_connect(members->config.fabric, rank, address, n_bytes, link, &member_events,
			      member, &member->link, err);
}

enum cpu_isa members_common_isa(const struct members *members)
{
	enum cpu_isa common = CPU_AUTO;

	for (unsigned i = 0; i < members->n_members; i++)
		common = kernels_common_isa(common, &members->members[i].kernels);
	return common;
}

bool members_are_mixed(const struct members *members)
{
	struct error err;

	for (unsigned i = 1; i < members->n_members; i++)
		if (compare(&members->members[0], &members->members[i], &err) != SC_OK)
			return true;
	return false;
}

const struct stage_sizes *members_sizes(const struct members *members, unsigned i)
{
	const struct member *member = members_get(members, i);

	return &member->sizes[member->kernels.best_isa == CPU_AUTO ? CPU_AUTO
								   : members_common_isa(members)];
}

unsigned members_count(const struct members *members)
{
	return members->n_members;
}

const struct member *members_get(const struct members *members, unsigned i)
{
	assert(i < members->n_members);
	return &members->members[i];
}
