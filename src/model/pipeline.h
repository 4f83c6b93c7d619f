/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_PIPELINE_H
#define STAGECOACH_MODEL_PIPELINE_H
/*
 * pipeline - the steps that a tokenizer.json describes, without its vocabulary. A text passes:
 *	added tokens	those that match the text as it is are cut out;
 *	normalizers	change the text between them;
 *	added tokens	those that match the normalised text are cut out;
 *	pre-tokenizers	cut what is left into words;
 *	model		makes tokens of each word (BPE, Unigram);
 *	template	adds ids before and behind;
 *	decoders	make text of tokens.
 * The key PIPELINE_KEY holds the steps as an array of strings: first the version, "1"; then for
 * each step its name and its arguments. pipeline.c has the table of names. The order of steps
 * is the order of this list: normalizers, pre-tokenizers, one model, template, decoders, added
 * tokens. The vocabulary is in the usual keys (tokenizer.ggml.tokens, merges, scores).
 * With this key a tokenizer does what the tokenizers package does with the tokenizer.json;
 * tokenizer.ggml.pre is then not read. Files without it are read as llama.cpp reads them.
 * Private to the tokenizer, and to src/hf, which writes the key. Thread: read-only once read.
 */
#include "base/error.h"
#include "model/gguf.h"

#include <stdbool.h>

#define PIPELINE_KEY "stagecoach.tokenizer.pipeline"
#define PIPELINE_VERSION "1"
#define PIPELINE_MAX_ARGS 4
#define PIPELINE_MAX_STEPS 64		/* of one section, but for added tokens */

enum pipeline_kind {
	NORMALIZE_NFC, NORMALIZE_NFD, NORMALIZE_NFKC, NORMALIZE_NFKD,
	NORMALIZE_LOWERCASE,
	NORMALIZE_STRIP,		/* left, right */
	NORMALIZE_STRIP_ACCENTS,
	NORMALIZE_NMT,
	NORMALIZE_PREPEND,		/* text */
	NORMALIZE_REPLACE,		/* text, replacement */
	NORMALIZE_REPLACE_REGEX,	/* pattern, replacement */
	NORMALIZE_PRECOMPILED,		/* the map is tokenizer.ggml.precompiled_charsmap */

	SPLIT_TEXT,			/* text, behavior, invert */
	SPLIT_REGEX,			/* pattern, behavior, invert */
	SPLIT_BYTE_LEVEL,		/* add_prefix_space, use_regex */
	SPLIT_DIGITS,			/* individual */
	SPLIT_METASPACE,		/* replacement, prepend scheme, split */
	SPLIT_WHITESPACE,
	SPLIT_WHITESPACE_ONLY,
	SPLIT_PUNCTUATION,		/* behavior */
	SPLIT_BERT,

	MODEL_BPE,			/* pipeline_bpe_args */
	MODEL_UNIGRAM,			/* byte_fallback */

	TEMPLATE_BEFORE,		/* id */
	TEMPLATE_BEHIND,		/* id */

	DECODE_BYTE_LEVEL,
	DECODE_BYTE_FALLBACK,
	DECODE_FUSE,
	DECODE_METASPACE,		/* replacement, prepend scheme */
	DECODE_REPLACE,			/* text, replacement */
	DECODE_STRIP,			/* character, start, stop */

	ADDED_TOKEN,			/* id, flags, content */
};

enum pipeline_section {
	SECTION_NORMALIZE, SECTION_SPLIT, SECTION_MODEL, SECTION_TEMPLATE, SECTION_DECODE,
	SECTION_ADDED, N_SECTIONS
};

/* Arguments of MODEL_BPE. The unknown token is tokenizer.ggml.unknown_token_id. */
enum pipeline_bpe_args { BPE_USES_UNKNOWN, BPE_FUSES_UNKNOWN, BPE_FALLS_BACK, BPE_IGNORES_MERGES };

enum split_behavior {
	SPLIT_REMOVED, SPLIT_ISOLATED, SPLIT_MERGED_WITH_PREVIOUS, SPLIT_MERGED_WITH_NEXT,
	SPLIT_CONTIGUOUS,
};

enum prepend_scheme { PREPEND_ALWAYS, PREPEND_FIRST, PREPEND_NEVER };

/* Flags of ADDED_TOKEN. */
enum {
	ADDED_SPECIAL = 1,
	ADDED_NORMALIZED = 2,	/* matches the normalised text, by its own normalised content */
	ADDED_LSTRIP = 4,	/* white space in front belongs to the token */
	ADDED_RSTRIP = 8,
	ADDED_SINGLE_WORD = 16,
	ADDED_IN_MODEL = 32,	/* the model can make this token, too */
	ADDED_ALL_FLAGS = 63,
};

struct pipeline_arg {
	struct gguf_string text;	/* borrows from the file */
	uint32_t number;		/* of flags, numbers, behaviors and schemes */
};

struct pipeline_step {
	enum pipeline_kind kind;
	struct pipeline_arg args[PIPELINE_MAX_ARGS];
};

struct pipeline_steps {
	const struct pipeline_step *steps;
	size_t n;
};

struct pipeline {
	struct pipeline_step *steps;
	struct pipeline_steps sections[N_SECTIONS];
};

/* The name and the arguments of a kind, as the key writes them. args has one letter for each:
 * s text, b 0 or 1, u number, d behavior, p prepend scheme. */
struct pipeline_row {
	const char *name;
	const char *args;
	enum pipeline_section section;
};
const struct pipeline_row *pipeline_row(enum pipeline_kind kind);
const char *split_behavior_name(enum split_behavior behavior);
const char *prepend_scheme_name(enum prepend_scheme scheme);

bool pipeline_is_in(const struct gguf *gguf);

/* Reads and checks the key; ids must be below n_vocab. Borrows gguf until pipeline_deinit, which
 * the caller calls in any case. SC_E_FORMAT: a malformed list. SC_E_UNSUPPORTED: another version,
 * or a step that is not known. SC_E_NOMEM. */
must_check enum sc_status pipeline_read(struct pipeline *pipeline, const struct gguf *gguf,
					size_t n_vocab, struct error *err);
void pipeline_deinit(struct pipeline *pipeline);

#endif
