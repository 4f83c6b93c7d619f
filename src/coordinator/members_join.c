/* SPDX-License-Identifier: Apache-2.0 */
/* Channels whose worker is not known yet: Hello, its checks, and two lives of one worker. */
#include "coordinator/members_private.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Heartbeats within which a member must answer before another life of it takes its place. */
enum { RIVAL_BEATS = 2 };

static void drop(struct arrival *arrival)
{
	list_remove(&arrival->node);
	channel_close(arrival->channel);
	free(arrival);
}

void members_close_arrivals(struct members *members)
{
	/* members_destroy may come before the list was made. */
	if (!members->arrivals.next)
		return;
	while (!list_is_empty(&members->arrivals))
		drop(list_entry(members->arrivals.next, struct arrival, node));
}

/* The cluster has stopped, so this worker stops as well. */
static void dismiss(struct arrival *arrival)
{
	members_say_stop(arrival->members, arrival->channel);
	drop(arrival);
}

void members_dismiss_arrivals(struct members *members)
{
	while (!list_is_empty(&members->arrivals))
		dismiss(list_entry(members->arrivals.next, struct arrival, node));
}

void members_say_refused(struct channel *channel, enum sc_status status, const char *why)
{
	Stagecoach__Cluster__V1__Refused refused = STAGECOACH__CLUSTER__V1__REFUSED__INIT;
	control_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;

	refused.status = status;
	refused.text = (char *)(uintptr_t)why;
	message.body_case = CONTROL_BODY(REFUSED);
	message.refused = &refused;
	if (channel_send(channel, &message) != SC_OK)
		log_debug("worker at %s: cannot be told that it is refused", channel_peer(channel));
}

/* Tells the worker why, and drops its channel. */
static void refuse(struct arrival *arrival, const struct hello *hello, enum sc_status status,
		   const char *why)
{
	struct members *members = arrival->members;
	struct error err;
	char name[256];

	members_say_refused(arrival->channel, status, why);
	hello_name(hello, name, sizeof name);
	error_set(&err, status, "%s: %s", name, why);
	drop(arrival);
	members->config.on_refused(members->config.arg, &err);
}

static void welcome(const struct member *member)
{
	const struct members_config *config = &member->members->config;
	Stagecoach__Cluster__V1__StageLimits limits = STAGECOACH__CLUSTER__V1__STAGE_LIMITS__INIT;
	Stagecoach__Cluster__V1__Welcome text = STAGECOACH__CLUSTER__V1__WELCOME__INIT;
	control_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;

	limits.max_rows = config->limits.max_rows;
	limits.max_sequences = config->limits.max_sequences;
	limits.block_length = config->limits.block_length;
	limits.kv_type = config->limits.kv_type;
	text.limits = &limits;
	text.incarnation = config->incarnation;
	text.heartbeat_ms = config->heartbeat_ms;
	text.deadline_ms = config->deadline_ms;
	message.body_case = CONTROL_BODY(WELCOME);
	message.welcome = &text;
	member_send(member, &message);
}

/* The worker is not here, or not any more. */
static void admit(struct arrival *arrival, const struct hello *hello)
{
	struct members *members = arrival->members;
	const struct member *member = members_admit(members, hello, arrival->channel);

	if (!member) {
		refuse(arrival, hello, SC_E_OVERLOADED, "the coordinator has no room for another "
		       "worker: there are too many, or memory is short");
		return;
	}
	list_remove(&arrival->node);
	free(arrival);
	welcome(member);
}

static struct cache_sizes read_cache(const Stagecoach__Cluster__V1__CacheSizes *cache)
{
	return (struct cache_sizes){
		.kv_block_bytes = cache->kv_block_bytes,
		.cache_bytes = cache->cache_bytes,
		.cache_thread_bytes = cache->cache_thread_bytes,
		.shared_thread_bytes = cache->shared_thread_bytes,
		.shared_block_bytes = cache->shared_block_bytes,
	};
}

/* The table that the message has for an instruction set, with a cache for each of the model's
 * groups. */
