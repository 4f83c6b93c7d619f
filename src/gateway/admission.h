/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_ADMISSION_H
#define STAGECOACH_GATEWAY_ADMISSION_H
/*
 * admission - who may hold a connection when not everybody can.
 * Connections are counted by peer: an IPv4 address, an IPv6 /64, all of loopback, or the Unix
 * socket. A peer may hold max_per_peer connections, all peers together max. Where a newcomer finds
 * no place, the connection that has been idle for longest gives way: one of the same peer when that
 * peer holds its share, else one of the peer that holds most.
 * A few places more are kept for the Unix socket, and for loopback, whose connections may only ask
 * how the server is: an operator and a health check get in whatever the others do.
 * Knows no sockets and no clock. Thread: the loop's thread alone.
 */
#include "base/list.h"
#include "base/status.h"
#include "config/limits.h"

#include <stdint.h>
#include <sys/socket.h>

/* Places beyond max, for the Unix socket and for loopback each. */
#define ADMISSION_RESERVE 4
/* A connection that has been idle for less gives way to nobody: it may be about to call. */
#define ADMISSION_MIN_IDLE_NS UINT64_C(1000000000)

struct peer_key {
	uint8_t bytes[9];	/* a kind, and what is counted as one of that kind */
};

/* NULL: the Unix socket. */
struct peer_key peer_key_of(const struct sockaddr *address);

enum seat {
	SEAT_NONE,		/* refused */
	SEAT_ORDINARY,
	SEAT_RESERVED,		/* of the Unix socket: may do anything */
	SEAT_RESTRICTED,	/* of loopback: may ask for status and health */
};

/* Part of a connection. */
struct guest {
	struct list node;	/* idle, or reserved: longest first */
	struct peer *peer;	/* NULL: has no seat */
	enum seat seat;
	uint64_t since_ns;	/* when it became idle, or took its reserved seat */
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
/* Everybody has left. */
void admission_deinit(struct admission *admission);

struct admission_answer {
	enum seat seat;		/* SEAT_NONE: refuse the newcomer */
	struct guest *victim;	/* to leave first; NULL: nobody has to */
	enum limit limit;	/* that was met, when it is refused or somebody has to leave */
};
struct admission_answer admission_ask(const struct admission *admission, struct peer_key key,
				      uint64_t now_ns);

/* Seat a newcomer. key and seat are those of admission_ask; its victim must have left. guest is the
 * caller's zeroed memory; the guest is idle at first. SC_E_NOMEM. */
must_check enum sc_status admission_enter(struct admission *admission, struct peer_key key,
					  enum seat seat, uint64_t now_ns, struct guest *guest);
/* A guest of the reserve wants an ordinary seat: as admission_ask, but for the reserve. */
struct admission_answer admission_ask_again(const struct admission *admission,
					    const struct guest *guest, uint64_t now_ns);
/* The guest, which has a call, gets the ordinary seat that was answered; the victim has left. */
void admission_promote(struct admission *admission, struct guest *guest);
/* Harmless for a guest without a seat. */
void admission_leave(struct admission *admission, struct guest *guest);

/* The guest has no open call since then; or has one. */
void admission_set_idle(struct guest *guest, uint64_t since_ns);
void admission_set_busy(struct guest *guest);

#endif
