/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/pipeline/chaos_net_private.h"

#include "transport/fabrics.h"

#include <stdlib.h>
#include <string.h>

struct net_fabric {
	struct fabric base;
	struct list node;	/* newest last */
	struct net_port *port;
	struct fabric *inner;
	struct list links;	/* net_link.node, closed ones that are kept included */
	uint64_t n_in, n_out;
	bool can_send;
};

/* One end of a link. Its wire brings frames to this end. */
struct net_link {
	struct link base;
	struct list node;
	struct wire wire;
	struct link *inner;	/* NULL: closed */
	const void *peer_address;
	size_t n_peer_address;
	bool is_cut;		/* nothing is sent or received, the inner link stays open */
	bool is_closed;		/* the owner is gone, the link is kept because it is cut */
};

static void on_inner_frame(void *arg, struct link *inner, struct frame *frame)
{
	struct net_link *link = arg;

	(void)inner;
	if (link->is_cut || link->is_closed)
		frame_release(frame);
	else
		wire_add(&link->wire)->frame = frame;
}

static void on_inner_credit(void *arg, struct link *inner)
{
	struct net_link *link = arg;

	(void)inner;
	if (!link->is_cut && !link->is_closed && link->base.events->on_credit)
		link->base.events->on_credit(link->base.arg, &link->base);
}

static void on_inner_down(void *arg, struct link *inner, enum sc_status status, const char *why)
{
	struct net_link *link = arg;

	link_close(inner);
	link->inner = NULL;
	if (!link->is_cut && !link->is_closed)
		wire_add_end(&link->wire, status, why);
}

static const struct link_events inner_events = { on_inner_frame, on_inner_credit, on_inner_down };

static struct net_fabric *find_fabric(struct net *net, const void *address, size_t n_bytes)
{
	list_for_each(node, &net->fabrics) {
		struct net_fabric *fabric = list_entry(node, struct net_fabric, node);
		const void *own;
		size_t n_own;

		fabric_address(fabric->inner, &own, &n_own);
		if (n_own == n_bytes && !memcmp(own, address, n_bytes))
			return fabric;
	}
	return NULL;
}

static void net_address(const struct fabric *base, const void **address_out, size_t *n_bytes_out)
{
	fabric_address(((const struct net_fabric *)base)->inner, address_out, n_bytes_out);
}

static enum sc_status net_connect(struct fabric *base, unsigned peer, const void *address,
				  size_t n_bytes, const struct link_config *config,
				  const struct link_events *events, void *arg,
				  struct link **link_out, struct error *err)
{
	struct net_fabric *fabric = (struct net_fabric *)base;
	struct net *net = fabric->port->net;
	struct net_fabric *other = find_fabric(net, address, n_bytes);
	struct net_link *link = net_make(sizeof *link + n_bytes);
	enum sc_status status;

	link->base = (struct link){ base, peer, *config, events, arg };
	memcpy(link + 1, address, n_bytes);
	link->peer_address = link + 1;
	link->n_peer_address = n_bytes;
	link->wire.from = other ? other->port->host : NET_UNKNOWN;
	link->wire.to = fabric->port->host;
	link->wire.peer = base->config.self;
	status = fabric_connect(fabric->inner, peer, address, n_bytes, config, &inner_events, link,
				&link->inner, err);
	if (status != SC_OK) {
		free(link);
		return status;
	}
	wire_open(net, &link->wire);
	list_append(&fabric->links, &link->node);
	*link_out = &link->base;
	return SC_OK;
}

static enum sc_status net_send(struct link *base, struct frame *frame)
{
	struct net_link *link = (struct net_link *)base;
	struct net_fabric *fabric = (struct net_fabric *)base->fabric;
	enum sc_status status = SC_E_CLOSED;

	if (link->inner && !link->is_cut)
		status = link_send(link->inner, frame);
	if (status == SC_OK)
		fabric->n_out++;
	else if (status == SC_E_CLOSED)
		fabric->can_send = false;
	return status;
}

static void free_link(struct net_link *link)
{
	list_remove(&link->node);
	if (!link->is_closed)
		wire_close(&link->wire);
	link_close(link->inner);
	free(link);
}

