/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TRANSPORT_STRANGERS_H
#define STAGECOACH_TRANSPORT_STRANGERS_H
/*
 * strangers - who may wait for the end of a handshake: so many in total, and so many of one address.
 * Where there is no place, a stranger gives way to the newcomer, so that silent strangers do not
 * keep a member out: a handshake takes a member a few round trips, and then it is no stranger any
 * more.
 * Thread: one. Nothing here allocates or fails.
 */
#include "base/list.h"

#include <stdint.h>
#include <sys/socket.h>

struct stranger {
	struct list node;	/* of strangers.all */
	uint8_t from[16];	/* the address: IPv6, /64 of it; IPv4, mapped; Unix sockets, zeros */
	bool has_spoken;	/* kept up to date by the owner */
};

struct strangers {
	struct list all;	/* the oldest first */
	unsigned n;
	unsigned max;
	unsigned max_per_address;
};

void strangers_init(struct strangers *strangers, unsigned max, unsigned max_per_address);

/* Puts a newcomer on the list. address: its address; NULL for a Unix socket, whose strangers are
 * all of one address with max places. */
void strangers_add(struct strangers *strangers, struct stranger *stranger,
		   const struct sockaddr *address);
void strangers_remove(struct strangers *strangers, struct stranger *stranger);

/* After strangers_add: who must leave, or NULL. It is never the newcomer. The victim is of the
 * newcomer's address if there are too many of that, else of the address that has the most. Of those
 * it is the oldest that has not spoken, or the oldest. */
struct stranger *strangers_victim(const struct strangers *strangers,
				  const struct stranger *newcomer);

#endif
