/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/pipeline/chaos_net_private.h"

#include "transport/fabrics.h"
#include "wire/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

void *net_make(size_t n_bytes)
{
	void *object = calloc(1, n_bytes);

	if (!object)
		abort();
	return object;
}

/* --- wires --- */

void wire_open(struct net *net, struct wire *wire)
{
	list_init(&wire->items);
	wire->n_items = 0;
	list_append(&net->wires, &wire->node);
}

struct item *wire_add(struct wire *wire)
{
	struct item *item = net_make(sizeof *item);

	buf_init(&item->message);
	list_append(&wire->items, &item->node);
	wire->n_items++;
	return item;
}

void wire_add_end(struct wire *wire, enum sc_status status, const char *why)
{
	struct item *item = wire_add(wire);

	item->is_down = true;
	item->status = status;
	snprintf(item->why, sizeof item->why, "%s", why);
}

static struct item *first_item(const struct wire *wire)
{
	return wire->n_items ? list_entry(wire->items.next, struct item, node) : NULL;
}

struct item *wire_take(struct wire *wire)
{
	struct item *item = first_item(wire);

	list_remove(&item->node);
	wire->n_items--;
	return item;
}

void item_free(struct item *item)
{
	if (item->frame)
		frame_release(item->frame);
	buf_deinit(&item->message);
	free(item);
}

void wire_clear(struct wire *wire)
{
	while (wire->n_items)
		item_free(wire_take(wire));
}

void wire_close(struct wire *wire)
{
	wire_clear(wire);
	list_remove(&wire->node);
}

struct list *net_wires(struct net *net)
{
	return &net->wires;
}

bool wire_has_progress(const struct wire *wire)
{
	const struct item *item = first_item(wire);

	return item && item->body == STAGECOACH__CLUSTER__V1__CONTROL__BODY_PROGRESS;
}

/* The kinds of messages by the numbers of their fields. */
static const char *body_name(int body)
{
	const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(
		&stagecoach__cluster__v1__control__descriptor, (unsigned)body);

	return field ? field->name : "?";
}

const char *wire_describe(const struct wire *wire, char text[96])
{
	const struct item *item = first_item(wire);
	const char *what = wire->is_channel ? "channel" : "link";
	char whose[40];

	if (wire->is_channel)
		snprintf(whose, sizeof whose, "%u -> %u", wire->from, wire->to);
	else
		snprintf(whose, sizeof whose, "into peer %u (%d -> %u)", wire->peer,
			 (int)wire->from, wire->to);
	if (!item)
		snprintf(text, 96, "%s %s: nothing", what, whose);
	else if (item->is_down)
		snprintf(text, 96, "%s %s: down", what, whose);
	else if (item->frame)
		snprintf(text, 96, "%s %s: frame %llu of epoch %u", what, whose,
			 (unsigned long long)item->frame->sequence, item->frame->epoch);
	else
		snprintf(text, 96, "%s %s: %s", what, whose, body_name(item->body));
	return text;
}

/* --- links and channels --- */

void net_deliver(struct wire *wire)
{
	if (wire->is_channel)
		channel_deliver(wire);
	else
		link_deliver(wire);
}

void net_cut(struct net *net, struct wire *wire, unsigned told)
{
	if (wire->is_channel)
		channel_cut(wire, told);
	else
		link_cut(net, wire, told);
}

struct wire *net_find_link(struct net *net, unsigned peer)
{
	struct wire *found = NULL;

	list_for_each(node, &net->wires) {
		struct wire *wire = list_entry(node, struct wire, node);

		if (!wire->is_channel && wire->peer == peer && !link_is_cut(wire) &&
		    link_has_frames(wire))
			found = wire;
	}
	return found;
}

struct wire *net_find_channel(struct net *net, unsigned host, bool is_up)
{
	struct wire *found = NULL;

	list_for_each(node, &net->wires) {
		struct wire *wire = list_entry(node, struct wire, node);

		if (wire->is_channel && (is_up ? wire->from : wire->to) == host &&
		    !channel_is_cut(wire))
			found = wire;
	}
	return found;
}

/* --- life --- */

struct net *net_create(struct loop *loop)
{
	struct net *net = net_make(sizeof *net);

	net->loop = loop;
	list_init(&net->wires);
	list_init(&net->fabrics);
	assert_int_equal(loopback_hub_create(&net->hub), SC_OK);
	return net;
}

void net_destroy(struct net *net)
{
	assert_int_equal(net->n_fabrics, 0);
	assert_int_equal(net->n_channels, 0);
	assert_true(list_is_empty(&net->wires));
	loopback_hub_destroy(net->hub);
	free(net);
}

unsigned net_n_open(const struct net *net)
{
	return net->n_fabrics + net->n_channels;
}

unsigned net_n_waiting(const struct net *net)
{
	unsigned n = 0;

	list_for_each(node, &net->wires)
		n += list_entry(node, struct wire, node)->n_items;
	return n;
}
