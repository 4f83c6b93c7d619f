/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/stop_scan.h"

#include <string.h>

/* The offset of pattern in text[n], or n. */
static size_t find(const char *pattern, const char *text, size_t n)
{
	const char *found = memmem(text, n, pattern, strlen(pattern));

	return found ? (size_t)(found - text) : n;
}

/* The offset of the longest beginning of pattern that text[n] ends with, or n. */
static size_t find_beginning(const char *pattern, const char *text, size_t n)
{
	size_t length = strlen(pattern) - 1;

	if (length > n)
		length = n;
	while (length && memcmp(text + n - length, pattern, length))
		length--;
	return n - length;
}

/* The offset of pattern, or of what may become one if more text follows, or n. */
static size_t find_possible(const char *pattern, const char *text, size_t n, bool is_final)
{
	size_t at = find(pattern, text, n);

	return at < n || is_final ? at : find_beginning(pattern, text, n);
}

/* A stop string in a text. */
struct found {
	size_t at;
	size_t end;
	uint32_t stop;		/* STOP_SCAN_NONE: none was found */
};

/* The stop string that is complete first, of those that begin before `limit`. */
static struct found find_stop(const struct stop_scan *scan, const char *text, size_t n,
			      size_t limit)
{
	struct found first = { .at = n, .end = SIZE_MAX, .stop = STOP_SCAN_NONE };

	for (uint32_t i = 0; i < scan->n_stops; i++) {
		size_t at = find(scan->stops[i], text, n);
		size_t end = at + strlen(scan->stops[i]);

		if (at < n && at < limit &&
		    (end < first.end || (end == first.end && at < first.at)))
			first = (struct found){ at, end, i };
	}
	return first;
}

/* The offset from which on text[n] may become a stop string if more text follows, or n. */
static size_t find_doubtful(const struct stop_scan *scan, const char *text, size_t n)
{
	size_t first = n;

	for (uint32_t i = 0; i < scan->n_stops; i++) {
		size_t at = find_beginning(scan->stops[i], text, n);

		if (at < first)
			first = at;
	}
	return first;
}

/* text[n] begins in a hidden part. Returns how many bytes of it are decided. */
static size_t pass_hidden(struct stop_scan *scan, const char *text, size_t n, bool is_final)
{
	size_t at = find(scan->hidden_close, text, n);

	if (at == n)
		return find_possible(scan->hidden_close, text, n, is_final);
	scan->is_hidden = false;
	return at + strlen(scan->hidden_close);
}

static size_t least(size_t a, size_t b, size_t c)
{
	size_t ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* text[n] begins outside of hidden parts. Returns how many bytes of it are decided; with is_hidden
 * of scan, more may be behind them. Stop strings that begin before hidden_open count even if they
 * end behind it, and others only as long as it is not certain that hidden_open is there. */
static size_t pass_visible(struct stop_scan *scan, const char *text, size_t n, bool is_final,
			   uint32_t *stop_out)
{
	size_t doubtful = is_final ? n : find_doubtful(scan, text, n), open = n;
	struct found any = find_stop(scan, text, n, n), before;
	bool is_open = false;

	if (scan->hidden_open) {
		open = find_possible(scan->hidden_open, text, n, is_final);
		is_open = find(scan->hidden_open, text, n) < n;
	}
	before = find_stop(scan, text, n, open);
	if (before.stop != STOP_SCAN_NONE && (is_open || any.at < open)) {
		*stop_out = before.stop;
		return before.at;
	}
	if (!is_open || doubtful < open)
		return least(open, doubtful, before.at);
	scan->is_hidden = true;
	return open + strlen(scan->hidden_open);
}

size_t stop_scan_next(struct stop_scan *scan, const char *text, size_t n, bool is_final,
		      uint32_t *stop_out)
{
	size_t at = 0;
	bool was_hidden;

	*stop_out = STOP_SCAN_NONE;
	do {
		was_hidden = scan->is_hidden;
		at += was_hidden ? pass_hidden(scan, text + at, n - at, is_final)
				 : pass_visible(scan, text + at, n - at, is_final, stop_out);
	} while (at < n && scan->is_hidden != was_hidden);
	return at;
}
