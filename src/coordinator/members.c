/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/members_private.h"

#include "base/clock.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Records of workers, those that are gone included. */
#define MAX_RECORDS 1024

/* --- states --- */

#define TO(state) (1u << (state))

/* By state: the states that may follow it. */
static const unsigned transitions[] = {
	[MEMBER_GONE] = TO(MEMBER_GREETED),
	[MEMBER_GREETED] = TO(MEMBER_SPARE) | TO(MEMBER_STOPPED) | TO(MEMBER_GONE),
	[MEMBER_SPARE] = TO(MEMBER_OPENING) | TO(MEMBER_STOPPED) | TO(MEMBER_GONE),
	[MEMBER_OPENING] = TO(MEMBER_LOADING) | TO(MEMBER_SPARE) | TO(MEMBER_STOPPED) |
			   TO(MEMBER_GONE),
	[MEMBER_LOADING] = TO(MEMBER_READY) | TO(MEMBER_SPARE) | TO(MEMBER_STOPPED) |
			   TO(MEMBER_GONE),
	[MEMBER_READY] = TO(MEMBER_SPARE) | TO(MEMBER_STOPPED) | TO(MEMBER_GONE),
	[MEMBER_STOPPED] = TO(MEMBER_GONE),
};

void member_enter(struct member *member, enum member_state state)
{
	assert(transitions[member->state] & TO(state));
	member->state = state;
}

void member_leave_epoch(struct member *member)
{
	member->stage = MEMBER_NO_STAGE;
	free(member->address);
	member->address = NULL;
	member->n_address = 0;
	member->done_bytes = member->total_bytes = 0;
	member->weight_bytes = member->kv_bytes = member->load_ns = 0;
	member->progress_ns = 0;
	member->not_finite[0] = '\0';
	member->n_not_finite = 0;
	member->steps = member->rows = member->last_step = 0;
	member->busy_ns = member->waiting_ns = member->sending_ns = member->queued_ns = 0;
	member->received_bytes = member->sent_bytes = member->bubble_ns = 0;
	member->kv_saturated = 0;
}

/* A channel that takes nothing goes down by itself. */
static void send_over(struct channel *channel, const control_message *message)
{
	if (channel_send(channel, message) != SC_OK)
		return;
}

void member_send(const struct member *member, const control_message *message)
{
	if (member->channel)
		send_over(member->channel, message);
}

void member_describe_backend(struct member *member, const char *instruction_set)
{
	unsigned n_threads = member->allowance.n_processors;
	char threads[32] = "";	/* unknown before the machine is divided */

	if (n_threads)
		snprintf(threads, sizeof threads, ", %u thread%s", n_threads,
			 n_threads == 1 ? "" : "s");
	snprintf(member->backend, sizeof member->backend, "%s%s%s%s",
		 member->hello.kernels.backend, *instruction_set ? " " : "", instruction_set,
		 threads);
}

/* --- losses --- */

static void name_member(const struct member *member, char *text, size_t n_bytes)
{
	const struct hello *hello = &member->hello;

	if (member->stage == MEMBER_NO_STAGE)
		hello_name(hello, text, n_bytes);
	else
		snprintf(text, n_bytes, "stage %u (worker %s, host %s, pid %u)", member->stage + 1,
			 hello->worker_id, hello->host, hello->pid);
}

static void note_loss(struct member *member)
{
	uint64_t now_ns = loop_now_ns(member->members->config.loop);
	uint64_t oldest_ns;

	if (members_were_given_up(member->members))
		return;
	member->loss_ns[member->n_losses++ % MEMBER_FLAPS] = now_ns;
	oldest_ns = member->loss_ns[member->n_losses % MEMBER_FLAPS];
	if (member->n_losses >= MEMBER_FLAPS && now_ns - oldest_ns <= MEMBER_FLAP_MS * NS_PER_MS)
		member->quarantined_until_ns = now_ns + MEMBER_QUARANTINE_MS * NS_PER_MS;
}

bool member_is_quarantined(const struct member *member)
{
	return member->quarantined_until_ns > loop_now_ns(member->members->config.loop);
}

