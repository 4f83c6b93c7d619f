/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_GATEWAY_SCRAPE_H
#define STAGECOACH_TESTS_GATEWAY_SCRAPE_H
/*
 * scrape - reads Prometheus' text format 0.0.4 strictly, for tests: families in one piece, with HELP
 * and TYPE, no sample twice, buckets that grow. Fails the test at the first fault.
 */
struct scrape;

/* text: NUL-terminated; borrowed until scrape_free. */
struct scrape *scrape_parse(const char *text);
void scrape_free(struct scrape *scrape);

/* The value of a sample: "name" or "name{a="b",c="d"}" as it is written. Fails if there is none. */
double scrape_value(const struct scrape *scrape, const char *sample);
/* The sum of all samples of that name, whatever their labels. */
double scrape_sum(const struct scrape *scrape, const char *name);
unsigned scrape_n_families(const struct scrape *scrape);

#endif
