/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_HELLO_H
#define STAGECOACH_COORDINATOR_HELLO_H
/*
 * hello - what a worker says of itself when it comes: who it is, what it computes with, and what it
 * may use of its machine.
 * Thread: any.
 */
#include "base/resources.h"
#include "coordinator/kernels.h"

#include "stagecoach/cluster/v1/cluster.pb-c.h"

struct hello {
	char worker_id[64];		/* the same in every life of the worker */
	uint64_t incarnation;		/* another one in every life; never 0 */
	uint32_t launch_rank;		/* orders the workers of a launcher; 0: none */
	uint32_t pid;
	char host[64];
	char version[32];		/* of the program */
	struct kernels kernels;
	uint64_t memory_bytes;		/* that it may use; 0: what its resources allow */
	uint32_t n_threads;		/* likewise */
	struct resources resources;	/* when its process started */
	uint32_t held_first_layer;	/* layers whose weights it has in memory */
	uint32_t held_n_layers;
};

/* What the coordinator expects of every worker. */
struct hello_wish {
	uint64_t model_fingerprint;
	uint64_t model_samples;		/* as model->samples */
	const char *fabric;		/* kind of data links: "ucx" */
};

/* Copies who the worker is, however little else of the message makes sense: worker_id, incarnation,
 * pid, host, version. */
void hello_identify(const Stagecoach__Cluster__V1__Hello *message, struct hello *out);

/* Reads and checks the rest. err says what is wrong from the worker's point of view ("has opened
 * another model file ..."). SC_E_PROTOCOL: another version of the program, or a field that is
 * missing or contradicts another. SC_E_INVALID: another model. SC_E_CONFIG: other data links. */
must_check enum sc_status hello_read(const Stagecoach__Cluster__V1__Hello *message,
				     const struct hello_wish *wish, struct hello *out,
				     struct error *err);

/* "worker node-a.2 (host node-a, pid 4711)" */
void hello_name(const struct hello *hello, char *text, size_t n_bytes);

/* The order of workers in a plan: by launch_rank, then by worker_id, where numbers inside ids count
 * as numbers. Negative: a comes before b. */
int hello_compare(const struct hello *a, const struct hello *b);

#endif
