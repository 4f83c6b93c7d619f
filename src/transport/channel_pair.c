/* SPDX-License-Identifier: Apache-2.0 */
/* The loopback kind of channel: what one end sends is appended to the other end's input. */
#include "transport/channel_private.h"

#include <stdio.h>
#include <stdlib.h>

struct loopback_channel {
	struct channel base;
	struct loopback_channel *other;		/* NULL: closed */
};

static enum sc_status pair_send(struct channel *channel,
				const Stagecoach__Cluster__V1__Control *message)
{
	struct channel *other = &((struct loopback_channel *)channel)->other->base;
	enum sc_status status;

	if (other->input.length > CHANNEL_MAX_QUEUE) {
		channel_fail(channel, SC_E_TIMEOUT, "the peer does not read");
		channel_fail(other, SC_E_CLOSED, "the peer closed the channel");
		return SC_E_TIMEOUT;
	}
	status = control_add(message, &other->input);
	if (status == SC_OK)
		channel_input_came(other);
	return status;
}

static void pair_close(struct channel *channel)
{
	struct loopback_channel *end = (struct loopback_channel *)channel;

	if (end->other) {
		end->other->other = NULL;
		channel_fail(&end->other->base, SC_E_CLOSED, "the peer closed the channel");
	}
	channel_free(channel);
}

static const struct channel_ops pair_ops = {
	.send = pair_send,
	.close = pair_close,
};

static enum sc_status create_end(struct loop *loop, struct loopback_channel **end_out)
{
	struct loopback_channel *end = calloc(1, sizeof *end);
	enum sc_status status;

	if (!end)
		return SC_E_NOMEM;
	status = channel_init(&end->base, loop, &pair_ops);
	if (status != SC_OK) {
		free(end);
		return status;
	}
	snprintf(end->base.peer, sizeof end->base.peer, "this process");
	*end_out = end;
	return SC_OK;
}

enum sc_status channel_pair(struct loop *loop, struct channel *ends_out[2])
{
	struct loopback_channel *ends[2];
	enum sc_status status = create_end(loop, &ends[0]);

	if (status != SC_OK)
		return status;
	status = create_end(loop, &ends[1]);
	if (status != SC_OK) {
		channel_close(&ends[0]->base);
		return status;
	}
	ends[0]->other = ends[1];
	ends[1]->other = ends[0];
	ends_out[0] = &ends[0]->base;
	ends_out[1] = &ends[1]->base;
	return SC_OK;
}
