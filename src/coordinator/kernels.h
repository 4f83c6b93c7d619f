/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_KERNELS_H
#define STAGECOACH_COORDINATOR_KERNELS_H
/*
 * kernels - what each worker's results depend on, whether workers may stand beside each other in a
 * plan, and which instruction set all of them use.
 * Results differ in their last bits between backends, versions of a backend's kernels, instruction
 * sets, and C libraries (base/libm.h). Tokens must not depend on which stage runs where, so all
 * stages compute with the same.
 * Thread: any.
 */
#include "base/cpu.h"
#include "base/error.h"

/* What a worker says of itself in its Hello. */
struct kernels {
	char backend[32];	/* "cpu" */
	uint32_t version;	/* of that backend's kernels */
	enum cpu_isa best_isa;	/* that the worker may use; CPU_AUTO: its backend has none */
	uint64_t libm_fingerprint;	/* of the C library that it runs with */
};

/* From the fields of a Hello, whatever they hold. SC_E_PROTOCOL: a field is missing, unknown, or
 * contradicts another; err names it. */
must_check enum sc_status kernels_read(const char *backend, const char *instruction_set,
				       uint32_t version, uint64_t libm_fingerprint,
				       struct kernels *out, struct error *err);

/* SC_E_CONFIG: a and b give other results; err says why, of b, with `whose` for a's owner. */
must_check enum sc_status kernels_match(const struct kernels *a, const char *whose,
					const struct kernels *b, struct error *err);

/* The best set that both have: `common` so far, CPU_AUTO before the first. */
enum cpu_isa kernels_common_isa(enum cpu_isa common, const struct kernels *kernels);

#endif
