/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_REQUEST_H
#define STAGECOACH_GATEWAY_REQUEST_H
/*
 * request - the message of a call, from its bytes to an answer.
 * A method says what to do in up to three functions: check, prepare, finish. prepare holds all
 * that takes longer for a longer message. For a short message they are called one after the other,
 * at once. For a long one the message is unpacked and prepared on a helper thread; the call is
 * suspended meanwhile, and the loop goes on.
 * Thread: the loop's, except for prepare.
 */
#include "base/buf.h"
#include "config/limits.h"
#include "coordinator/job.h"
#include "event/work.h"
#include "gateway/proto_message.h"
#include "model/tokenizer.h"

/* What waits for the helper threads or runs there: so many items, and so many bytes or so many of
 * the largest messages. */
#define REQUEST_MAX_ITEMS 1024
#define REQUEST_POOL_BYTES ((size_t)64 << 20)
#define REQUEST_POOL_MESSAGES 8

struct request_ops;

struct request {
	struct work work;
	const struct request_ops *ops;
	struct grpc_call *call;			/* NULL: the call is over; not for prepare */
	const ProtobufCMessage *message;	/* of ops->type, borrowed until finish returns */
	const struct tokenizer *tokenizer;	/* borrowed */
	uint32_t max_context;
	uint64_t received_ns;
	/* What prepare may leave to finish; freed with the request. */
	struct job_request job;			/* borrows from message and tokens */
	struct token_list tokens;
	struct buf reply;			/* a packed message */
	bool has_met_limit;			/* prepare refused for this limit, which counts: */
	enum limit met_limit;

	/* Inside request.c: */
	struct buf bytes;			/* the message, not yet unpacked */
	struct proto_request unpacked;
	size_t n_charged;			/* to the gateway's budget */
	struct grpc_budget *budget;
	enum sc_status status;
	struct error error;
};

struct request_ops {
	const ProtobufCMessageDescriptor *type;
	/* Before anything is spent on the message: would finish take it? NULL: yes. */
	enum sc_status (*check)(struct grpc_call *call, struct error *err);
	/* On any thread: uses nothing but the request. NULL: nothing to do. */
	enum sc_status (*prepare)(struct request *request, struct error *err);
	/* Answers, or keeps state and answers later. */
	enum sc_status (*finish)(struct request *request, struct error *err);
};

/* When a function fails, the call ends with its status. bytes are the call's, as start has them. */
void request_start(struct grpc_call *call, const struct request_ops *ops, const uint8_t *bytes,
		   size_t n_bytes);

/* In prepare: note the limit that the request has met. Returns status. */
enum sc_status request_meets(struct request *request, enum limit limit, enum sc_status status);

/* The helper threads for one gateway, whose largest message has max_message bytes. */
must_check enum sc_status request_pool_create(struct loop *loop, size_t max_message,
					      struct work_pool **pool_out);

#endif
