/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_REPORT_H
#define STAGECOACH_CLI_REPORT_H
/*
 * report - what a person at a terminal sees while a model comes up, on standard error.
 * Thread: the loop's.
 */
#include "coordinator/coordinator.h"

/* The model, and the table of its stages. */
void report_plan(const struct coordinator *coordinator);

/* A bar, on a terminal only; it ends with done == total. */
void report_progress(uint64_t done_bytes, uint64_t total_bytes);

/* Take the bar away, before anything else is printed. */
void report_clear(void);

/* Everything on standard output is written: exit code 0, or an error and 1. */
int report_flush(void);

/* "stagecoach: error: ..." */
void report_error(const struct error *err);

#endif
