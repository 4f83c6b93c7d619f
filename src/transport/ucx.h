/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TRANSPORT_UCX_H
#define STAGECOACH_TRANSPORT_UCX_H
/*
 * ucx - the kind of remote link (remote.h) that uses UCX. Parts: ucx.c (port, worker, received
 * messages), ucx_link.c (endpoints and sending), ucx_env.c (variables).
 * Each message is one UCX active message: the envelope is its header; a frame, if any, is its data.
 * Each fabric has a UCX worker of its own, because a peer that was killed may leave the worker's
 * queue in shared memory unusable.
 * Thread: the loop's. The UCX worker is opened for one thread at a time (SERIALIZED).
 */
#include "transport/remote.h"

#include <ucp/api/ucp.h>

#define UCX_AM_ID 1

struct ucx_port {
	struct loop *loop;
	struct remote_lot lot;
	ucp_context_h context;	/* NULL until the first fabric is opened */
};

struct ucx_fabric {
	struct remote_fabric base;
	ucp_worker_h worker;
	int fd;
};

struct ucx_link {
	struct remote_link base;
	ucp_ep_h ep;		/* NULL if it could not be opened, and after end */
	void *close_request;
};

/* ucx_link.c: the functions for remote_ops. */
enum sc_status ucx_link_connect(struct remote_link *base, const struct fabric_address *address,
				struct error *err);
void ucx_link_post(struct remote_link *base, struct remote_message *message);
void ucx_link_flush(struct remote_link *base, struct remote_message *message);
void ucx_link_end(struct remote_link *base);
bool ucx_link_is_ended(struct remote_link *base);
/* Takes a received frame. */
ucs_status_t ucx_link_receive(struct remote_link *link, const struct envelope *envelope, void *data,
			      size_t n_bytes, uint64_t attributes);

/* ucx_env.c: sets the variables that UCX reads after main has begun, unless the user has set
 * them. */
void ucx_env_set_defaults(void);

#endif
