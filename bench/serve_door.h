/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BENCH_SERVE_DOOR_H
#define STAGECOACH_BENCH_SERVE_DOOR_H
/*
 * serve_door - a connection of the load client to a server, whatever the protocol.
 * A door is a table of functions and, for each connection, an object that begins with struct door.
 * A connection has places for n_calls requests at once; a request is known by its place.
 * Thread: one; only open may block, and ask when it must connect again.
 */
#include "base/error.h"
#include "cli/client_target.h"

#include <stdbool.h>
#include <stdint.h>

struct door_request {
	const uint32_t *ids;	/* the prompt; borrowed until ask returns */
	uint32_t n_ids;
	uint32_t n_tokens;	/* to generate */
};

/* Called during turn, or during ask and cancel when the connection breaks there. Must not call the
 * door. */
struct door_listener {
	void (*on_tokens)(void *arg, unsigned call, uint32_t n_tokens);
	/* The last event of a request. status SC_OK: the server says that it is complete. */
	void (*on_end)(void *arg, unsigned call, const struct error *err);
	void *arg;
};

struct door {
	const struct door_ops *ops;
	int fd;			/* -1: not connected at the moment */
	bool wants_write;	/* wait for fd to be writable, too */
	unsigned n_opened;	/* grows with each new fd */
};

struct door_ops {
	const char *name;
	unsigned max_calls;	/* requests that one connection can carry at once */
	/* Connects. Borrows target and listener until close. SC_E_UNAVAILABLE: nobody there. */
	enum sc_status (*open)(const struct client_target *target, unsigned n_calls,
			       const struct door_listener *listener, struct door **door_out,
			       struct error *err);
	void (*close)(struct door *door);
	/* Begins a request at a free place. On failure nothing of the request is left. */
	enum sc_status (*ask)(struct door *door, unsigned call, const struct door_request *request,
			      struct error *err);
	/* Ends a request that is no longer wanted; on_end is not called for it. */
	void (*cancel)(struct door *door, unsigned call);
	/* Writes what is waiting and reads once, if can_read. A connection that breaks ends its
	 * requests with on_end. */
	void (*turn)(struct door *door, bool can_read);
};

extern const struct door_ops door_grpc;		/* stagecoach.v1.Stagecoach.Generate */
extern const struct door_ops door_llama;	/* llama-server's POST /completion */
extern const struct door_ops door_openai;	/* OpenAI's POST /v1/completions */

#endif
