/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_GRPC_CALL_H
#define STAGECOACH_GATEWAY_GRPC_CALL_H
/*
 * grpc_call - one RPC as a service sees it: one request message in, messages and a status out.
 * The session owns calls; a service keeps its own state in one and frees it in close.
 * Output is pulled: the session asks for more only when the client has taken what was there, so a
 * slow client costs at most GRPC_CALL_ROOM bytes and one message.
 * Thread: the session's alone; nothing blocks.
 */
#include "base/buf.h"
#include "base/error.h"
#include "config/limits.h"
#include "gateway/grpc_status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct grpc_budget;
struct grpc_call;

#define GRPC_CALL_ROOM ((size_t)16 << 10)

struct grpc_call_ops {
	/* The whole request is there, borrowed until start returns. Answers at once, or keeps
	 * state and answers later, or suspends the call. */
	void (*start)(struct grpc_call *call, const uint8_t *request, size_t n_bytes);
	/* Add messages while there is room and there are any, or finish. NULL: never. */
	void (*pull)(struct grpc_call *call);
	/* The call is over, whoever ended it; its state goes. NULL: there is none. Called exactly
	 * once after start, and not at all without it. */
	void (*close)(struct grpc_call *call);
	bool is_vital;	/* served also where the session is restricted */
	bool is_background;	/* an open call of this kind does not keep its connection in use */
};

struct grpc_method {
	const char *path;	/* "/stagecoach.v1.Stagecoach/Generate" */
	const struct grpc_call_ops *ops;
};

/* The session's context; the service's state, NULL at first. */
void *grpc_call_context(const struct grpc_call *call);
void *grpc_call_state(const struct grpc_call *call);
void grpc_call_set_state(struct grpc_call *call, void *state);

/* Identifies the connection that the call came over. */
uint64_t grpc_call_client(const struct grpc_call *call);

/* Inside start: take the request's bytes, which live on in the caller's buffer. */
struct buf grpc_call_take_request(struct grpc_call *call);

/* Inside start: nothing is sent to the client before grpc_call_resume. If the call ends first,
 * on_close is called instead, once. */
void grpc_call_suspend(struct grpc_call *call, void (*on_close)(void *arg), void *arg);
/* Go on as start would: fn answers, or keeps state and answers later. Calls on_close instead where
 * the call has been finished meanwhile. */
void grpc_call_resume(struct grpc_call *call, uint64_t now_ns, void (*fn)(void *arg), void *arg);

/* The memory that all calls of the server share. */
struct grpc_budget *grpc_call_budget(const struct grpc_call *call);

/* Where refusals are counted; NULL: nowhere. */
struct limit_counts *grpc_call_limits(const struct grpc_call *call);

/* The session's time, as it was last told. */
uint64_t grpc_call_now_ns(const struct grpc_call *call);

/* Until the client's deadline, at least 1; 0: it gave none. */
uint64_t grpc_call_ms_left(const struct grpc_call *call);

/* Is there room for another message? */
bool grpc_call_has_room(const struct grpc_call *call);

/* Would a message of n_bytes be taken now? */
bool grpc_call_can_add(const struct grpc_call *call, size_t n_bytes);

/* Append a message of n_bytes, to be written to *space_out before the next call of anything here.
 * SC_E_NOMEM; SC_E_TOO_LARGE over 4 GiB; SC_E_OVERLOADED: over GRPC_CALL_ROOM, and other answers
 * that clients have not taken hold the memory. */
must_check enum sc_status grpc_call_add_message(struct grpc_call *call, size_t n_bytes,
						uint8_t **space_out);

/* The end: status and text go to the client behind the messages. The first finish counts. */
void grpc_call_finish(struct grpc_call *call, enum grpc_status status, const char *text);

/* Finish with a failure of ours. */
void grpc_call_fail(struct grpc_call *call, enum sc_status status, const struct error *err);

/* There may be something to pull now. Never pulls at once, so it may be called from anywhere. */
void grpc_call_wake(struct grpc_call *call);

#endif
