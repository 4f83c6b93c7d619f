/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_SERVICE_H
#define STAGECOACH_GATEWAY_SERVICE_H
/*
 * service - the methods of stagecoach.v1, grpc.health and grpc.reflection, one file per group, and
 * their common state: the engine behind them. It is the context of every session.
 * Thread: the loop's thread only.
 */
#include "base/error.h"
#include "base/list.h"
#include "gateway/grpc_call.h"

#include <stdbool.h>
#include <stddef.h>

/* The most jobs in one answer of List. */
#define SERVICE_MAX_LIST 1000

struct chat_format;
struct engine;
struct job;
struct loop;
struct work_pool;

struct service {
	struct engine *engine;	/* borrowed */
	const struct chat_format *chat_format;	/* borrowed; NULL: the model cannot chat */
	struct loop *loop;	/* borrowed; NULL if pool is NULL */
	struct work_pool *pool;	/* for long requests, borrowed; NULL:
				 * long requests are handled at once */
	struct list health_watchers;
	bool is_draining;
};

void service_init(struct service *service, struct engine *engine);

/* As engine_find, but a call with a key finds only the jobs of this key. */
must_check enum sc_status service_find_job(struct grpc_call *call, const char *id,
					   struct job **job_out, struct error *err);

/* Call when the phase changed or draining started: tells the watchers of health. */
void service_health_changed(struct service *service);

extern const struct grpc_method service_methods[];
extern const size_t service_n_methods;

/* service_stream.c */
extern const struct grpc_call_ops service_generate;
extern const struct grpc_call_ops service_watch;
/* service_jobs.c */
extern const struct grpc_call_ops service_submit;
extern const struct grpc_call_ops service_list;
extern const struct grpc_call_ops service_cancel;
/* service_get.c */
extern const struct grpc_call_ops service_get;
/* service_tokens.c */
extern const struct grpc_call_ops service_tokenize;
extern const struct grpc_call_ops service_detokenize;
/* service_status.c */
extern const struct grpc_call_ops service_get_model;
extern const struct grpc_call_ops service_get_status;
/* service_workers.c */
extern const struct grpc_call_ops service_list_workers;
/* service_reflection.c */
extern const struct grpc_call_ops service_reflection;
/* health.c */
extern const struct grpc_call_ops service_health_check;
extern const struct grpc_call_ops service_health_watch;

#endif