bool member_is_usable(const struct member *member)
{
	return member_is_fit(member) && !member_is_quarantined(member);
}

bool member_is_fit(const struct member *member)
{
	const struct members *members = member->members;
	enum cpu_isa best = member->hello.kernels.best_isa;

	return member->state >= MEMBER_SPARE && member->state <= MEMBER_READY &&
	       (!members->has_isa || best == CPU_AUTO || best >= members->isa);
}

/* The channel ends. Returns whether the member was told to stop before. */
static bool close_channel(struct member *member)
{
	bool was_stopped = member->state == MEMBER_STOPPED;

	channel_close(member->channel);
	member->channel = NULL;
	member->question = 0;
	member->has_orders = false;
	member->since_ns = loop_now_ns(member->members->config.loop);
	member_enter(member, MEMBER_GONE);
	return was_stopped;
}

static void lose(struct member *member, enum sc_status status, const char *why, bool is_counted)
{
	struct members *members = member->members;
	struct error err;
	char name[256];

	if (member->state == MEMBER_GONE)
		return;
	if (close_channel(member)) {
		members_check_gone(members);
		return;
	}
	if (is_counted)
		note_loss(member);
	name_member(member, name, sizeof name);
	error_set(&err, status, "%s: %s", name, why);
	members->config.on_lost(members->config.arg, member, &err);
	members_judge_suspicion(members);
	members_judge_arrivals(members);
}

void members_lose(struct members *members, struct member *member, enum sc_status status,
		  const char *why)
{
	(void)members;
	lose(member, status, why, true);
}

void members_lose_stage(struct member *member, enum sc_status status, const char *why)
{
	struct members *members = member->members;
	struct error err;
	char name[256];

	name_member(member, name, sizeof name);
	error_set(&err, status, "%s: %s", name, why);
	member_enter(member, MEMBER_SPARE);
	member->has_orders = false;
	note_loss(member);
	members->config.on_lost(members->config.arg, member, &err);
	members_judge_suspicion(members);
}

void members_bar(struct member *member, enum sc_status status, const char *why)
{
	member->barred_life = member->hello.incarnation;
	snprintf(member->barred_why, sizeof member->barred_why, "%s", why);
	members_say_refused(member->channel, status, why);
	lose(member, status, why, true);
}

bool member_is_barred(const struct member *member)
{
	return member->barred_life && member->barred_life == member->hello.incarnation;
}

void members_check_gone(struct members *members)
{
	if (!members->is_stopped)
		return;
	for (unsigned i = 0; i < members->n_records; i++)
		if (members->records[i]->state != MEMBER_GONE)
			return;
	members->config.on_gone(members->config.arg);
}

/* --- messages --- */

static enum sc_status status_of(uint32_t number)
{
	return number && number < SC_N_STATUS ? (enum sc_status)number : SC_E_INTERNAL;
}

static void take_failed(struct member *member, const Stagecoach__Cluster__V1__Failed *failed)
{
	if (!failed->epoch)
		lose(member, status_of(failed->status), failed->text, true);
	else if (failed->epoch == member->members->epoch && member_has_stage(member))
		members_lose_stage(member, status_of(failed->status), failed->text);
}

static void take_bye(struct member *member, const Stagecoach__Cluster__V1__Bye *bye)
{
	char why[256];

	snprintf(why, sizeof why, "leaves: %s", bye->text);
	lose(member, SC_E_UNAVAILABLE, why, false);
}

static void on_message(void *arg, struct channel *channel, const control_message *message)
{
	struct member *member = arg;

	(void)channel;
	member->heard_ns = loop_now_ns(member->members->config.loop);
	switch (message->body_case) {
	case CONTROL_BODY(SIZES): member_take_sizes(member, message->sizes); break;
	case CONTROL_BODY(OPENED): member_take_opened(member, message->opened); break;
	case CONTROL_BODY(PROGRESS): member_take_progress(member, message->progress); break;
	case CONTROL_BODY(READY): member_take_ready(member, message->ready); break;
	case CONTROL_BODY(HEARTBEAT): member_take_heartbeat(member, message->heartbeat); break;
	case CONTROL_BODY(LINK_DOWN): member_take_link_down(member, message->link_down); break;
	case CONTROL_BODY(FAILED): take_failed(member, message->failed); break;
	case CONTROL_BODY(BYE): take_bye(member, message->bye); break;
	default: break;		/* for workers */
	}
}

