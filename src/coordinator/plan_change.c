/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/plan_change.h"

#include <stdlib.h>
#include <string.h>

void plan_change_deinit(struct plan_change *change)
{
	free(change->stages);
	*change = (struct plan_change){ .stages = NULL };
}

static const struct plan_stage *find(const struct plan_change *change, const char *worker)
{
	for (unsigned i = 0; i < change->n_stages; i++)
		if (!strcmp(change->stages[i].worker, worker))
			return &change->stages[i];
	return NULL;
}

static unsigned last_layer(const struct plan_stage *stage)
{
	return stage->first_layer + stage->n_layers - 1;
}

static bool is_same(const struct plan_stage *a, const struct plan_stage *b)
{
	return a && a->first_layer == b->first_layer && a->n_layers == b->n_layers;
}

static enum sc_status describe(const struct plan_change *change, const struct plan *plan,
			       struct buf *text)
{
	enum sc_status status = SC_OK;
	const char *separator = "";

	for (unsigned i = 0; i < plan->n_stages && status == SC_OK; i++) {
		const struct plan_stage *now = &plan->stages[i];
		const struct plan_stage *before = find(change, now->worker);

		if (is_same(before, now))
			continue;
		status = buf_add_format(text, "%sworker %s takes layers %u-%u", separator,
					now->worker, now->first_layer, last_layer(now));
		if (before && status == SC_OK)
			status = buf_add_format(text, " instead of %u-%u", before->first_layer,
						last_layer(before));
		separator = ", ";
	}
	if (status == SC_OK && !*separator)
		status = buf_add_string(text, "all workers have the same layers as before");
	return status;
}

enum sc_status plan_change_note(struct plan_change *change, const struct plan *plan,
				struct buf *text)
{
	enum sc_status status = describe(change, plan, text);
	size_t n_bytes = plan->n_stages * sizeof plan->stages[0];

	plan_change_deinit(change);
	if (status != SC_OK)
		return status;
	change->stages = malloc(n_bytes);
	if (!change->stages)
		return SC_E_NOMEM;
	memcpy(change->stages, plan->stages, n_bytes);
	change->n_stages = plan->n_stages;
	return SC_OK;
}
