/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_SPLITTER_H
#define STAGECOACH_MODEL_SPLITTER_H
/*
 * splitter - the pre-tokenizers of a pipeline: cuts a text into the words that the model makes
 * tokens of. Each step is applied to the pieces that the steps before it produced.
 * Behind a step ByteLevel, patterns see the byte alphabet (byte_alphabet.h), as in the tokenizers
 * package; the words are bytes all the same.
 * Private to the tokenizer. Thread: read-only after creation.
 */
#include "model/pipeline.h"
#include "model/pretokenizer.h"

struct splitter;

/* Borrows steps until destroy. SC_E_UNSUPPORTED: a pattern that cannot be translated, or an order
 * of steps that is not supported. SC_E_NOMEM. */
must_check enum sc_status splitter_create(struct pipeline_steps steps,
					  struct splitter **splitter_out, struct error *err);
void splitter_destroy(struct splitter *splitter);

/* Returns true if words are bytes; false: characters. */
bool splitter_is_byte_level(const struct splitter *splitter);
/* Returns true if some text is left out. */
bool splitter_drops_text(const struct splitter *splitter);

/* Memory for one text at a time, kept for the many parts of a text. */
struct splitter_scratch;

/* Borrows splitter until destroy. n_bytes: of the longest text. SC_E_NOMEM. */
must_check enum sc_status splitter_scratch_create(const struct splitter *splitter, size_t n_bytes,
						  struct splitter_scratch **scratch_out);
void splitter_scratch_destroy(struct splitter_scratch *scratch);

/* Calls on_word for each word in order; its text lives until it returns. is_first: text is where
 * the whole text begins. SC_E_NOMEM. SC_E_TOO_LARGE: a pattern reached its match limit. */
must_check enum sc_status splitter_split(struct splitter_scratch *scratch, const char *text,
					 size_t n_bytes, bool is_first,
					 pretokenizer_word *on_word, void *context,
					 struct error *err);

#endif
