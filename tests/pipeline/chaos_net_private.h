/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_PIPELINE_CHAOS_NET_PRIVATE_H
#define STAGECOACH_TESTS_PIPELINE_CHAOS_NET_PRIVATE_H
/*
 * Internals of chaos_net, shared by chaos_net.c (wires), chaos_links.c and chaos_channels.c.
 */
#include "base/buf.h"

#include "tests/pipeline/chaos_net.h"

struct net {
	struct loop *loop;
	struct loopback_hub *hub;
	struct list wires;
	struct list fabrics;
	unsigned n_fabrics;
	unsigned n_channels;
};

/* Something that waits on a wire. */
struct item {
	struct list node;
	struct frame *frame;	/* of a link */
	struct buf message;	/* of a channel: packed */
	int body;		/* its kind */
	bool is_down;		/* the end: nothing follows */
	enum sc_status status;
	char why[160];
};

/* Zeroed memory. */
void *net_make(size_t n_bytes);

/* --- wires --- */

void wire_open(struct net *net, struct wire *wire);
void wire_clear(struct wire *wire);
void wire_close(struct wire *wire);
struct item *wire_add(struct wire *wire);
void wire_add_end(struct wire *wire, enum sc_status status, const char *why);
struct item *wire_take(struct wire *wire);
void item_free(struct item *item);

/* --- links: a wire of theirs --- */

void link_deliver(struct wire *wire);
void link_cut(struct net *net, struct wire *wire, unsigned told);
bool link_is_cut(const struct wire *wire);
/* Brings steps or tokens, not only credits. */
bool link_has_frames(const struct wire *wire);

/* --- channels: a wire of theirs --- */

void channel_deliver(struct wire *wire);
void channel_cut(struct wire *wire, unsigned told);
bool channel_is_cut(const struct wire *wire);

#endif
