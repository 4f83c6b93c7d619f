/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/exposition.h"

#include "gateway/plain_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static void keep(struct exposition *e, enum sc_status status)
{
	if (e->status == SC_OK)
		e->status = status;
}

void exposition_begin(struct exposition *e, const char *type, const char *name, const char *help)
{
	e->name = name;
	if (e->status == SC_OK)
		keep(e, buf_add_format(e->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
				       type));
}

/* suffix: "", or "_bucket" and so on. */
static void add_text(struct exposition *e, const char *suffix, const char *labels,
		     const char *value)
{
	const char *comma = *e->labels && *labels ? "," : "";
	bool has_labels = *e->labels || *labels;

	if (e->status == SC_OK)
		keep(e, buf_add_format(e->out, "%s%s%s%s%s%s%s %s\n", e->name, suffix,
				       has_labels ? "{" : "", e->labels, comma, labels,
				       has_labels ? "}" : "", value));
}

static void add_count(struct exposition *e, const char *suffix, const char *labels,
		      uint64_t value)
{
	char text[32];

	snprintf(text, sizeof text, "%" PRIu64, value);
	add_text(e, suffix, labels, text);
}

/* Shortest text that reads as the same number, at least of six digits. */
static void number_text(char *text, size_t size, double value)
{
	if (isnan(value)) {
		snprintf(text, size, "NaN");
	} else if (isinf(value)) {
		snprintf(text, size, value > 0 ? "+Inf" : "-Inf");
	} else {
		for (int digits = 6; digits <= 17; digits++) {
			double again;

			snprintf(text, size, "%.*g", digits, value);
			if (sscanf(text, "%lf", &again) == 1 && again == value)
				break;
		}
	}
}

static void add_number(struct exposition *e, const char *suffix, const char *labels, double value)
{
	char text[32];

	number_text(text, sizeof text, value);
	add_text(e, suffix, labels, text);
}

void exposition_add(struct exposition *e, const char *labels, double value)
{
	add_number(e, "", labels, value);
}

void exposition_add_count(struct exposition *e, const char *labels, uint64_t value)
{
	add_count(e, "", labels, value);
}

/* Bounds are written as Python's client does ("1.0"), because queries compare them as texts. */
static void bound_label(char *text, size_t size, double bound)
{
	char number[24];

	if (bound == floor(bound) && fabs(bound) < 1e15)
		snprintf(number, sizeof number, "%.1f", bound);
	else
		number_text(number, sizeof number, bound);
	snprintf(text, size, "le=\"%s\"", number);
}

void exposition_add_histogram(struct exposition *e, const struct histogram *histogram)
{
	uint64_t n = 0;
	char label[40];

	for (unsigned i = 0; i < histogram->n_bounds; i++) {
		n += histogram->counts[i];
		bound_label(label, sizeof label, histogram->bounds[i]);
		add_count(e, "_bucket", label, n);
	}
	n += histogram->counts[histogram->n_bounds];
	add_count(e, "_bucket", "le=\"+Inf\"", n);
	add_number(e, "_sum", "", histogram->sum);
	add_count(e, "_count", "", n);
}

void exposition_counter(struct exposition *e, const char *name, const char *help, uint64_t value)
{
	exposition_begin(e, "counter", name, help);
	exposition_add_count(e, "", value);
}

void exposition_gauge(struct exposition *e, const char *name, const char *help, double value)
{
	exposition_begin(e, "gauge", name, help);
	exposition_add(e, "", value);
}

void exposition_histogram(struct exposition *e, const char *name, const char *help,
			  const struct histogram *histogram)
{
	exposition_begin(e, "histogram", name, help);
	exposition_add_histogram(e, histogram);
}

static enum sc_status add_escaped(struct buf *labels, const char *text)
{
	enum sc_status status = SC_OK;

	for (; *text && status == SC_OK; text++)
		if (*text == '\n')
			status = buf_add_string(labels, "\\n");
		else if (*text == '\\' || *text == '"')
			status = buf_add_format(labels, "\\%c", *text);
		else
			status = buf_add(labels, text, 1);
	return status;
}

enum sc_status label_add(struct buf *labels, const char *name, const char *value)
{
	char plain[1024];
	enum sc_status status;

	plain_text_copy(value, plain, sizeof plain);
	status = buf_add_format(labels, "%s%s=\"", labels->length ? "," : "", name);
	if (status == SC_OK)
		status = add_escaped(labels, plain);
	return status == SC_OK ? buf_add_string(labels, "\"") : status;
}
