/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_INSPECTION_H
#define STAGECOACH_CLI_INSPECTION_H
/*
 * inspection - what `stagecoach inspect` finds out about a model file, and how it is written.
 * Reads metadata and directory, no weights. Loads nothing.
 * Thread: the main thread.
 */
#include "base/buf.h"
#include "coordinator/fit.h"
#include "engine/engine.h"
#include "engine/wiring.h"
#include "model/summary.h"

#include <jansson.h>

/* Does the model fit? Planned as stagecoachd would plan it. */
struct inspection_fit {
	enum tensor_type kv_type;
	uint32_t context;		/* wanted: of the setting, or that of the training */
	uint64_t memory_bytes;		/* of a stage alone on a machine like this, or by the
					 * setting; 0: unknown */
	bool is_memory_set;
	uint64_t weight_bytes;		/* of the whole model in one stage, */
	uint64_t work_bytes;		/* which works in so much */
	uint64_t position_bytes;	/* keys and values of one token, */
	uint64_t whole_position_bytes;	/* in layers without a window */
	uint64_t context_bytes;		/* of one sequence as long as the context */
	unsigned n_stages;		/* in this process, */
	struct fit here;		/* and whether they have room on this machine */
	/* The least number of stages of memory_bytes for the wanted context; for a context of
	 * POOL_LEAST_CONTEXT. 0: none. */
	unsigned n_stages_whole, n_stages_least;
	/* The plan for n_stages_whole, or else n_stages_least: n_stages_apart. None where these are
	 * so many that it would take long. */
	unsigned n_stages_apart;
	struct fit apart;
};

struct inspection {
	struct gguf *gguf;
	struct summary summary;
	struct opened_model opened;	/* empty when it is not servable */
	struct error why_not;		/* SC_OK: it is servable, and fit is set */
	struct inspection_fit fit;
};

/* inspection is the caller's storage, who calls inspection_close in any case. Errors of gguf_open
 * for a file that is broken or missing, SC_E_CONFIG for settings; a model that is not servable is
 * SC_OK. */
must_check enum sc_status inspection_open(struct inspection *inspection, const char *path,
					  const struct config *config, struct error *err);
/* The same of a file that is open: takes gguf, and does not ask whether it is servable. */
must_check enum sc_status inspection_of(struct inspection *inspection, struct gguf *gguf,
					struct error *err);
void inspection_close(struct inspection *inspection);

/* Append for people, in lines; foreign bytes are made printable. SC_E_NOMEM. */
must_check enum sc_status inspection_print(const struct inspection *inspection, struct buf *text);
must_check enum sc_status inspection_print_keys(const struct inspection *inspection,
						struct buf *text);
must_check enum sc_status inspection_print_tensors(const struct inspection *inspection,
						   struct buf *text);

enum {
	INSPECTION_KEYS = 1,		/* all metadata; of long arrays the beginning */
	INSPECTION_TENSORS = 2,
	INSPECTION_TEMPLATES = 4,	/* the texts of chat templates */
};
/* The same as JSON. NULL: out of memory. Caller calls json_decref. */
json_t *inspection_json(const struct inspection *inspection, unsigned parts);

#endif
