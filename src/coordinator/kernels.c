/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/kernels.h"

#include <stdio.h>
#include <string.h>

enum sc_status kernels_read(const char *backend, const char *instruction_set, uint32_t version,
			    uint64_t libm_fingerprint, struct kernels *out, struct error *err)
{
	struct kernels kernels = { .version = version, .libm_fingerprint = libm_fingerprint };
	bool is_cpu = !strcmp(backend, "cpu");

	if (!*backend || strlen(backend) >= sizeof kernels.backend)
		return error_set(err, SC_E_PROTOCOL, "its Hello has the backend \"%.40s\", "
				 "expected a name of 1 to %zu bytes: install the same stagecoach "
				 "on all machines", backend, sizeof kernels.backend - 1);
	if (!version)
		return error_set(err, SC_E_PROTOCOL, "its Hello has no kernel version: install the "
				 "same stagecoach on all machines");
	if (!libm_fingerprint)
		return error_set(err, SC_E_PROTOCOL, "its Hello has no fingerprint of the C "
				 "library: install the same stagecoach on all machines");
	if (*instruction_set && (!cpu_isa_find(instruction_set, &kernels.best_isa) ||
				 kernels.best_isa == CPU_AUTO))
		return error_set(err, SC_E_PROTOCOL, "its Hello has the instruction set \"%.40s\", "
				 "which this version does not know: install the same stagecoach "
				 "on all machines", instruction_set);
	if (is_cpu && kernels.best_isa == CPU_AUTO)
		return error_set(err, SC_E_PROTOCOL, "its Hello has no instruction set, which the "
				 "backend \"cpu\" must name: install the same stagecoach on all "
				 "machines");
	if (!is_cpu && kernels.best_isa != CPU_AUTO)
		return error_set(err, SC_E_PROTOCOL, "its Hello has the instruction set \"%.40s\", "
				 "but the backend \"%.40s\", expected \"cpu\": install the same "
				 "stagecoach on all machines", instruction_set, backend);
	snprintf(kernels.backend, sizeof kernels.backend, "%s", backend);
	*out = kernels;
	return SC_OK;
}

enum sc_status kernels_match(const struct kernels *a, const char *whose, const struct kernels *b,
			     struct error *err)
{
	if (strcmp(a->backend, b->backend))
		return error_set(err, SC_E_CONFIG, "computes on %s, but %s on %s: tokens would "
				 "depend on which stage runs where. Give all stages the same "
				 "--backend, or accept that with --allow-mixed-backends",
				 b->backend, whose, a->backend);
	if (a->version != b->version)
		return error_set(err, SC_E_CONFIG, "has version %u of the kernels, but %s version "
				 "%u: tokens would depend on which stage runs where. Install the "
				 "same stagecoach on all machines, or accept that with "
				 "--allow-mixed-backends", b->version, whose, a->version);
	if (a->libm_fingerprint != b->libm_fingerprint)
		return error_set(err, SC_E_CONFIG, "its C library gives other results of cos, sin "
				 "or pow than that of %s: tokens would depend on which "
				 "stage runs where. Install the same release of the C library on "
				 "all machines (it also chooses variants by processor), or accept "
				 "that with --allow-mixed-backends", whose);
	return SC_OK;
}

enum cpu_isa kernels_common_isa(enum cpu_isa common, const struct kernels *kernels)
{
	if (kernels->best_isa == CPU_AUTO)
		return common;
	return common == CPU_AUTO || kernels->best_isa < common ? kernels->best_isa : common;
}
