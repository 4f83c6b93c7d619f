/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_PIPELINE_RIG_H
#define STAGECOACH_TESTS_PIPELINE_RIG_H
/*
 * rig - an engine of N stages in this process for tests, with its loop. Records
 * a hash of the logits behind every token that the last stage draws.
 * Everything aborts the test when it fails.
 */
#include "config/config.h"
#include "engine/engine.h"

#include "base/buf.h"

#include "tests/model/tiny_model.h"

struct rig_options {
	unsigned n_stages;
	enum cpu_isa isa;	/* CPU_AUTO: the best */
	const enum cpu_isa *isas;	/* of each stage; NULL: isa */
	unsigned n_threads;
	uint32_t window;
	uint32_t max_rows;
	uint32_t prompt_chunk;
	uint32_t max_sequences;
	uint32_t max_queue;
	uint32_t kv_positions;	/* 0: plenty */
	uint64_t memory_bytes;	/* of each worker; the pool is chosen by it. 0: unknown */
	uint32_t block_length;
	enum tensor_type kv_type;
	uint64_t max_job_bytes;	/* 0: no limit */
};
extern const struct rig_options rig_defaults;

struct rig_logits {
	uint32_t position;
	uint64_t hash;
};

struct rig {
	struct loop *loop;
	struct engine *engine;
	enum coordinator_phase phase;
	struct error error;		/* of FAILED */
	struct rig_logits *logits;	/* [n_logits], written by the last stage's thread */
	size_t n_logits;
	size_t max_logits;
};

/* The model that rig_use_model opened, or a tiny one of 8 layers. */
const struct opened_model *rig_model(void);
void rig_use_model(const struct tiny_model *tiny);
void rig_use_file(const char *path);
/* Takes the model. */
void rig_use_open_model(struct model *model);
void rig_model_close(void);
/* False if the weights cannot be changed: those of a file. */
bool rig_can_spoil(void);
/* The embedding of a token becomes NaN, for rigs that start from now on; or as it was. */
void rig_spoil_token(uint32_t token);
void rig_mend_token(void);
/* The same, as cmocka calls it after a group of tests. */
int rig_model_teardown(void **state);

/* What a user would set. Memory is plenty, so that no plan depends on the machine. Strings are
 * static. */
struct config rig_settings(const struct rig_options *options);

/* Returns once the pipeline is ready, or has failed. */
void rig_start(struct rig *rig, const struct rig_options *options);
/* Drains and destroys; rig->logits stays until rig_stop_logits. */
void rig_stop(struct rig *rig);
void rig_free_logits(struct rig *rig);

/* Turn the loop until the condition holds. */
#define rig_wait(rig, condition)              \
	do {                                  \
		while (!(condition))          \
			loop_turn((rig)->loop, true); \
	} while (0)

/* Was a row with these logits drawn from at this position? */
bool rig_has_logits(const struct rig *rig, uint32_t position, uint64_t hash);

#endif
