/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_WORKER_WORKER_PRIVATE_H
#define STAGECOACH_WORKER_WORKER_PRIVATE_H
/*
 * Internals of the worker, shared by worker.c (its channel, heartbeats and end), worker_epoch.c
 * (its stage and data links) and worker_say.c (messages to the coordinator).
 */
#include "transport/ring.h"
#include "worker/assignment.h"
#include "worker/compute.h"
#include "worker/worker.h"

typedef Stagecoach__Cluster__V1__Control control_message;

#define CONTROL_BODY(NAME) STAGECOACH__CLUSTER__V1__CONTROL__BODY_##NAME

/* The stage that the worker holds now. number 0: none. */
struct worker_epoch {
	uint32_t number;
	unsigned stage;
	uint32_t first_layer;
	uint32_t n_layers;
	uint32_t window;		/* steps that may be in flight */
	struct ring *ring;
	bool is_ready_told;
	struct frame *unsent;		/* an output without credit; later outputs wait behind it */
	uint64_t unsent_since_ns;
	uint64_t sending_ns;
};

struct worker {
	struct worker_config config;
	char id[64];
	struct resources resources;	/* if config.resources is set */
	uint64_t incarnation;		/* of this worker */
	enum cpu_isa best_isa;		/* CPU_AUTO: the backend has none */
	struct wake *wake;		/* sent when the compute thread has news */
	struct wake *judge;		/* sent to poll before a silent coordinator is given up */
	struct timer *heartbeat;
	struct channel *channel;	/* NULL: detached */
	bool is_welcome;		/* the coordinator has answered Hello */
	uint64_t coordinator;		/* incarnation of the last coordinator; 0: none */
	uint32_t last_epoch;		/* of that coordinator: earlier ones are over */
	uint32_t heartbeat_ms;
	uint32_t deadline_ms;		/* after this much silence the coordinator counts as dead */
	uint64_t heard_ns;		/* when the coordinator was last heard */
	uint64_t beat_ns;		/* the last check of the coordinator's silence */
	unsigned n_polls_left;		/* turns of the loop until a silent coordinator is judged */
	struct compute *compute;	/* from the first assignment on */
	struct worker_epoch epoch;
	bool is_ended;
	bool is_stopped;		/* the coordinator said Stop */
};

/* --- worker.c --- */

/* Sends to the coordinator, if there is one. */
void worker_send(const struct worker *worker, const control_message *message);

/* --- worker_say.c --- */

void worker_say_hello(const struct worker *worker);
/* question: that of the coordinator, which the heartbeat answers; 0: none. */
void worker_say_heartbeat(const struct worker *worker, uint32_t question);
void worker_say_opened(const struct worker *worker);
void worker_say_progress(const struct worker *worker);
void worker_say_ready(const struct worker *worker);
/* epoch 0: the worker itself cannot go on. */
void worker_say_failed(const struct worker *worker, uint32_t epoch, const struct error *err);
void worker_say_link_down(const struct worker *worker, unsigned peer, const char *why);
void worker_say_bye(const struct worker *worker, const char *text);

/* --- worker_epoch.c --- */

void worker_take_assign(struct worker *worker, const Stagecoach__Cluster__V1__Assign *message);
void worker_take_connect(struct worker *worker, const Stagecoach__Cluster__V1__Connect *message);
void worker_take_release(struct worker *worker, const Stagecoach__Cluster__V1__Release *message);
void worker_take_preload(struct worker *worker, const Stagecoach__Cluster__V1__Preload *message);
/* Called when the compute thread has news, and with each heartbeat. */
void worker_take_news(struct worker *worker);
/* Drops the stage's links, keys and values. The weights stay. */
void worker_end_epoch(struct worker *worker);

#endif
