/* SPDX-License-Identifier: Apache-2.0 */
/* Who is alive: heartbeats, silence, questions, broken data links; and waiting for workers. */
#include "coordinator/members_private.h"

#include "base/clock.h"

#include <stdio.h>

/* How long the two ends of a broken data link may take to show that they are alive. */
#define SUSPICION_MS 1000
/* Turns of the loop between the end of a deadline and the verdict. A timer may fire before the loop
 * has looked at sockets that hold the awaited message. Two turns look at all of them. */
enum { POLLS_BEFORE_VERDICT = 2 };

/* --- out --- */

static void send_heartbeat(const struct member *member, bool wants_counters)
{
	Stagecoach__Cluster__V1__Heartbeat heartbeat = STAGECOACH__CLUSTER__V1__HEARTBEAT__INIT;
	control_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;

	heartbeat.epoch = member->members->epoch;
	heartbeat.wants_counters = wants_counters;
	heartbeat.question = member->question;
	message.body_case = CONTROL_BODY(HEARTBEAT);
	message.heartbeat = &heartbeat;
	member_send(member, &message);
}

void members_ask(struct members *members)
{
	for (unsigned i = 0; i < members->n_stages; i++)
		if (members->stages[i] && members->stages[i]->state == MEMBER_READY)
			send_heartbeat(members->stages[i], true);
}

void member_ask(struct member *member)
{
	struct members *members = member->members;

	if (!++members->last_question)
		members->last_question = 1;
	member->question = members->last_question;
	send_heartbeat(member, true);
}

/* --- broken data links --- */

/* The member at an end of the link. NULL: the coordinator, or its stage's worker has come again. */
static struct member *end_of(const struct members *members, unsigned peer)
{
	return peer && peer <= members->n_stages ? members->stages[peer - 1] : NULL;
}

static void describe_end(const struct members *members, unsigned peer, char *text, size_t n_bytes)
{
	const struct member *member = end_of(members, peer);

	if (!member)
		snprintf(text, n_bytes, "the coordinator");
	else
		snprintf(text, n_bytes, "stage %u (worker %s)", peer, member->hello.worker_id);
}

void members_suspect_link(struct members *members, unsigned peer_a, unsigned peer_b,
			  const char *why)
{
	struct suspicion *suspicion = &members->suspicion;
	uint64_t patience_ms = SUSPICION_MS;
	char a[96], b[96];

	if (suspicion->is_active || members->is_stopped)
		return;
	if (patience_ms > members->config.deadline_ms)
		patience_ms = members->config.deadline_ms;
	describe_end(members, peer_a, a, sizeof a);
	describe_end(members, peer_b, b, sizeof b);
	suspicion->is_active = true;
	suspicion->fault = (struct link_fault){ .peers = { peer_a, peer_b } };
	snprintf(suspicion->fault.text, sizeof suspicion->fault.text,
		 "the data link between %s and %s broke: %.160s", a, b, why);
	suspicion->until_ns = loop_now_ns(members->config.loop) + patience_ms * NS_PER_MS;
	for (int i = 0; i < 2; i++) {
		struct member *member = end_of(members, suspicion->fault.peers[i]);

		if (member && member_has_stage(member))
			member_ask(member);
	}
	members_judge_suspicion(members);
}

/* Whether this end of the link still has to answer. */
static bool is_awaited(const struct member *member)
{
	return member && member_has_stage(member) && member->question;
}

void members_judge_suspicion(struct members *members)
{
	struct suspicion *suspicion = &members->suspicion;
	struct member *ends[2];
	bool is_over = loop_now_ns(members->config.loop) >= suspicion->until_ns;

	if (!suspicion->is_active)
		return;
	for (int i = 0; i < 2; i++) {
		ends[i] = end_of(members, suspicion->fault.peers[i]);
		/* on_lost was called for this end, and the epoch is over. */
		if (suspicion->fault.peers[i] && (!ends[i] || !member_has_stage(ends[i]))) {
			suspicion->is_active = false;
			return;
		}
	}
	if (is_over && is_awaited(ends[0]) != is_awaited(ends[1])) {
		suspicion->is_active = false;
		members_lose(members, is_awaited(ends[0]) ? ends[0] : ends[1], SC_E_TIMEOUT,
			     "a data link to it broke, and it does not answer");
	} else if (is_over || (!is_awaited(ends[0]) && !is_awaited(ends[1]))) {
		suspicion->is_active = false;
		members->config.on_link_down(members->config.arg, &suspicion->fault);
	}
}

/* --- waiting for workers --- */

unsigned members_n_usable(const struct members *members)
{
	unsigned n = 0;

	for (unsigned i = 0; i < members->n_records; i++)
		n += member_is_usable(members->records[i]);
	return n;
}

