/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_EXPOSITION_H
#define STAGECOACH_GATEWAY_EXPOSITION_H
/*
 * exposition - writes Prometheus' text format 0.0.4: families of samples with HELP and TYPE.
 * The first failure is kept; what follows it is dropped. So a writer checks once, at the end.
 * Thread: one at a time.
 */
#include "base/buf.h"
#include "engine/engine.h"

#include <stddef.h>
#include <stdint.h>

#define EXPOSITION_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct exposition {
	struct buf *out;		/* borrowed */
	const char *labels;		/* of every sample, as label_add writes them; "": none */
	const char *name;		/* of the family being written; static */
	enum sc_status status;
};

/* Begins a family. All samples of a family follow each other. type: "counter", "gauge" or
 * "histogram"; name and help are static. A counter's name ends in _total. */
void exposition_begin(struct exposition *e, const char *type, const char *name, const char *help);

/* One sample of the family. labels: more of them, or "". */
void exposition_add(struct exposition *e, const char *labels, double value);
void exposition_add_count(struct exposition *e, const char *labels, uint64_t value);
void exposition_add_histogram(struct exposition *e, const struct histogram *histogram);

/* A family of one sample without further labels. */
void exposition_counter(struct exposition *e, const char *name, const char *help, uint64_t value);
void exposition_gauge(struct exposition *e, const char *name, const char *help, double value);
void exposition_histogram(struct exposition *e, const char *name, const char *help,
			  const struct histogram *histogram);

/* Appends name="value" to labels, behind a comma if there are some already. Text of any bytes is
 * escaped and made valid UTF-8. */
must_check enum sc_status label_add(struct buf *labels, const char *name, const char *value);

#endif
