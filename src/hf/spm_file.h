/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HF_SPM_FILE_H
#define STAGECOACH_HF_SPM_FILE_H
/*
 * spm_file - reads a model of SentencePiece (tokenizer.model, spiece.model): a message of Protocol
 * Buffers with the pieces, how they were trained, and the rules of normalization.
 * Checks what SentencePiece checks when it loads a model. Fields that do not change what a text
 * becomes are skipped; a message that is cut off or malformed is refused with its offset.
 * Private to this folder. Thread: one at a time.
 * Source: sentencepiece_model.proto of SentencePiece.
 */
#include "base/error.h"
#include "model/gguf.h"

enum spm_model { SPM_UNIGRAM = 1, SPM_BPE = 2, SPM_WORD = 3, SPM_CHAR = 4 };

/* The numbers of types are those of tokenizer.ggml.token_type. */
struct spm_piece {
	struct gguf_string text;	/* not empty; borrows from the file's bytes */
	float score;
	uint32_t type;
};

struct spm_file {
	struct spm_piece *pieces;	/* owned; the index is the id */
	size_t n, n_max;
	enum spm_model model;
	bool falls_back;		/* to byte pieces, all 256 of which are there */
	bool is_suffix;			/* the space stands behind a word */
	bool adds_prefix;		/* a space is put at the start of a text */
	bool removes_spaces;		/* in front, behind, and repeated ones */
	bool escapes;			/* spaces become U+2581 */
	struct gguf_string rules;	/* compiled rules of normalization (model/charsmap.h) */
	bool has_output_rules;		/* decoded text is changed */
	uint32_t unknown;		/* ids */
	uint32_t bos, eos, padding;	/* ids, or TOKEN_NONE */
	/* While reading: the names of bos, eos, padding. */
	struct gguf_string bos_name, eos_name, padding_name;
};

/* Borrows data. path: for errors. The caller calls spm_file_deinit in any case. SC_E_FORMAT: not
 * such a message, or one that SentencePiece would refuse. SC_E_UNSUPPORTED: a model that is neither
 * BPE nor Unigram. SC_E_NOMEM. */
must_check enum sc_status spm_file_read(struct spm_file *file, const char *path, const void *data,
					size_t n_bytes, struct error *err);
void spm_file_deinit(struct spm_file *file);

#endif