static bool find_table(const struct members *members,
		       const Stagecoach__Cluster__V1__Sizes *sizes, enum cpu_isa isa,
		       struct stage_sizes *table_out)
{
	const char *name = isa == CPU_AUTO ? "" : cpu_isa_name(isa);

	for (size_t i = 0; i < sizes->n_tables; i++) {
		const Stagecoach__Cluster__V1__StageSizes *table = sizes->tables[i];

		if (strcmp(table->instruction_set, name) != 0)
			continue;
		if (table->n_caches != members->config.n_groups)
			return false;
		*table_out = (struct stage_sizes){
			.fixed_bytes = table->fixed_bytes,
			.head_bytes = table->head_bytes,
			.layer_bytes = table->layer_bytes,
			.block_bytes = table->block_bytes,
			.table_block_bytes = table->table_block_bytes,
			.thread_bytes = table->thread_bytes,
			.shared_most_bytes = table->shared_most_bytes,
			.token_block_bytes = table->token_block_bytes,
			.draw_bytes = table->draw_bytes,
			.draw_context_block_bytes = table->draw_context_block_bytes,
			.max_draw_threads = table->max_draw_threads,
		};
		for (size_t g = 0; g < table->n_caches; g++)
			table_out->caches[g] = read_cache(table->caches[g]);
		return true;
	}
	return false;
}

void member_take_sizes(struct member *member, const Stagecoach__Cluster__V1__Sizes *sizes)
{
	struct members *members = member->members;
	enum cpu_isa best = member->hello.kernels.best_isa;

	if (member->state != MEMBER_GREETED)
		return;
	for (enum cpu_isa isa = best == CPU_AUTO ? CPU_AUTO : CPU_SCALAR; isa <= best; isa++) {
		if (!find_table(members, sizes, isa, &member->sizes[isa])) {
			members_lose(members, member, SC_E_PROTOCOL, "did not say how much memory "
				     "a stage takes with each of its instruction sets");
			return;
		}
	}
	member_enter(member, MEMBER_SPARE);
	members->config.on_joined(members->config.arg, member);
	members_check_awaited(members);
}

static void refuse_copy(struct arrival *arrival)
{
	const struct member *rival = arrival->rival;
	char name[256], why[400];

	hello_name(&rival->hello, name, sizeof name);
	snprintf(why, sizeof why, "its id is in use by a living process, %s: give each worker "
		 "another --worker-id", name);
	refuse(arrival, &arrival->hello, SC_E_EXISTS, why);
}

/* The worker is not here: it is admitted. Or another life of it is here: it is asked whether it is
 * alive. */
static void settle(struct arrival *arrival, const struct hello *hello)
{
	struct members *members = arrival->members;
	struct member *member = members_find(members, hello->worker_id);

	if (members->is_stopped) {
		dismiss(arrival);
	} else if (!member || member->state == MEMBER_GONE) {
		admit(arrival, hello);
	} else {
		arrival->hello = *hello;
		arrival->rival = member;
		arrival->since_ns = loop_now_ns(members->config.loop);
		member_ask(member);
	}
}

/* The new channel takes the place of the member's old one. */
static void replace(struct arrival *arrival, const struct hello *hello, struct member *member)
{
	struct members *members = arrival->members;

	arrival->rival = NULL;
	list_remove(&arrival->node);	/* on_lost may close all arrivals */
	members_lose(members, member, SC_E_CLOSED, "its worker has come again over a new channel");
	list_append(&members->arrivals, &arrival->node);
	settle(arrival, hello);
}

static enum sc_status check_kernels(const struct members *members, const struct hello *hello,
				    struct error *err)
{
	char whose[256];

	if (members->has_isa && hello->kernels.best_isa != CPU_AUTO &&
	    hello->kernels.best_isa < members->isa)
		return error_set(err, SC_E_CONFIG, "has the instruction set %s at most, but the "
				 "cluster computes with %s since its start: tokens would change. "
				 "To use this worker, start the coordinator again",
				 cpu_isa_name(hello->kernels.best_isa),
				 cpu_isa_name(members->isa));
	for (unsigned i = 0; i < members->n_records; i++) {
		const struct member *other = members->records[i];

		if (!member_is_here(other) || members->config.allows_mixed_backends)
			continue;
		hello_name(&other->hello, whose, sizeof whose);
		return kernels_match(&other->hello.kernels, whose, &hello->kernels, err);
	}
	return SC_OK;
}