void members_check_awaited(struct members *members)
{
	if (!members->n_awaited || members_n_usable(members) < members->n_awaited)
		return;
	members->n_awaited = 0;
	members->config.on_enough(members->config.arg);
}

static void check_await_time(struct members *members, uint64_t now_ns)
{
	unsigned n_awaited = members->n_awaited, n_here = members_n_usable(members);
	uint64_t waited_ms = (now_ns - members->await_since_ns) / NS_PER_MS;
	struct error err;

	if (!n_awaited || !members->await_until_ns || now_ns <= members->await_until_ns)
		return;
	members->n_awaited = 0;
	error_set(&err, SC_E_TIMEOUT, "%u of %u workers are here after %llu ms: check that the "
		  "others run and that the network lets them connect", n_here, n_awaited,
		  (unsigned long long)waited_ms);
	members->config.on_short(members->config.arg, &err);
}

void members_await(struct members *members, unsigned n, uint32_t within_ms)
{
	members->n_awaited = n;
	members->await_since_ns = loop_now_ns(members->config.loop);
	members->await_until_ns = within_ms ? members->await_since_ns + within_ms * NS_PER_MS : 0;
	members_check_awaited(members);
}

/* --- silence --- */

static uint64_t silent_ms(const struct member *member)
{
	return (loop_now_ns(member->members->config.loop) - member->heard_ns) / NS_PER_MS;
}

static bool is_silent(const struct member *member)
{
	return member_is_here(member) &&
	       silent_ms(member) > member->members->config.deadline_ms;
}

/* The deadline of a member has passed, and the loop has polled since. */
static void judge_silence(struct members *members)
{
	char why[64];

	for (unsigned i = 0; i < members->n_records; i++) {
		struct member *member = members->records[i];

		if (!is_silent(member))
			continue;
		snprintf(why, sizeof why, "silent for %llu ms",
			 (unsigned long long)silent_ms(member));
		members_lose(members, member, SC_E_TIMEOUT, why);
	}
}

static void poll_again(void *arg)
{
	struct members *members = arg;

	if (!members->n_polls_left)
		return;
	if (--members->n_polls_left)
		wake_send(members->judge);
	else
		judge_silence(members);
}

static void look_for_silence(struct members *members)
{
	for (unsigned i = 0; i < members->n_records; i++) {
		if (!is_silent(members->records[i]) || members->n_polls_left)
			continue;
		members->n_polls_left = POLLS_BEFORE_VERDICT;
		wake_send(members->judge);
	}
}

static bool is_late(const struct members *members, uint64_t now_ns)
{
	return (now_ns - members->beat_ns) / NS_PER_MS >
	       members->config.heartbeat_ms + members->config.deadline_ms / 2;
}

bool members_were_given_up(const struct members *members)
{
	uint64_t now_ns = loop_now_ns(members->config.loop);

	return is_late(members, now_ns) || now_ns < members->excused_until_ns;
}

/* While this process was suspended, the members' messages were not read, so do not count that time
 * as silence. Members may have taken it for dead, and may hang up now. */
static void forgive(struct members *members, uint64_t now_ns)
{
	const bool was_suspended = is_late(members, now_ns);
	uint64_t late_ns = now_ns - members->beat_ns;

	members->beat_ns = now_ns;
	if (!was_suspended)
		return;
	members->excused_until_ns = now_ns + members->config.deadline_ms * NS_PER_MS;
	if (members->await_until_ns)
		members->await_until_ns += late_ns;
	members->suspicion.until_ns += late_ns;
	for (unsigned i = 0; i < members->n_records; i++)
		members->records[i]->heard_ns = now_ns;
	list_for_each(node, &members->arrivals)
		list_entry(node, struct arrival, node)->since_ns = now_ns;
}

static void beat(void *arg)
{
	struct members *members = arg;
	uint64_t now_ns = loop_now_ns(members->config.loop);

	forgive(members, now_ns);
	for (unsigned i = 0; i < members->n_records; i++)
		if (member_is_here(members->records[i]))
			send_heartbeat(members->records[i], false);
	look_for_silence(members);
	members_judge_suspicion(members);
	members_judge_arrivals(members);
	check_await_time(members, now_ns);
	members_check_awaited(members);	/* a quarantine may have ended */
}

enum sc_status members_watch_init(struct members *members)
{
	const struct members_config *config = &members->config;

	members->beat_ns = loop_now_ns(config->loop);
	if (wake_create(config->loop, poll_again, members, &members->judge) != SC_OK ||
	    timer_create_on(config->loop, beat, members, &members->heartbeat) != SC_OK)
		return SC_E_NOMEM;
	timer_start(members->heartbeat, config->heartbeat_ms, config->heartbeat_ms);
	return SC_OK;
}

void members_watch_deinit(struct members *members)
{
	wake_destroy(members->judge);
	timer_destroy(members->heartbeat);
}
