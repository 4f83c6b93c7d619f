/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/pipeline/chaos_net_private.h"

#include "wire/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

typedef Stagecoach__Cluster__V1__Control control_message;

struct net_channel {
	struct net *net;
	struct channel *ends[2];	/* the wire's ends: towards the coordinator, the worker */
	struct wire wires[2];		/* [0] brings messages to the coordinator */
	bool is_cut;
};

static void free_channel_if_over(struct net_channel *channel)
{
	if (channel->ends[0] || channel->ends[1])
		return;
	wire_close(&channel->wires[0]);
	wire_close(&channel->wires[1]);
	channel->net->n_channels--;
	free(channel);
}

static unsigned end_of(const struct net_channel *channel, const struct channel *end)
{
	return channel->ends[1] == end;
}

/* What comes from one end goes onto the wire to the other end. */
static void on_message(void *arg, struct channel *end, const control_message *message)
{
	struct net_channel *channel = arg;
	struct item *item;

	if (channel->is_cut)
		return;
	item = wire_add(&channel->wires[!end_of(channel, end)]);
	item->body = (int)message->body_case;
	assert_int_equal(control_add(message, &item->message), SC_OK);
}

static void on_down(void *arg, struct channel *end, enum sc_status status, const char *why)
{
	struct net_channel *channel = arg;
	unsigned i = end_of(channel, end);

	channel_close(end);
	channel->ends[i] = NULL;
	wire_clear(&channel->wires[i]);
	if (!channel->is_cut && channel->ends[!i])
		wire_add_end(&channel->wires[!i], status, why);
	free_channel_if_over(channel);
}

static const struct channel_events channel_events = { on_message, on_down };

void net_dial(struct net *net, unsigned host, struct channel *ends_out[2])
{
	struct net_channel *channel = net_make(sizeof *channel);
	struct channel *pairs[2][2];

	channel->net = net;
	net->n_channels++;
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(channel_pair(net->loop, pairs[i]), SC_OK);
		ends_out[i] = pairs[i][0];
		channel->ends[i] = pairs[i][1];
		channel_watch(channel->ends[i], &channel_events, channel);
		channel->wires[i].is_channel = true;
		channel->wires[i].from = i ? 0 : host;
		channel->wires[i].to = i ? host : 0;
		wire_open(net, &channel->wires[i]);
	}
}

static void close_end(struct net_channel *channel, unsigned i)
{
	wire_clear(&channel->wires[i]);
	channel_close(channel->ends[i]);
	channel->ends[i] = NULL;
}

static struct net_channel *channel_of(const struct wire *wire)
{
	/* wires[0] goes to the coordinator. */
	return list_entry((uintptr_t)(wire - (wire->to ? 1 : 0)), struct net_channel, wires);
}

void channel_deliver(struct wire *wire)
{
	struct net_channel *channel = channel_of(wire);
	const unsigned i = wire->to ? 1 : 0;
	struct item *item = wire_take(wire);
	control_message *message;
	struct error err;
	size_t n_used;

	if (item->is_down) {
		close_end(channel, i);
		item_free(item);
		free_channel_if_over(channel);
		return;
	}
	assert_int_equal(control_take(item->message.data, item->message.length, &message, &n_used,
				      &err), SC_OK);
	/* An end that is down takes nothing; it will say so. */
	if (channel->ends[i] && channel_send(channel->ends[i], message) != SC_OK)
		wire_clear(&channel->wires[i]);
	control_free(message);
	item_free(item);
}

void channel_cut(struct wire *wire, unsigned told)
{
	struct net_channel *channel = channel_of(wire);

	channel->is_cut = true;
	wire_clear(&channel->wires[0]);
	wire_clear(&channel->wires[1]);
	for (unsigned i = 0; i < 2; i++)
		if (told & (i ? TELL_SENDER : TELL_RECEIVER) && channel->ends[i])
			close_end(channel, i);
	free_channel_if_over(channel);
}

bool channel_is_cut(const struct wire *wire)
{
	return channel_of(wire)->is_cut;
}
