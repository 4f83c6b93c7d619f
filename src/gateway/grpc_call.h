/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_GRPC_CALL_H
#define STAGECOACH_GATEWAY_GRPC_CALL_H
/*
 * grpc_call - one RPC as a service sees it: one request message in, then messages and a status out.
 * A method may also take a stream of requests.
 * Ownership: the session owns calls. A service keeps its own state in a call and frees it in close.
 * Flow control: output is pulled. The session asks for more only when the client has taken what
 * there was, so a slow client costs at most GRPC_CALL_ROOM bytes and one message.
 * Thread: the session's only. Nothing blocks.
 */
#include "base/buf.h"
#include "base/error.h"
#include "config/limits.h"
#include "gateway/grpc_status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct budget;
struct grpc_call;

#define GRPC_CALL_ROOM ((size_t)16 << 10)
#define GRPC_STREAM_REQUEST ((size_t)1024)

struct grpc_call_ops {
	/* Called with the whole request, borrowed until start returns. Answers at once, keeps state
	 * and answers later, or suspends the call. */
	void (*start)(struct grpc_call *call, const uint8_t *request, size_t n_bytes);
	/* Of a method that takes a stream of requests, in place of start (NULL): message is called
	 * with each request as it comes, borrowed until it returns; end when the client sends no
	 * more. A request may have at most GRPC_STREAM_REQUEST bytes. */
	void (*message)(struct grpc_call *call, const uint8_t *request, size_t n_bytes);
	void (*end)(struct grpc_call *call);
	/* Adds messages while there is room, or finishes. NULL: not needed. */
	void (*pull)(struct grpc_call *call);
	/* The call is over, whoever ended it: frees the service's state. NULL: there is none.
	 * Called exactly once after start or the first message, and never without it. */
	void (*close)(struct grpc_call *call);
	bool is_vital;	/* also served in a restricted session */
	bool is_background;	/* an open call does not keep its connection in use */
	bool is_public;		/* needs no key (gate.h) */
	bool is_light;		/* the limits of a key do not count it, because it computes
				 * nothing */
};

struct grpc_method {
	const char *path;	/* "/stagecoach.v1.Stagecoach/Generate" */
	const struct grpc_call_ops *ops;
};

/* The session's context, and the service's state (initially NULL). */
void *grpc_call_context(const struct grpc_call *call);
void *grpc_call_state(const struct grpc_call *call);
void grpc_call_set_state(struct grpc_call *call, void *state);

/* Identifies the client: the owner of the call's key, or the connection that it came over. */
uint64_t grpc_call_client(const struct grpc_call *call);
/* May the call see and cancel what that client did? Yes if it is the call's own client, or if the
 * call came without a key: over the Unix socket, or to a server without keys. */
bool grpc_call_may_see(const struct grpc_call *call, uint64_t client);
/* The name of the call's key, for logs; "" without one. */
const char *grpc_call_key_name(const struct grpc_call *call);

/* Inside start: takes the request's bytes. They live on in the caller's buffer. */
struct buf grpc_call_take_request(struct grpc_call *call);

/* Inside start: sends nothing to the client before grpc_call_resume. If the call ends first,
 * on_close is called once, and fn of grpc_call_resume is not. */
void grpc_call_suspend(struct grpc_call *call, void (*on_close)(void *arg), void *arg);
/* Continues a suspended call: fn answers, or keeps state and answers later. If the call has ended
 * in the meantime, on_close is called instead. */
void grpc_call_resume(struct grpc_call *call, uint64_t now_ns, void (*fn)(void *arg), void *arg);

/* The memory that all calls of the server share. */
struct budget *grpc_call_budget(const struct grpc_call *call);

/* Counters of refusals, or NULL. */
struct limit_counts *grpc_call_limits(const struct grpc_call *call);

/* The session's time as of the last call of the session. */
uint64_t grpc_call_now_ns(const struct grpc_call *call);

/* Milliseconds until the client's deadline, at least 1. 0: the client gave none. */
uint64_t grpc_call_ms_left(const struct grpc_call *call);

/* Returns true if there is room for another message. */
bool grpc_call_has_room(const struct grpc_call *call);

/* Returns true if a message of n_bytes would be accepted now. */
bool grpc_call_can_add(const struct grpc_call *call, size_t n_bytes);

/* Appends a message of n_bytes. The caller writes it to *space_out before it calls anything here
 * again. SC_E_NOMEM. SC_E_TOO_LARGE: more than 4 GiB. SC_E_OVERLOADED: more than GRPC_CALL_ROOM
 * while other answers that clients have not taken use up the memory. */
must_check enum sc_status grpc_call_add_message(struct grpc_call *call, size_t n_bytes,
						uint8_t **space_out);

/* Ends the call: status and text are sent after the messages. Only the first finish counts. */
void grpc_call_finish(struct grpc_call *call, enum grpc_status status, const char *text);

/* Ends the call with a failure. */
void grpc_call_fail(struct grpc_call *call, enum sc_status status, const struct error *err);

/* Call when there may be something to pull. It never pulls at once, so it may be called from
 * anywhere. */
void grpc_call_wake(struct grpc_call *call);

#endif
