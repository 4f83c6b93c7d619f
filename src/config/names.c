/* SPDX-License-Identifier: Apache-2.0 */
#include "config/names.h"

#include <stdio.h>
#include <string.h>

const char *const program_names[] = {
	"stagecoachd", "run", "perplexity", "bench", "quantize", "generate", "submit", "jobs",
	"watch", "cancel", "status", "tokenize", "inspect", "workers", "chat", "convert", "families",
};
const unsigned n_programs = sizeof program_names / sizeof program_names[0];

const char *program_name(enum program program, char *out)
{
	for (unsigned i = 0; i < n_programs; i++)
		if (program >> i & 1)
			snprintf(out, PROGRAM_NAME_MAX, "%s%s", i ? "stagecoach " : "",
				 program_names[i]);
	return out;
}

void program_list_format(unsigned programs, char *out, size_t n_bytes)
{
	unsigned n_left = (unsigned)__builtin_popcount(programs);
	size_t n = 0;

	*out = '\0';
	for (unsigned i = 0; i < n_programs && n < n_bytes; i++) {
		if (!(programs >> i & 1))
			continue;
		n_left--;
		n += (size_t)snprintf(out + n, n_bytes - n, "%s%s", program_names[i],
				      n_left > 1 ? ", " : n_left ? " and " : "");
	}
}

const struct option_info *option_nearest(const char *word, unsigned programs,
					 unsigned without_flags, const char **name_out)
{
	const struct option_info *found = NULL;
	struct nearest nearest;

	nearest_init(&nearest, word);
	for (unsigned i = 0; i < n_options; i++) {
		const char *before = nearest.best;

		if (!(options[i].programs & programs) ||
		    options[i].flags & (without_flags | OPTION_HIDDEN))
			continue;
		nearest_offer(&nearest, options[i].name);
		if (options[i].alias)
			nearest_offer(&nearest, options[i].alias);
		if (nearest.best != before)
			found = &options[i];
	}
	if (found && name_out)
		*name_out = nearest.best;
	return found;
}
