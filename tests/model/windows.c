/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/model/windows.h"

#include <assert.h>

static uint32_t find_group(struct model *model, uint32_t window, const struct kv_group *like)
{
	for (uint32_t g = 0; g < model->n_groups; g++)
		if (model->groups[g].window == window)
			return g;
	assert(model->n_groups < MODEL_MAX_GROUPS);
	model->groups[model->n_groups] = *like;
	model->groups[model->n_groups].window = window;
	model->groups[model->n_groups].n_layers = 0;
	return model->n_groups++;
}

void windows_set(struct model *model, const uint32_t *windows, uint32_t n)
{
	const struct kv_group like = model->groups[0];

	model->n_groups = 0;
	for (uint32_t i = 0; i < model->hparams.n_layers; i++) {
		uint32_t group = find_group(model, windows[i % n], &like);

		model->shapes[i].group = group;
		model->groups[group].n_layers++;
	}
}
