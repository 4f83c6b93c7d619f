/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/gateway/scrape.h"

#include <ctype.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { MAX_SAMPLES = 4096, MAX_FAMILIES = 256, MAX_TEXT = 1024 };

struct sample {
	char text[MAX_TEXT];	/* with its labels */
	char name[128];
	double value;
};

struct scrape {
	struct sample samples[MAX_SAMPLES];
	unsigned n_samples;
	char families[MAX_FAMILIES][128];
	unsigned n_families;
	char type[32];		/* of the last family */
	/* of a histogram */
	double last_bound, last_count, infinite;
};

static const char *family(const struct scrape *s)
{
	return s->families[s->n_families - 1];
}

static size_t name_length(const char *text)
{
	size_t n = 0;

	while (isalnum((unsigned char)text[n]) || text[n] == '_' || text[n] == ':')
		n++;
	if (!n || isdigit((unsigned char)text[0]))
		fail_msg("no name: %.80s", text);
	return n;
}

static void begin_family(struct scrape *s, const char *line)
{
	size_t n = name_length(line);

	if (line[n] != ' ' || !line[n + 1])
		fail_msg("HELP without a text: %.80s", line);
	for (unsigned i = 0; i < s->n_families; i++)
		if (strlen(s->families[i]) == n && strncmp(s->families[i], line, n) == 0)
			fail_msg("family %.*s comes twice", (int)n, line);
	assert_true(s->n_families < MAX_FAMILIES && n < sizeof s->families[0]);
	memcpy(s->families[s->n_families++], line, n);
	s->type[0] = '\0';
}

static void set_type(struct scrape *s, const char *line, size_t length)
{
	size_t n = name_length(line);

	if (!s->n_families || strlen(family(s)) != n || strncmp(family(s), line, n) || *s->type)
		fail_msg("TYPE out of place: %.80s", line);
	assert_true(length - n - 1 < sizeof s->type);
	memcpy(s->type, line + n + 1, length - n - 1);
	s->type[length - n - 1] = '\0';
	if (strcmp(s->type, "counter") && strcmp(s->type, "gauge") && strcmp(s->type, "histogram"))
		fail_msg("type %s", s->type);
	if (!strcmp(s->type, "counter") && (n < 6 || strncmp(line + n - 6, "_total", 6)))
		fail_msg("counter without _total: %.*s", (int)n, line);
	s->last_bound = -INFINITY;
	s->last_count = 0;
	s->infinite = -1;
}

/* Returns the length of {name="value",...}. */
static size_t labels_length(const char *text)
{
	size_t n = 1;

	while (text[n] != '}') {
		n += name_length(text + n);
		if (strncmp(text + n, "=\"", 2))
			fail_msg("no value of a label: %.80s", text);
		for (n += 2; text[n] != '"'; n++) {
			if (!text[n] || text[n] == '\n')
				fail_msg("a label without end: %.80s", text);
			if (text[n] == '\\' && !strchr("\\\"n", text[++n]))
				fail_msg("escape \\%c: %.80s", text[n], text);
		}
		n++;
		if (text[n] == ',')
			n++;
		else if (text[n] != '}')
			fail_msg("no comma between labels: %.80s", text);
	}
	return n + 1;
}

/* Buckets grow, and the last of them is the count. */
static void check_bucket(struct scrape *s, const struct sample *sample)
{
	const char *le = strstr(sample->text, "le=\"");
	double bound;

	if (!strcmp(sample->name + strlen(family(s)), "_count")) {
		if (sample->value != s->infinite)
			fail_msg("%s is not its last bucket", sample->text);
		return;
	}
	if (strcmp(sample->name + strlen(family(s)), "_bucket"))
		return;
	if (!le)
		fail_msg("bucket without le: %s", sample->text);
	bound = strtod(le + 4, NULL);
	if (bound <= s->last_bound || sample->value < s->last_count)
		fail_msg("buckets out of order: %s", sample->text);
	s->last_bound = bound;
	s->last_count = sample->value;
	if (isinf(bound))
		s->infinite = sample->value;
}

static bool is_of_family(const struct scrape *s, const char *name)
{
	size_t n = strlen(family(s));
	const char *rest = name + n;

	if (strncmp(name, family(s), n))
		return false;
	if (strcmp(s->type, "histogram"))
		return !*rest;
	return !strcmp(rest, "_bucket") || !strcmp(rest, "_sum") || !strcmp(rest, "_count");
}

static void add_sample(struct scrape *s, const char *line, size_t length)
{
	struct sample *sample = &s->samples[s->n_samples];
	size_t n_name = name_length(line), n = n_name;
	char *end;

	if (line[n] == '{')
		n += labels_length(line + n);
	if (line[n] != ' ')
		fail_msg("no value: %.80s", line);
	assert_true(s->n_samples < MAX_SAMPLES && n < MAX_TEXT && n_name < sizeof sample->name);
	memcpy(sample->text, line, n);
	memcpy(sample->name, line, n_name);
	sample->value = strtod(line + n + 1, &end);
	if (end != line + length)
		fail_msg("no number: %.80s", line);
	if (!s->n_families || !*s->type || !is_of_family(s, sample->name))
		fail_msg("%s is not of family %s", sample->name, s->n_families ? family(s) : "?");
	for (unsigned i = 0; i < s->n_samples; i++)
		if (!strcmp(s->samples[i].text, sample->text))
			fail_msg("%s comes twice", sample->text);
	check_bucket(s, sample);
	s->n_samples++;
}

struct scrape *scrape_parse(const char *text)
{
	struct scrape *s = calloc(1, sizeof *s);

	assert_non_null(s);
	while (*text) {
		const char *end = strchr(text, '\n');

		if (!end)
			fail_msg("the last line does not end: %.80s", text);
		if (strncmp(text, "# HELP ", 7) == 0)
			begin_family(s, text + 7);
		else if (strncmp(text, "# TYPE ", 7) == 0)
			set_type(s, text + 7, (size_t)(end - text) - 7);
		else
			add_sample(s, text, (size_t)(end - text));
		text = end + 1;
	}
	return s;
}

void scrape_free(struct scrape *s)
{
	free(s);
}

double scrape_value(const struct scrape *s, const char *text)
{
	for (unsigned i = 0; i < s->n_samples; i++)
		if (!strcmp(s->samples[i].text, text))
			return s->samples[i].value;
	fail_msg("no sample %s", text);
	return NAN;
}

double scrape_sum(const struct scrape *s, const char *name)
{
	double sum = 0;
	unsigned n = 0;

	for (unsigned i = 0; i < s->n_samples; i++)
		if (!strcmp(s->samples[i].name, name)) {
			sum += s->samples[i].value;
			n++;
		}
	if (!n)
		fail_msg("no sample of %s", name);
	return sum;
}

unsigned scrape_n_families(const struct scrape *s)
{
	return s->n_families;
}
