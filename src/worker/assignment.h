/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_WORKER_ASSIGNMENT_H
#define STAGECOACH_WORKER_ASSIGNMENT_H
/*
 * assignment - what the coordinator asks a worker to be in an epoch, read from an Assign message
 * and checked.
 * Thread: any.
 */
#include "base/cpu.h"
#include "base/error.h"
#include "model/model.h"
#include "transport/link.h"
#include "wire/control.h"
#include "wire/step.h"

struct assignment {
	uint32_t epoch;
	unsigned stage;
	unsigned n_stages;
	uint32_t first_layer;
	uint32_t n_layers;
	enum tensor_type kv_type;
	enum cpu_isa isa;		/* CPU_AUTO: the backend has none */
	struct step_limits limits;
	uint32_t window;		/* steps in flight */
	struct link_config in;		/* what the link from the previous stage receives */
	unsigned n_threads;		/* 0: one per processor */
	unsigned n_sharers;		/* stages that share these processors; 0: unknown */
	unsigned sharer;
};

/* Checks every value before any of them is used, above all before memory is allocated. best_isa:
 * what the worker supports, CPU_AUTO if its backend has no instruction sets. SC_E_PROTOCOL,
 * SC_E_INVALID: err names the value that cannot be. */
must_check enum sc_status assignment_read(const Stagecoach__Cluster__V1__Assign *message,
					  const struct model *model, enum cpu_isa best_isa,
					  struct assignment *out, struct error *err);

/* The instruction set of that name, for a worker that supports best_isa. */
must_check enum sc_status assignment_read_isa(const char *name, enum cpu_isa best_isa,
					      enum cpu_isa *isa_out, struct error *err);

#endif
