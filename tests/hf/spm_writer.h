/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_HF_SPM_WRITER_H
#define STAGECOACH_TESTS_HF_SPM_WRITER_H
/*
 * spm_writer - writes models of SentencePiece, valid and broken, for tests. Aborts when memory runs
 * out.
 */
#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

/* Fields of any message. */
void spm_writer_number(struct buf *message, unsigned field, uint64_t value);
void spm_writer_float(struct buf *message, unsigned field, float value);
void spm_writer_bytes(struct buf *message, unsigned field, const void *bytes, size_t n_bytes);

/* A piece; type 0: the field is left out. */
void spm_writer_piece(struct buf *model, const char *text, float score, unsigned type);
/* trainer_spec with model_type and byte_fallback. */
void spm_writer_trainer(struct buf *model, unsigned model_type, bool falls_back);
/* normalizer_spec with add_dummy_prefix and remove_extra_whitespaces. */
void spm_writer_normalizer(struct buf *model, bool adds_prefix, bool removes_spaces);
/* <unk>, <s>, </s>, and with with_bytes the 256 byte pieces. */
void spm_writer_begin(struct buf *model, bool with_bytes);

#endif
