/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/allowance.h"

#include <stdbool.h>
#include <stddef.h>

/* A tenth of the free memory stays free. */
enum { FREE_PART = 10 };
/* One purpose gets an eighth of it at most. */
enum { PURPOSE_PART = 8 };

/* 0 means that nothing is known, so that no room at all is one byte. */
static uint64_t bounded(uint64_t n_bytes)
{
	if (n_bytes == RESOURCES_UNLIMITED)
		return 0;
	n_bytes -= n_bytes / FREE_PART;
	return n_bytes ? n_bytes : 1;
}

/* Processors are told apart by the first limit: the affinity mask. */
static uint64_t mask_id(const struct resources *resources)
{
	return resources->processors[0].id;
}

uint64_t allowance_part(uint64_t wanted_bytes)
{
	struct resources own;
	const struct resources *users[] = { &own };
	uint64_t most;

	resources_read("", &own);
	most = resources_memory(&own, users, 1, NULL, 0) / PURPOSE_PART;
	return wanted_bytes < most ? wanted_bytes : most;
}

struct allowance allowance_inside(unsigned n_stages, uint64_t coordinator_bytes)
{
	struct resources own;
	const struct resources *users[] = { &own };
	struct allowance allowance;

	resources_read("", &own);
	allowance = allowance_of(&own, users, 1, &own, coordinator_bytes);
	if (allowance.memory_bytes)
		allowance.memory_bytes = allowance.memory_bytes / n_stages + 1;
	allowance.n_processors /= n_stages;
	if (!allowance.n_processors)
		allowance.n_processors = 1;
	allowance.n_sharers = n_stages;
	return allowance;
}

struct allowance allowance_of(const struct resources *own,
			      const struct resources *const *workers, unsigned n,
			      const struct resources *coordinator, uint64_t coordinator_bytes)
{
	struct allowance allowance = {
		.memory_bytes = bounded(resources_memory(own, workers, n, coordinator,
							 coordinator_bytes)),
		.n_processors = resources_processors(own, workers, n),
	};
	bool is_before = true;

	for (unsigned i = 0; i < n; i++) {
		is_before &= workers[i] != own;
		if (mask_id(workers[i]) != mask_id(own))
			continue;
		allowance.n_sharers++;
		allowance.sharer += is_before;
	}
	return allowance;
}
