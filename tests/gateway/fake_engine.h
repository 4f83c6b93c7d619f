/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_GATEWAY_FAKE_ENGINE_H
#define STAGECOACH_TESTS_GATEWAY_FAKE_ENGINE_H
/*
 * fake_engine - the functions of engine.h and job.h (and of the model's headers) that the
 * gateway calls, over a timer that makes up tokens: token i of sequence s has the id 1000 * s + i
 * and the text "w<i> ". A token is a byte of the prompt; 256 is put in front of text.
 * What a prompt begins with decides what becomes of its job:
 *   "stall"  it runs, but no token ever comes; each tick computes a token of the prompt
 *   "fail"   a stage is lost for good after three tokens
 *   "lose"   a stage is lost after three tokens: fake_lose
 *   "stop"   it ends by itself after three tokens
 *   "burst"  512 tokens come at once
 *   "nul"    the first token's text holds a NUL
 */
#include "engine/engine.h"

struct fake_config {
	struct loop *loop;
	unsigned token_ms;	/* from token to token */
	unsigned max_queue;	/* jobs that have not ended */
	void (*on_phase)(void *arg);	/* by fake_lose and fake_recover; NULL: nobody is told */
	void *arg;
};

struct engine *fake_create(const struct fake_config *config);
void fake_destroy(struct engine *engine);
void fake_set_phase(struct engine *engine, enum coordinator_phase phase);

/* A stage is lost: all jobs wait, and so do new ones, until fake_recover. */
void fake_lose(struct engine *engine, const char *reason);
void fake_recover(struct engine *engine);

/* One token for every job, now. */
void fake_tick(struct engine *engine);

/* The client of the newest job. */
uint64_t fake_last_client(const struct engine *engine);

/* From hold to release whoever asks for a status waits for counters; is_awaited: somebody does. */
void fake_hold_counters(struct engine *engine);
void fake_release_counters(struct engine *engine);
bool fake_is_awaited(const struct engine *engine);

/* Jobs that have not ended. */
unsigned fake_n_alive(const struct engine *engine);

/* The end token stands for so many blanks, as some tokens of real vocabularies do. */
#define FAKE_EOS 257
#define FAKE_EOS_BYTES 1000

/* Between hold and release, whoever tokenizes a text that begins with "hold" waits, on whatever
 * thread. is_reached: somebody waits or has waited since. */
void fake_hold_tokenizer(void);
bool fake_is_tokenizer_reached(void);
void fake_release_tokenizer(void);

/* What engine_metrics shows: zeros until a test fills it. */
struct metrics *fake_metrics(struct engine *engine);

#endif
