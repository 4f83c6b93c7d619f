/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_KERNELS_H
#define STAGECOACH_COORDINATOR_KERNELS_H
/*
 * kernels - describes what each worker's results depend on, whether workers may be combined in a
 * plan, and which instruction set all of them use.
 * Results differ in their last bits between backends, kernel versions, instruction sets and C
 * libraries (base/libm.h). Tokens must not depend on which stage runs where, so all stages use the
 * same.
 * Thread: any.
 */
#include "base/cpu.h"
#include "base/error.h"

/* What a worker's Hello says about its kernels. */
struct kernels {
	char backend[32];	/* "cpu" */
	uint32_t version;	/* of that backend's kernels */
	enum cpu_isa best_isa;	/* the best set that the worker may use;
				 * CPU_AUTO: its backend has none */
	uint64_t libm_fingerprint;	/* of the worker's C library */
};

/* Reads and checks the fields of a Hello. SC_E_PROTOCOL: a field is missing, unknown or contradicts
 * another; err names it. */
must_check enum sc_status kernels_read(const char *backend, const char *instruction_set,
				       uint32_t version, uint64_t libm_fingerprint,
				       struct kernels *out, struct error *err);

/* SC_E_CONFIG: a and b give different results. err says why from b's point of view; `whose` names
 * a's owner. */
must_check enum sc_status kernels_match(const struct kernels *a, const char *whose,
					const struct kernels *b, struct error *err);

/* Returns the best set that both support. `common` is the result so far, CPU_AUTO at first. */
enum cpu_isa kernels_common_isa(enum cpu_isa common, const struct kernels *kernels);

#endif
