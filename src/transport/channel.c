/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/channel_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* Input that is delivered in one turn of the loop. More waits for the next turn, so that a peer
 * that sends much does not keep the loop from others. */
#define TURN_BYTES 65536

/* Delivers complete messages. Returns the size of those. */
static size_t deliver_messages(struct channel *channel)
{
	size_t n_taken = 0;

	while (!channel->is_closed && n_taken < TURN_BYTES) {
		Stagecoach__Cluster__V1__Control *message;
		struct error err;
		size_t n_used;
		enum sc_status status = control_take(channel->input.data + n_taken,
						     channel->input.length - n_taken, &message,
						     &n_used, &err);

		if (status == SC_AGAIN)
			break;
		if (status != SC_OK) {
			/* What follows cannot be understood. The fault takes the place of an
			 * earlier one: it came first in the stream. */
			channel->fault = err;
			return channel->input.length;
		}
		n_taken += n_used;
		channel->events->on_message(channel->arg, channel, message);
		control_free(message);
	}
	return n_taken;
}

static void deliver(struct channel *channel)
{
	size_t n_taken = deliver_messages(channel);

	if (channel->is_closed)
		return;
	buf_consume(&channel->input, n_taken);
	if (n_taken >= TURN_BYTES && channel->input.length) {
		wake_send(channel->wake);
	} else if (channel->fault.status != SC_OK) {
		channel->is_down_told = true;
		channel->events->on_down(channel->arg, channel, channel->fault.status,
					 channel->fault.text);
	}
	if (n_taken && !channel->is_closed && channel->ops->resume)
		channel->ops->resume(channel);
}

static void on_wake(void *arg)
{
	struct channel *channel = arg;

	if (!channel->events || channel->is_down_told)
		return;
	channel->is_delivering = true;
	deliver(channel);
	channel->is_delivering = false;
	if (channel->is_free)
		channel_free(channel);
}

enum sc_status channel_init(struct channel *channel, struct loop *loop,
			    const struct channel_ops *ops)
{
	channel->ops = ops;
	buf_init(&channel->input);
	return wake_create(loop, on_wake, channel, &channel->wake);
}

void channel_free(struct channel *channel)
{
	if (channel->is_delivering) {
		channel->is_free = true;
		return;
	}
	wake_destroy(channel->wake);
	buf_deinit(&channel->input);
	free(channel);
}

void channel_mute(struct channel *channel)
{
	channel->is_closed = true;
	wake_destroy(channel->wake);
	channel->wake = NULL;
}

void channel_input_came(struct channel *channel)
{
	if (!channel->is_closed)
		wake_send(channel->wake);
}

void channel_fail(struct channel *channel, enum sc_status status, const char *why)
{
	assert(status != SC_OK);
	if (channel->is_closed || channel->fault.status != SC_OK)
		return;
	error_set(&channel->fault, status, "%s", why);
	wake_send(channel->wake);
}

void channel_watch(struct channel *channel, const struct channel_events *events, void *arg)
{
	assert(!channel->is_closed);
	channel->events = events;
	channel->arg = arg;
	wake_send(channel->wake);
}

enum sc_status channel_send(struct channel *channel,
			    const Stagecoach__Cluster__V1__Control *message)
{
	assert(!channel->is_closed);
	if (channel->fault.status != SC_OK)
		return SC_E_CLOSED;
	return channel->ops->send(channel, message);
}

void channel_close(struct channel *channel)
{
	if (!channel)
		return;
	assert(!channel->is_closed);
	channel_mute(channel);
	channel->ops->close(channel);
}

const char *channel_peer(const struct channel *channel)
{
	return channel->peer;
}
