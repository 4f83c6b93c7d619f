/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_TRANSPORT_CHANNEL_ACTOR_H
#define STAGECOACH_TESTS_TRANSPORT_CHANNEL_ACTOR_H
/*
 * channel_actor - one end of a channel in a test: it sends numbered messages and remembers what
 * came. For cmocka programs; include it after cmocka.h.
 */
#include "transport/channel.h"

#include <stdio.h>
#include <string.h>

typedef Stagecoach__Cluster__V1__Control control_message;

struct channel_actor {
	struct channel *channel;
	unsigned n_messages;
	uint64_t next;		/* the number that the next message must have */
	unsigned n_downs;
	enum sc_status status;	/* of on_down */
	char why[ERROR_TEXT_MAX];
	bool closes_on_message;
	bool closes_on_down;
	struct channel *closes_other;	/* closed by the first message */
	bool answers;		/* sends a message for each that comes */
};

/* The status, so that tests can expect failures. */
static inline enum sc_status channel_actor_send(struct channel_actor *actor, uint64_t number)
{
	Stagecoach__Cluster__V1__Progress progress = STAGECOACH__CLUSTER__V1__PROGRESS__INIT;
	control_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;

	progress.done_bytes = number;
	message.body_case = STAGECOACH__CLUSTER__V1__CONTROL__BODY_PROGRESS;
	message.progress = &progress;
	return channel_send(actor->channel, &message);
}

static inline void channel_actor_close(struct channel_actor *actor)
{
	channel_close(actor->channel);
	actor->channel = NULL;
}

static inline void channel_actor_on_message(void *arg, struct channel *channel,
					    const control_message *message)
{
	struct channel_actor *actor = arg;

	assert_ptr_equal(channel, actor->channel);
	assert_int_equal(actor->n_downs, 0);
	assert_int_equal(message->body_case, STAGECOACH__CLUSTER__V1__CONTROL__BODY_PROGRESS);
	assert_int_equal(message->progress->done_bytes, actor->next);
	actor->next++;
	actor->n_messages++;
	if (actor->answers)
		assert_int_equal(channel_actor_send(actor, actor->next - 1), SC_OK);
	if (actor->closes_other) {
		channel_close(actor->closes_other);
		actor->closes_other = NULL;
	}
	if (actor->closes_on_message)
		channel_actor_close(actor);
}

static inline void channel_actor_on_down(void *arg, struct channel *channel, enum sc_status status,
					 const char *why)
{
	struct channel_actor *actor = arg;

	assert_ptr_equal(channel, actor->channel);
	assert_true(why[0]);
	actor->n_downs++;
	actor->status = status;
	snprintf(actor->why, sizeof actor->why, "%s", why);
	if (actor->closes_on_down)
		channel_actor_close(actor);
}

static const struct channel_events channel_actor_events = {
	.on_message = channel_actor_on_message,
	.on_down = channel_actor_on_down,
};

static inline void channel_actor_watch(struct channel_actor *actor)
{
	channel_watch(actor->channel, &channel_actor_events, actor);
}

#endif
