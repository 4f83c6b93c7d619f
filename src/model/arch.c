/* SPDX-License-Identifier: Apache-2.0 */
#include "model/arch.h"

#include "model/quote.h"

#include <stdio.h>
#include <string.h>

#define N_ARCHS (sizeof archs / sizeof archs[0])

static const struct arch archs[] = {
	{ .name = "llama", .rope = ROPE_INTERLEAVED },
	{ .name = "qwen2", .rope = ROPE_HALVES, .has_qkv_bias = true },
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
