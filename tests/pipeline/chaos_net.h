/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_PIPELINE_CHAOS_NET_H
#define STAGECOACH_TESTS_PIPELINE_CHAOS_NET_H
/*
 * chaos_net - the network of a cluster in one process, in the hands of a test. Data links are those
 * of a loopback hub, and channels are loopback pairs, with a wire in the middle of each direction:
 * frames and messages wait on the wire until the test delivers them, one at a time. So the test
 * decides the order between wires, what is late, and at which frame or message a link is cut.
 *
 * Within a wire the order is kept, nothing comes twice, and nothing is lost unless the link or
 * channel goes down: links and channels promise that, TCP and UCX keep it, and the loopback link
 * asserts it by the numbers of frames. So there is no fault "duplicate".
 * Hosts are numbered: 0 is the coordinator.
 * Everything aborts the test when it fails. Thread: the loop's.
 */
#include "base/list.h"
#include "transport/channel.h"
#include "transport/link.h"

struct net;

/* A host's place in the network. Borrowed for as long as the host's source is used. */
struct net_port {
	struct net *net;
	unsigned host;
};

/* One direction of a link or channel. */
struct wire {
	struct list node;
	bool is_channel;
	unsigned from, to;	/* hosts. The `from` of a link is NET_UNKNOWN if that host has
				 * closed its fabric before the other one connected */
	unsigned peer;		/* of a link: the number of the receiving end in its epoch */
	struct list items;	/* that wait */
	unsigned n_items;
};
#define NET_UNKNOWN UINT_MAX

/* Which ends learn at once that a link or channel was cut. The others hear nothing any more. */
enum {
	TELL_NOBODY = 0,	/* a silent partition */
	TELL_RECEIVER = 1,	/* of a channel: the coordinator */
	TELL_SENDER = 2,	/* of a channel: the worker */
	TELL_BOTH = 3,
};

struct net *net_create(struct loop *loop);
/* All fabrics and channels must have been closed (asserts). */
void net_destroy(struct net *net);

struct fabric_source net_source(struct net_port *port);
/* ends_out[0] is for the coordinator, ends_out[1] for the worker of the host. */
void net_dial(struct net *net, unsigned host, struct channel *ends_out[2]);

/* The wires, oldest first. */
struct list *net_wires(struct net *net);
/* A short text: what the first item is. */
const char *wire_describe(const struct wire *wire, char text[96]);
/* Delivers the first item. The wire may be gone afterwards. */
void net_deliver(struct wire *wire);
/* Cuts the link or channel of this wire. What waits on it is lost. */
void net_cut(struct net *net, struct wire *wire, unsigned told);
/* The wire into this peer of the newest epoch that has one; or the one that brings messages to
 * `host`, or from it to the coordinator. NULL: there is none. */
struct wire *net_find_link(struct net *net, unsigned peer);
struct wire *net_find_channel(struct net *net, unsigned host, bool is_up);
/* True if the first item is a Progress message. How many come depends on the time that loading
 * takes, so they do not count as events. */
bool wire_has_progress(const struct wire *wire);

/* Fabrics and channels that are open, and items that wait. */
unsigned net_n_open(const struct net *net);
unsigned net_n_waiting(const struct net *net);
/* Step frames that were delivered to this host's open fabric of the newest epoch, and frames that
 * it sent from there. */
struct net_traffic {
	uint64_t n_in, n_out;
	bool can_send;		/* nothing has cut the way out */
};
struct net_traffic net_traffic(const struct net *net, unsigned host);

#endif