/* The other end of a link that was cut is not to notice that this end is gone. */
static void net_close_link(struct link *base)
{
	struct net_link *link = (struct net_link *)base;

	if (!link->is_cut) {
		free_link(link);
		return;
	}
	wire_close(&link->wire);
	link->is_closed = true;
}

static void net_close_fabric(struct fabric *base)
{
	struct net_fabric *fabric = (struct net_fabric *)base;

	list_for_each(node, &fabric->links)
		free_link(list_entry(node, struct net_link, node));
	fabric->port->net->n_fabrics--;
	list_remove(&fabric->node);
	fabric_close(fabric->inner);
	fabric_deinit(&fabric->base);
	free(fabric);
}

static const struct fabric_ops net_ops = {
	.name = "loopback",
	.close = net_close_fabric,
	.address = net_address,
	.connect = net_connect,
	.send = net_send,
	.close_link = net_close_link,
};

static enum sc_status open_fabric(void *arg, const struct fabric_config *config,
				  struct fabric **fabric_out, struct error *err)
{
	struct net_port *port = arg;
	struct net_fabric *fabric = net_make(sizeof *fabric);
	enum sc_status status = fabric_loopback_open(port->net->loop, port->net->hub, config,
						     &fabric->inner, err);

	if (status != SC_OK) {
		free(fabric);
		return status;
	}
	if (fabric_init(&fabric->base, &net_ops, config) != SC_OK)
		abort();
	fabric->port = port;
	fabric->can_send = true;
	list_init(&fabric->links);
	list_append(&port->net->fabrics, &fabric->node);
	port->net->n_fabrics++;
	*fabric_out = &fabric->base;
	return SC_OK;
}

struct fabric_source net_source(struct net_port *port)
{
	return (struct fabric_source){
		.open = open_fabric, .arg = port, .name = "loopback", .survives_losses = true,
	};
}

static struct net_link *link_of(const struct wire *wire)
{
	return list_entry((uintptr_t)wire, struct net_link, wire);
}

void link_deliver(struct wire *wire)
{
	struct net_link *link = link_of(wire);
	struct item *item = wire_take(wire);
	struct frame *frame = item->frame;

	if (item->is_down) {
		((struct net_fabric *)link->base.fabric)->can_send = false;
		link->base.events->on_down(link->base.arg, &link->base, item->status, item->why);
	} else {
		((struct net_fabric *)link->base.fabric)->n_in++;
		item->frame = NULL;
		link->base.events->on_frame(link->base.arg, &link->base, frame);
	}
	item_free(item);
}

/* NULL: closed. */
static struct net_link *other_end(struct net *net, const struct net_link *link)
{
	struct net_fabric *fabric = find_fabric(net, link->peer_address, link->n_peer_address);

	if (!fabric)
		return NULL;
	list_for_each(node, &fabric->links) {
		struct net_link *other = list_entry(node, struct net_link, node);

		if (other->base.peer == link->base.fabric->config.self && !other->is_closed)
			return other;
	}
	return NULL;
}

static void cut_end(struct net_link *link, bool is_told)
{
	wire_clear(&link->wire);
	link->is_cut = true;
	if (is_told)
		wire_add_end(&link->wire, SC_E_CLOSED, "the link was cut");
}

void link_cut(struct net *net, struct wire *wire, unsigned told)
{
	struct net_link *link = link_of(wire);
	struct net_link *other = other_end(net, link);

	cut_end(link, told & TELL_RECEIVER);
	if (other)
		cut_end(other, told & TELL_SENDER);
}

bool link_is_cut(const struct wire *wire)
{
	return link_of(wire)->is_cut;
}

/* Steps come from the previous peer, and the coordinator is the next peer of the last one. */
bool link_has_frames(const struct wire *wire)
{
	const struct link *link = &link_of(wire)->base;

	return (link->peer + 1) % link->fabric->config.n_peers == wire->peer;
}

struct net_traffic net_traffic(const struct net *net, unsigned host)
{
	struct net_traffic traffic = { 0 };

	list_for_each(node, &net->fabrics) {
		const struct net_fabric *fabric = list_entry(node, struct net_fabric, node);

		if (fabric->port->host == host)
			traffic = (struct net_traffic){ fabric->n_in, fabric->n_out,
							fabric->can_send };
	}
	return traffic;
}
