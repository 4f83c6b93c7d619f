/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_REPORT_H
#define STAGECOACH_CLI_REPORT_H
/*
 * report - what a person at a terminal sees while a model comes up, on standard error.
 * Thread: the loop's.
 */
#include "cli/progress.h"
#include "config/config.h"
#include "coordinator/coordinator.h"

/* The model, and the table of its stages. */
void report_plan(const struct coordinator *coordinator);

/* How much of the weights and the KV pools of all stages is there. */
void report_loading(struct progress *progress, uint64_t now_ns, uint64_t done_bytes,
		    uint64_t total_bytes);

/* Log what config_load found odd but not wrong, and, at debug, what it passed over. */
void report_warnings(const struct config *config);

/* Everything on standard output is written: exit code 0, or an error and 1. */
int report_flush(void);

/* "stagecoach: error: ..." */
void report_error(const struct error *err);

#endif
