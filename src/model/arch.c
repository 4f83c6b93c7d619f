/* SPDX-License-Identifier: Apache-2.0 */
#include "model/arch.h"

#include "model/quote.h"
#include "model/slots.h"

#include <stdio.h>
#include <string.h>

#define SET(slot) (UINT64_C(1) << (slot))
#define QKV_BIAS (SET(LAYER_ATTN_Q_BIAS) | SET(LAYER_ATTN_K_BIAS) | SET(LAYER_ATTN_V_BIAS))
#define LAYER \
	(SET(LAYER_ATTN_NORM) | SET(LAYER_ATTN_Q) | SET(LAYER_ATTN_K) | SET(LAYER_ATTN_V) | \
	 SET(LAYER_ATTN_OUTPUT) | SET(LAYER_FFN_NORM) | SET(LAYER_FFN_GATE) | \
	 SET(LAYER_FFN_UP) | SET(LAYER_FFN_DOWN))
#define OUTER (SET(OUTER_TOKEN_EMBD) | SET(OUTER_OUTPUT_NORM))
#define OUTER_MAYBE (SET(OUTER_OUTPUT) | SET(OUTER_ROPE_FACTORS))

#define N_ARCHS (sizeof archs / sizeof archs[0])

static const struct arch archs[] = {
	{ .name = "llama", .rope = ROPE_INTERLEAVED,
	  .layer_required = LAYER, .layer_optional = QKV_BIAS,
	  .outer_required = OUTER, .outer_optional = OUTER_MAYBE },
	{ .name = "qwen2", .rope = ROPE_HALVES,
	  .layer_required = LAYER | QKV_BIAS,
	  .outer_required = OUTER, .outer_optional = OUTER_MAYBE },
};

enum sc_status arch_find(const char *name, size_t length, const struct arch **arch_out,
			 struct error *err)
{
	char known[128] = "";
	size_t used = 0;

	for (size_t i = 0; i < N_ARCHS; i++) {
		if (strlen(archs[i].name) == length && !memcmp(archs[i].name, name, length)) {
			*arch_out = &archs[i];
			return SC_OK;
		}
		used += (size_t)snprintf(known + used, sizeof known - used, "%s%s",
					 i ? ", " : "", archs[i].name);
	}
	return error_set(err, SC_E_UNSUPPORTED,
			 "architecture '%s' is not supported; known are: %s",
			 quote(name, length).text, known);
}
