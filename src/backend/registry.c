/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/backend.h"

#include <string.h>

#ifdef HAVE_CUDA
extern const struct backend_ops backend_cuda;
#endif

const struct backend_ops *const backends[] = {
#ifdef HAVE_CUDA
	&backend_cuda,
#endif
	&backend_cpu,
	NULL,
};

const struct backend_ops *backend_find(const char *name)
{
	for (size_t i = 0; backends[i]; i++)
		if (!strcmp(backends[i]->name, name))
			return backends[i];
	return NULL;
}

bool backend_is_complete(const struct backend_ops *ops)
{
	return ops->count && ops->sizes && ops->open && ops->close && ops->resize && ops->alloc &&
	       ops->release && ops->upload && ops->download && ops->weight_create &&
	       ops->weight_destroy && ops->weight_bytes && ops->weight_is_finite &&
	       ops->weight_hash && ops->kv_create && ops->kv_destroy && ops->settle &&
	       ops->embed && ops->matmul && ops->gated_matmul && ops->norm && ops->rope &&
	       ops->kv_write && ops->kv_saturated && ops->attention && ops->logit_maxima &&
	       ops->logit_sums && ops->weigh_block && ops->n_threads && ops->share &&
	       ops->activate && ops->add && ops->cap && ops->clamp;
}
