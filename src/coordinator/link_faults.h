/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_LINK_FAULTS_H
#define STAGECOACH_COORDINATOR_LINK_FAULTS_H
/*
 * link_faults - remembers data links that broke although both their ends were alive. Nobody can say
 * which end is at fault, so it is a fault of the pair. A pair whose link broke twice within a minute
 * is kept apart for ten minutes.
 * Plain bookkeeping, no allocation: the oldest of many faults is forgotten. Thread: the loop's.
 */
#include <stdbool.h>
#include <stdint.h>

#define LINK_FAULTS_MAX 16
#define LINK_FAULTS_ID_BYTES 64
#define LINK_FAULTS_REPEAT_MS 60000
#define LINK_FAULTS_APART_MS 600000

struct link_faults {
	struct link_fault_record {
		char a[LINK_FAULTS_ID_BYTES];	/* ids of workers; "" for the coordinator */
		char b[LINK_FAULTS_ID_BYTES];
		uint64_t at_ns;			/* of the last fault; 0: not used */
		uint64_t apart_until_ns;	/* 0: not apart */
	} records[LINK_FAULTS_MAX];
};

/* The link between two workers broke; "" is the coordinator. Returns true if the two are kept apart
 * from now on. now_ns: any monotonic time above 0. */
bool link_faults_note(struct link_faults *faults, const char *a, const char *b, uint64_t now_ns);

static inline bool link_fault_is_apart(const struct link_fault_record *record, uint64_t now_ns)
{
	return record->apart_until_ns > now_ns;
}

#endif