static void on_down(void *arg, struct channel *channel, enum sc_status status, const char *why)
{
	(void)channel;
	lose(arg, status, why, true);
}

static const struct channel_events member_events = { on_message, on_down };

/* --- records --- */

static void member_destroy(struct member *member)
{
	if (!member)
		return;
	channel_close(member->channel);
	free(member->address);
	free(member);
}

static bool is_in_epoch(const struct member *member)
{
	return member->stage != MEMBER_NO_STAGE;
}

static void take_out(struct members *members, const struct member *member)
{
	unsigned i = 0;

	while (members->records[i] != member)
		i++;
	members->n_records--;
	memmove(&members->records[i], &members->records[i + 1],
		(members->n_records - i) * sizeof members->records[0]);
}

static void put_in(struct members *members, struct member *member)
{
	unsigned i = members->n_records++;

	for (; i && hello_compare(&members->records[i - 1]->hello, &member->hello) > 0; i--)
		members->records[i] = members->records[i - 1];
	members->records[i] = member;
}

/* Forgets the worker that has been gone for the longest time. */
static bool make_room(struct members *members)
{
	struct member *oldest = NULL;

	for (unsigned i = 0; i < members->n_records; i++) {
		struct member *member = members->records[i];

		if (member->state == MEMBER_GONE && !is_in_epoch(member) &&
		    (!oldest || member->since_ns < oldest->since_ns))
			oldest = member;
	}
	if (!oldest)
		return false;
	take_out(members, oldest);
	member_destroy(oldest);
	return true;
}

static bool grow(struct members *members)
{
	unsigned capacity = members->capacity ? 2 * members->capacity : 8;
	struct member **records = realloc(members->records, capacity * sizeof records[0]);
	const struct resources **users;

	if (!records)
		return false;
	members->records = records;
	users = realloc(members->users, capacity * sizeof users[0]);
	if (!users)
		return false;
	members->users = users;
	members->capacity = capacity;
	return true;
}

static struct member *add_record(struct members *members)
{
	struct member *member;

	if (members->n_records >= MAX_RECORDS && !make_room(members))
		return NULL;
	if (members->n_records == members->capacity && !grow(members))
		return NULL;
	member = calloc(1, sizeof *member);
	if (!member)
		return NULL;
	member->members = members;
	member->stage = MEMBER_NO_STAGE;
	return member;
}

struct member *members_find(const struct members *members, const char *worker_id)
{
	for (unsigned i = 0; i < members->n_records; i++)
		if (!strcmp(members->records[i]->hello.worker_id, worker_id))
			return members->records[i];
	return NULL;
}

struct member *members_admit(struct members *members, const struct hello *hello,
			     struct channel *channel)
{
	struct member *member = members_find(members, hello->worker_id);

	if (member)
		take_out(members, member);
	else if (!(member = add_record(members)))
		return NULL;
	/* A lost member that comes back has no stage. Its stage is named by its old record until
	 * the next epoch. */
	for (unsigned i = 0; i < members->n_stages; i++)
		if (members->stages[i] == member)
			members->stages[i] = NULL;
	member_leave_epoch(member);
	member->hello = *hello;
	member->held_first_layer = hello->held_first_layer;
	member->held_n_layers = hello->held_n_layers;
	put_in(members, member);
	member->channel = channel;
	member->since_ns = member->heard_ns = loop_now_ns(members->config.loop);
	member->allowance = (struct allowance){ .memory_bytes = hello->memory_bytes,
						.n_processors = hello->n_threads };
	member_describe_backend(member, "");
	member_enter(member, MEMBER_GREETED);
	channel_watch(channel, &member_events, member);
	return member;
}

