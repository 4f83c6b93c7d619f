/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_NEAREST_H
#define STAGECOACH_BASE_NEAREST_H
/*
 * nearest - which of the known names somebody meant who typed an unknown one.
 * Offer all known names one after the other, then read `best`. Case does not count, and '-' and '_'
 * are the same character. A slip is a character too many, too few, or another one, or two
 * neighbours exchanged; a name is near when there is at most one slip in three characters.
 */
#include <stddef.h>

#define NEAREST_MAX_LENGTH 64	/* longer names are near to nothing */

struct nearest {
	const char *word;	/* as typed; borrowed */
	const char *best;	/* borrowed from the caller; NULL: nothing is near */
	size_t n_slips;		/* of best, or one more than are allowed */
};

void nearest_init(struct nearest *nearest, const char *word);
void nearest_offer(struct nearest *nearest, const char *known);

#endif
