/* SPDX-License-Identifier: Apache-2.0 */
#include "openai/unknown_fields.h"

#include "base/log.h"
#include "openai/generation.h"

#include <stdbool.h>
#include <string.h>

/* Clients choose the names, so only so many of them are told. */
#define MAX_TOLD 64

static bool is_news(const char *name)
{
	static char told[MAX_TOLD][GENERATION_UNKNOWN_BYTES];
	static unsigned n_told;

	for (unsigned i = 0; i < n_told; i++)
		if (strcmp(told[i], name) == 0)
			return false;
	if (n_told == MAX_TOLD)
		return false;
	strcpy(told[n_told++], name);
	return true;
}

void unknown_fields_warn(const struct generation *generation)
{
	for (unsigned i = 0; i < generation->n_unknown; i++)
		if (is_news(generation->unknown[i]))
			log_warning("a request has the field \"%s\", which this server does not "
				    "know: ignored from now on without a warning",
				    generation->unknown[i]);
}
