/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_NORMALIZER_H
#define STAGECOACH_MODEL_NORMALIZER_H
/*
 * normalizer - the first steps of a pipeline: they change a text before it is cut. Bytes that are
 * not UTF-8 pass unchanged.
 * Cost: linear in the text for all steps but regular expressions, which have limits.
 * Private to the tokenizer. Thread: read-only after creation.
 */
#include "model/masked_text.h"
#include "model/pipeline.h"

struct normalizer;

/* Borrows steps and gguf until destroy. SC_E_UNSUPPORTED: a pattern that cannot be translated.
 * SC_E_FORMAT, SC_E_NOMEM. */
must_check enum sc_status normalizer_create(struct pipeline_steps steps, const struct gguf *gguf,
					    struct normalizer **normalizer_out,
					    struct error *err);
void normalizer_destroy(struct normalizer *normalizer);

/* Memory for one text at a time. */
struct matcher;
struct normalizer_scratch {
	struct masked_buf bufs[2];
	struct matcher *matcher;	/* made when a pattern needs it, */
	size_t n_matcher;		/* for texts of so many bytes */
};
#define NORMALIZER_SCRATCH_INIT { .bufs = { MASKED_BUF_INIT, MASKED_BUF_INIT } }
void normalizer_scratch_deinit(struct normalizer_scratch *scratch);

/* *text_out borrows from text or scratch. SC_E_NOMEM. SC_E_TOO_LARGE: the text grows beyond 2^31
 * bytes, or a pattern gave up. */
must_check enum sc_status normalizer_run(const struct normalizer *normalizer,
					 struct masked_text text,
					 struct normalizer_scratch *scratch,
					 struct masked_text *text_out, struct error *err);

/* The most bytes of text that one byte of normalised text can stand for; 0: no bound, because a
 * step drops text. */
size_t normalizer_shrinks(const struct normalizer *normalizer);

#endif
