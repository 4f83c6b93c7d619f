/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_REQUEST_H
#define STAGECOACH_GATEWAY_REQUEST_H
/*
 * request - processes the message of a call, from its bytes to an answer.
 * A method has up to three functions: check, prepare, finish. prepare does all work that grows with
 * the message. For a short message all are called at once. A long message is unpacked and prepared
 * on a helper thread; meanwhile the call is suspended, and the loop goes on.
 * Thread: the loop's, except prepare.
 */
#include "base/buf.h"
#include "config/limits.h"
#include "event/errand.h"
#include "gateway/generate_request.h"
#include "gateway/proto_message.h"
#include "model/tokenizer.h"

/* Limits of what waits for or runs on helper threads: this many items, and this many bytes or this
 * many of the largest messages, whichever is more. */
#define REQUEST_MAX_ITEMS 1024
#define REQUEST_POOL_BYTES ((size_t)64 << 20)
#define REQUEST_POOL_MESSAGES 8

struct request_ops;

struct request {
	struct errand errand;
	const struct request_ops *ops;
	struct grpc_call *call;			/* not for use in prepare */
	const ProtobufCMessage *message;	/* of type ops->type; borrowed
						 * until finish returns */
	const struct tokenizer *tokenizer;	/* borrowed */
	const struct chat_format *chat_format;	/* borrowed; NULL: none */
	uint32_t max_context;
	bool is_brief;				/* prepare is on the loop's thread: rather than keep
						 * it, it returns SC_AGAIN, and is called again
						 * on a helper thread */
	uint64_t received_ns;
	/* Results of prepare for finish; freed with the request. */
	struct generate_request generate;	/* its job borrows from message and tokens */
	struct token_list tokens;
	struct buf reply;			/* a packed message */
	bool has_met_limit;			/* prepare refused because of met_limit: */
	enum limit met_limit;

	/* Private to request.c: */
	struct buf bytes;			/* the message, not yet unpacked */
	struct proto_request unpacked;
	size_t n_charged;			/* to the gateway's budget */
	struct budget *budget;
	enum sc_status status;
	struct error error;
};

struct request_ops {
	const ProtobufCMessageDescriptor *type;
	/* Called before any work is spent on the message: would finish accept it? NULL: yes. */
	enum sc_status (*check)(struct grpc_call *call, struct error *err);
	/* Called on any thread; may use only the request. NULL: nothing to prepare. */
	enum sc_status (*prepare)(struct request *request, struct error *err);
	/* Answers, or keeps state and answers later. */
	enum sc_status (*finish)(struct request *request, struct error *err);
};

/* Processes a call's message. If a function fails, the call ends with its status. bytes are the
 * call's, as passed to start. */
void request_start(struct grpc_call *call, const struct request_ops *ops, const uint8_t *bytes,
		   size_t n_bytes);

/* In prepare: notes the limit that the request exceeds. Returns status. */
enum sc_status request_meets(struct request *request, enum limit limit, enum sc_status status);

/* Makes the helper threads of a gateway whose largest message has max_message bytes. */
must_check enum sc_status request_pool_create(struct loop *loop, size_t max_message,
					      struct work_pool **pool_out);

#endif
