/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_ADMISSION_H
#define STAGECOACH_GATEWAY_ADMISSION_H
/*
 * admission - decides who may hold a connection when there are not enough for everybody.
 * Connections are counted per peer: an IPv4 address, an IPv6 /64, all of loopback, or the Unix
 * socket. A peer may hold max_per_peer connections, and all peers together max. If there is no
 * place for a newcomer, the longest idle connection is closed: one of the same peer if that peer
 * holds its share, else one of the peer that holds the most.
 * Some places are reserved for the Unix socket, and for loopback, whose reserved connections may
 * only ask for status and health. An operator and a health check therefore always get in.
 * Knows no sockets and no clock. Thread: the loop's thread only.
 */
#include "base/list.h"
#include "base/status.h"
#include "config/limits.h"

#include <stdint.h>
#include <sys/socket.h>

/* Reserved places in addition to max: this many for the Unix socket, and as many for loopback. */
#define ADMISSION_RESERVE 4
/* A connection that has been idle for less time is never closed, because it may be about to
 * call. */
#define ADMISSION_MIN_IDLE_NS UINT64_C(1000000000)

struct peer_key {
	uint8_t bytes[9];	/* a kind, and the part of the address that identifies the peer */
};

/* The key of an address; NULL means the Unix socket. */
struct peer_key peer_key_of(const struct sockaddr *address);

enum seat {
	SEAT_NONE,		/* refused */
	SEAT_ORDINARY,
	SEAT_RESERVED,		/* reserved for the Unix socket: all methods */
	SEAT_RESTRICTED,	/* reserved for loopback: status and health only */
};

/* The admission's part of a connection. */
struct guest {
	struct list node;	/* in a list of idle or reserved guests, the longest first */
	struct peer *peer;	/* NULL: the guest has no seat */
	enum seat seat;
	uint64_t since_ns;	/* when it became idle or took its reserved seat */
	bool is_idle;
};

struct admission {
	unsigned max;
	unsigned max_per_peer;
	unsigned n_ordinary;
	unsigned n_reserved;
	unsigned n_restricted;
	struct list peers;
	struct list reserved;	/* guests */
	struct list restricted;
};

void admission_init(struct admission *admission, unsigned max, unsigned max_per_peer);
/* All guests must have left. */
void admission_deinit(struct admission *admission);

struct admission_answer {
	enum seat seat;		/* SEAT_NONE: refuse the newcomer */
	struct guest *victim;	/* must leave before; NULL: nobody has to */
	enum limit limit;	/* the limit that was reached, if the newcomer
				 * is refused or there is a victim */
};
struct admission_answer admission_ask(const struct admission *admission, struct peer_key key,
				      uint64_t now_ns);

/* Seats a newcomer. key and seat are those of admission_ask, and its victim must have left. guest
 * is zeroed memory of the caller; it starts idle. SC_E_NOMEM. */
must_check enum sc_status admission_enter(struct admission *admission, struct peer_key key,
					  enum seat seat, uint64_t now_ns, struct guest *guest);
/* As admission_ask, for a guest with a reserved seat that wants an ordinary one. */
struct admission_answer admission_ask_again(const struct admission *admission,
					    const struct guest *guest, uint64_t now_ns);
/* Gives the guest, which has a call, the ordinary seat of the answer. The victim must have left. */
void admission_promote(struct admission *admission, struct guest *guest);
/* Removes the guest. Does nothing if it has no seat. */
void admission_leave(struct admission *admission, struct guest *guest);

/* The guest has had no open call since since_ns; or it has one now. */
void admission_set_idle(struct guest *guest, uint64_t since_ns);
void admission_set_busy(struct guest *guest);

#endif