/* A life of a worker that was sent away for good. */
static enum sc_status check_barred(const struct members *members, const struct hello *hello,
				   struct error *err)
{
	const struct member *member = members_find(members, hello->worker_id);

	if (!member || !member->barred_life || member->barred_life != hello->incarnation)
		return SC_OK;
	return error_set(err, SC_E_INVALID, "%s", member->barred_why);
}

static void take_hello(struct arrival *arrival, const Stagecoach__Cluster__V1__Hello *message)
{
	struct members *members = arrival->members;
	struct hello hello = { .pid = 0 };
	struct member *member;
	struct error err;
	enum sc_status status = hello_read(message, &members->config.wish, &hello, &err);

	if (status == SC_OK)
		status = check_kernels(members, &hello, &err);
	if (status == SC_OK)
		status = check_barred(members, &hello, &err);
	if (status != SC_OK) {
		hello_identify(message, &hello);
		refuse(arrival, &hello, status, err.text);
		return;
	}
	member = members_find(members, hello.worker_id);
	if (member && member_is_here(member) && member->hello.incarnation == hello.incarnation)
		replace(arrival, &hello, member);
	else
		settle(arrival, &hello);
}

static void on_message(void *arg, struct channel *channel, const control_message *message)
{
	struct arrival *arrival = arg;

	(void)channel;
	if (arrival->rival)
		return;		/* it is asked to wait, and may say nothing yet */
	if (message->body_case == CONTROL_BODY(HELLO)) {
		take_hello(arrival, message->hello);
		return;
	}
	log_warning("worker at %s: its first message is of kind %d, expected Hello",
		    channel_peer(arrival->channel), message->body_case);
	drop(arrival);
}

static void on_down(void *arg, struct channel *channel, enum sc_status status, const char *why)
{
	(void)status;
	log_debug("worker at %s: gone before it was admitted: %s", channel_peer(channel), why);
	drop(arg);
}

static const struct channel_events arrival_events = { on_message, on_down };

void members_accept(struct members *members, struct channel *channel)
{
	struct arrival *arrival = calloc(1, sizeof *arrival);

	if (!arrival) {
		log_warning("worker at %s: no memory to take its channel", channel_peer(channel));
		channel_close(channel);
		return;
	}
	arrival->members = members;
	arrival->channel = channel;
	arrival->since_ns = loop_now_ns(members->config.loop);
	list_append(&members->arrivals, &arrival->node);
	channel_watch(channel, &arrival_events, arrival);
}

/* Returns true if the arrival is gone from the list. */
static bool judge(struct arrival *arrival)
{
	const struct members_config *config = &arrival->members->config;
	uint64_t waited_ms = (loop_now_ns(config->loop) - arrival->since_ns) / NS_PER_MS;
	struct member *rival = arrival->rival;
	struct hello hello;

	if (!rival) {
		if (waited_ms <= config->deadline_ms)
			return false;
		log_warning("worker at %s: no Hello within %u ms", channel_peer(arrival->channel),
			    config->deadline_ms);
		drop(arrival);
		return true;
	}
	hello = arrival->hello;
	if (rival->state == MEMBER_GONE)
		admit(arrival, &hello);
	else if (!rival->question)
		refuse_copy(arrival);
	else if (waited_ms > (uint64_t)RIVAL_BEATS * config->heartbeat_ms)
		replace(arrival, &hello, rival);
	else
		return false;
	return true;
}

void members_judge_arrivals(struct members *members)
{
	struct list *node = members->arrivals.next;

	/* Callbacks may change the list: start again after each change. */
	while (node != &members->arrivals) {
		struct arrival *arrival = list_entry(node, struct arrival, node);

		node = judge(arrival) ? members->arrivals.next : node->next;
	}
}
