/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_REPORT_H
#define STAGECOACH_CLI_REPORT_H
/*
 * report - what a person at a terminal sees while a model comes up, on standard error.
 * Thread: the loop's.
 */
#include "cli/progress.h"
#include "config/config.h"
#include "engine/engine.h"

/* The model, and the table of its stages. */
void report_plan(const struct engine *engine);

/* How much of the weights and the KV pools of all stages is there. */
void report_loading(struct progress *progress, uint64_t now_ns, uint64_t done_bytes,
		    uint64_t total_bytes);

/* Warn of each of the keys of gguf_ignore_keys that the file does not have: it may be misspelt. */
void report_ignored_keys(const struct gguf *gguf, const char *ignored_keys);

/* Warn of a context of n_positions, if the model was trained for fewer. */
void report_length(const struct opened_model *opened, uint32_t n_positions);

/* A failure with status, as its exit code shall tell it: what does not fit is the fault of a flag
 * (SC_E_INVALID), or of the file or environment (SC_E_CONFIG), that asked for it: --memory,
 * --ctx-size or --kv-positions. */
enum sc_status report_fault(const struct config *config, enum sc_status status);

/* Log what config_load found odd but not wrong, and, at debug, what it passed over. */
void report_warnings(const struct config *config);

/* Everything on standard output is written: exit code 0, or an error and 1. */
int report_flush(void);

/* "stagecoach: error: ..." */
void report_error(const struct error *err);

#endif
