/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_OPENAI_USAGE_H
#define STAGECOACH_OPENAI_USAGE_H
/* usage - what a request cost: OpenAI's usage, and llama.cpp's timings. Thread: any, if the jobs
 * have ended; else the loop's. */
#include "engine/engine.h"
#include "openai/json_writer.h"

/* Sums over jobs: numbers of tokens, and Unix times in milliseconds. */
struct usage {
	uint64_t n_prompt;	/* each prompt once */
	uint64_t n_generated;
	uint64_t started_ms;	/* of the first job; 0: not yet */
	uint64_t first_token_ms;	/* of the last job */
	uint64_t ended_ms;
};

void usage_add(struct usage *usage, const struct job *job);
/* The object alone. */
void usage_put(struct json_writer *writer, const struct usage *usage);
void usage_put_timings(struct json_writer *writer, const struct usage *usage);

#endif
