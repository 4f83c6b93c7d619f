/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/link_faults.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

static bool is_of(const struct link_fault_record *record, const char *a, const char *b)
{
	return record->at_ns && ((!strcmp(record->a, a) && !strcmp(record->b, b)) ||
				 (!strcmp(record->a, b) && !strcmp(record->b, a)));
}

/* The pair's record, or the one with the oldest fault, emptied. */
static struct link_fault_record *record_of(struct link_faults *faults, const char *a, const char *b)
{
	struct link_fault_record *oldest = &faults->records[0];

	for (unsigned i = 0; i < LINK_FAULTS_MAX; i++) {
		if (is_of(&faults->records[i], a, b))
			return &faults->records[i];
		if (faults->records[i].at_ns < oldest->at_ns)
			oldest = &faults->records[i];
	}
	*oldest = (struct link_fault_record){ .at_ns = 0 };
	snprintf(oldest->a, sizeof oldest->a, "%s", a);
	snprintf(oldest->b, sizeof oldest->b, "%s", b);
	return oldest;
}

bool link_faults_note(struct link_faults *faults, const char *a, const char *b, uint64_t now_ns)
{
	struct link_fault_record *record = record_of(faults, a, b);
	bool is_repeated = record->at_ns &&
			   now_ns - record->at_ns <= LINK_FAULTS_REPEAT_MS * NS_PER_MS;

	record->at_ns = now_ns;
	if (is_repeated)
		record->apart_until_ns = now_ns + LINK_FAULTS_APART_MS * NS_PER_MS;
	return link_fault_is_apart(record, now_ns);
}