void members_divide(struct members *members)
{
	const struct resources *own = members->config.resources ? &members->resources : NULL;
	unsigned n = 0;

	for (unsigned i = 0; i < members->n_records; i++)
		if (member_is_here(members->records[i]))
			members->users[n++] = &members->records[i]->hello.resources;
	for (unsigned i = 0; i < members->n_records; i++) {
		struct member *member = members->records[i];
		const struct hello *hello = &member->hello;

		if (!member_is_here(member))
			continue;
		if (hello->resources.n_processors)
			member->allowance = allowance_of(&hello->resources, members->users, n, own,
							 members->config.own_bytes);
		if (hello->memory_bytes)
			member->allowance.memory_bytes = hello->memory_bytes;
		if (hello->n_threads)
			member->allowance.n_processors = hello->n_threads;
	}
}

/* --- stop --- */

void members_say_stop(const struct members *members, struct channel *channel)
{
	Stagecoach__Cluster__V1__Stop stop = STAGECOACH__CLUSTER__V1__STOP__INIT;
	control_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;

	stop.reason = (char *)(uintptr_t)members->stop_reason;
	stop.status = members->stop_status;
	message.body_case = CONTROL_BODY(STOP);
	message.stop = &stop;
	send_over(channel, &message);
}

void members_stop(struct members *members, enum sc_status status, const char *reason)
{
	members->is_stopped = true;
	members->stop_status = status;
	snprintf(members->stop_reason, sizeof members->stop_reason, "%s", reason);
	members->n_awaited = 0;
	members_dismiss_arrivals(members);
	for (unsigned i = 0; i < members->n_records; i++) {
		struct member *member = members->records[i];

		if (!member_is_here(member))
			continue;
		members_say_stop(members, member->channel);
		member_enter(member, MEMBER_STOPPED);
	}
}

/* --- life --- */

enum sc_status members_create(const struct members_config *config, struct members **members_out,
			      struct error *err)
{
	struct members *members = calloc(1, sizeof *members);

	if (!members)
		goto no_memory;
	list_init(&members->arrivals);
	members->config = *config;
	if (config->resources)
		members->resources = *config->resources;
	if (members_watch_init(members) != SC_OK)
		goto no_memory;
	*members_out = members;
	return SC_OK;

no_memory:
	members_destroy(members);
	return error_set(err, SC_E_NOMEM, "out of memory for the roster of workers");
}

void members_destroy(struct members *members)
{
	if (!members)
		return;
	members_close_arrivals(members);
	for (unsigned i = 0; i < members->n_records; i++)
		member_destroy(members->records[i]);
	members_watch_deinit(members);
	free(members->stages);
	free(members->users);
	free(members->records);
	free(members);
}

/* --- views --- */

/* The first member that is here, or NULL. */
static const struct member *first_here(const struct members *members)
{
	for (unsigned i = 0; i < members->n_records; i++)
		if (member_is_here(members->records[i]))
			return members->records[i];
	return NULL;
}

bool members_are_mixed(const struct members *members)
{
	const struct member *first = first_here(members);
	struct error err;

	for (unsigned i = 0; first && i < members->n_records; i++)
		if (member_is_here(members->records[i]) &&
		    kernels_match(&first->hello.kernels, "", &members->records[i]->hello.kernels,
				  &err) != SC_OK)
			return true;
	return false;
}

void members_choose_isa(struct members *members, struct member *const *workers, unsigned n)
{
	if (members->has_isa)
		return;
	members->has_isa = true;
	for (unsigned i = 0; i < n; i++)
		members->isa = kernels_common_isa(members->isa, &workers[i]->hello.kernels);
}

enum cpu_isa members_isa(const struct members *members)
{
	return members->isa;
}

const struct stage_sizes *member_sizes(const struct member *member)
{
	bool has_isa = member->hello.kernels.best_isa != CPU_AUTO;

	return &member->sizes[has_isa ? member->members->isa : CPU_AUTO];
}

unsigned members_count(const struct members *members)
{
	return members->n_records;
}

struct member *members_get(const struct members *members, unsigned i)
{
	assert(i < members->n_records);
	return members->records[i];
}
