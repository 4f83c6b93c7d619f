/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_ENGINE_WIRING_H
#define STAGECOACH_ENGINE_WIRING_H
/*
 * wiring - from settings to the objects that they describe: what stagecoachd, `stagecoach run`,
 * `bench`, `perplexity` and the pipeline tests do alike.
 * Thread: the loop's.
 */
#include "config/config.h"
#include "coordinator/allowance.h"
#include "coordinator/coordinator.h"
#include "worker/worker.h"

/* A model file with its tokenizer. */
struct opened_model {
	struct model *model;
	struct tokenizer *tokenizer;
	size_t n_prompt_tokens;		/* of the text to continue; 0: not read yet, or none */
};
/* ignored_keys: metadata that counts as absent, see gguf_ignore_keys. */
must_check enum sc_status opened_model_open(struct opened_model *opened, const char *path,
					    const char *ignored_keys, struct error *err);
void opened_model_close(struct opened_model *opened);

/* Warn of each of the keys of gguf_ignore_keys that the file does not have: it may be misspelt. */
void wire_warn_ignored(const struct gguf *gguf, const char *ignored_keys);

/* What the settings say, for n_stages stages; loop, fabric, model and callbacks are the caller's.
 * SC_E_CONFIG: settings that contradict the model or each other. */
must_check enum sc_status wire_coordinator_config(const struct config *config,
						  const struct opened_model *opened,
						  unsigned n_stages,
						  struct coordinator_config *out,
						  struct error *err);

/* Memory that the process of such a coordinator comes to take: its frames, what its links receive
 * into (link_bytes each; 0 for loopback), jobs, and client_bytes for clients (0: none). */
uint64_t wire_coordinator_bytes(const struct coordinator_config *coordinator, size_t link_bytes,
				size_t client_bytes);

/* The set of the setting `cpu`: CPU_AUTO for auto. SC_E_CONFIG: this processor does not have it. */
must_check enum sc_status wire_isa(const struct config *config, enum cpu_isa *isa_out,
				   struct error *err);

/* The same for a worker with its share of the machine; settings for memory and threads come
 * first. */
must_check enum sc_status wire_worker_config(const struct config *config,
					     const struct model *model,
					     const struct allowance *allowance,
					     struct worker_config *out, struct error *err);

/* A failure with status, as its exit code shall tell it: what does not fit is the fault of a flag
 * (SC_E_INVALID), or of the file or environment (SC_E_CONFIG), that asked for it: --memory,
 * --ctx-size or --kv-positions. */
enum sc_status wire_fault(const struct config *config, enum sc_status status);

/* Warn of a sequence of n_positions, if the model was trained for fewer. */
void wire_warn_of_length(const struct opened_model *opened, uint32_t n_positions);

/* For the fabric of rank. */
struct fabric_config wire_fabric_config(const struct config *config,
					const struct coordinator_config *coordinator,
					unsigned rank);

/* A random seed when the setting is -1: of 32 bits, as the gateway makes them, so that people can
 * type it again. */
uint64_t wire_seed(const struct config *config);

#endif
