/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_OPENAI_API_REQUEST_H
#define STAGECOACH_OPENAI_API_REQUEST_H
/*
 * api_request - processes the JSON body of a call, from its bytes to an answer.
 * An endpoint has up to four functions: check, prepare, finish, destroy. prepare does all work that
 * grows with the body. For a short body all are called at once. A long body is parsed and prepared
 * on a helper thread; meanwhile the call is suspended, and the loop goes on. So is a short one of
 * which prepare says SC_AGAIN.
 * Thread: the loop's, except prepare.
 */
#include "event/errand.h"
#include "http/http_call.h"
#include "openai/api_error.h"
#include "openai/json_reader.h"
#include "openai/openai.h"

struct api_request_ops;

struct api_request {
	struct errand errand;
	const struct api_request_ops *ops;
	struct http_call *call;		/* not for use in prepare */
	const struct openai *openai;	/* borrowed; prepare uses what never changes */
	uint32_t max_context;
	bool is_brief;			/* prepare is on the loop's thread: rather than keep it, it
					 * returns SC_AGAIN, and is called again elsewhere */
	struct json_reader reader;	/* of the body; only in prepare */
	struct api_error error;		/* of prepare, and of finish */
	struct buf reply;		/* JSON */
	void *body;			/* of prepare, for finish and destroy */

	/* Private to api_request.c: */
	struct buf bytes;		/* the body, not yet parsed */
	size_t n_charged;
	struct budget *budget;
};

struct api_request_ops {
	/* Called before any work is spent on the body: would finish accept it? NULL: yes. */
	enum sc_status (*check)(struct http_call *call, struct error *err);
	/* Called on any thread. Returns the status that is in request->error. */
	enum sc_status (*prepare)(struct api_request *request);
	/* Answers, or keeps state and answers later. A failure is in request->error. NULL: the
	 * answer is request->reply. */
	enum sc_status (*finish)(struct api_request *request);
	/* Frees request->body. Called on any thread. NULL: nothing to free. */
	void (*destroy)(struct api_request *request);
};

void api_request_start(struct http_call *call, const struct api_request_ops *ops);

/* In prepare: takes the reader's fault, if there is one. */
enum sc_status api_request_check(struct api_request *request);
/* In prepare and finish: fails with a text. */
enum sc_status api_request_fail(struct api_request *request, enum sc_status status,
				const char *param, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Answers with JSON. */
void api_answer(struct http_call *call, const struct buf *json);

#endif
