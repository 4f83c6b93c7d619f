/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_JOB_SETTINGS_H
#define STAGECOACH_CLI_JOB_SETTINGS_H
/*
 * job_settings - the settings that describe a job, as a job_request.
 * Thread: the main thread.
 */
#include "config/config.h"
#include "engine/engine.h"

struct job_settings {
	struct job_request request;
	struct token_bias biases[JOB_MAX_BIASES];
	uint32_t stop_tokens[JOB_MAX_STOP_TOKENS];
};

/* Reads config into settings_out->request, which borrows from both and has no prompt. Its seed is
 * random if the setting is -1. n_vocab: of the model, to check token ids; 0: unknown.
 * SC_E_INVALID: err names the flag, what was expected and what was found. */
must_check enum sc_status job_settings_read(const struct config *config, uint32_t n_vocab,
					    struct job_settings *settings_out, struct error *err);

#endif
