/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_STOP_SCAN_H
#define STAGECOACH_COORDINATOR_STOP_SCAN_H
/*
 * stop_scan - looks for stop strings in a text that comes piece by piece. What it finds does not
 * depend on how the text is cut into pieces.
 * - The stop string that is complete first ends the text; of several that end there, the longest.
 * - A hidden part is a text from hidden_open to hidden_close, both included. No stop string begins
 *   in it. Where hidden_open and a stop string begin together, the hidden part counts.
 * Allocates nothing. Thread: any.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stop_scan {
	const char *const *stops;	/* [n_stops], borrowed, none empty */
	uint32_t n_stops;		/* may change between calls */
	const char *hidden_open;	/* borrowed, not empty; NULL: none */
	const char *hidden_close;	/* borrowed, not empty; set with hidden_open or is_hidden */
	bool is_hidden;			/* the text so far ended in a hidden part */
};

#define STOP_SCAN_NONE UINT32_MAX

/* Looks at text[n], which follows the bytes that were decided before. Returns how many bytes of it
 * are decided: no stop string begins in them. The caller gives the others again, with more behind
 * them. is_final: nothing follows, so all is decided.
 * *stop_out: the index of the stop string that begins right after the decided bytes, or
 * STOP_SCAN_NONE. */
size_t stop_scan_next(struct stop_scan *scan, const char *text, size_t n, bool is_final,
		      uint32_t *stop_out);

#endif
