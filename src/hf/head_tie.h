/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HF_HEAD_TIE_H
#define STAGECOACH_HF_HEAD_TIE_H
/*
 * head_tie - whether the matrix of logits is the embedding. config.json may say so although the
 * stored head is another, so a few rows of both are compared.
 * Private to tensors.c. Thread: one at a time.
 */
#include "hf/family.h"
#include "hf/parts.h"

/* head: as it is stored. True: config.json ties it to the embedding, and it is stored with the same
 * numbers; it is superfluous. */
bool hf_head_is_tied(const struct hf_family *family, const struct hf_config *config,
		     const struct hf_stored *embedding, const struct hf_stored *head);

/* Baichuan 2: each row of the head is divided by its length. */
bool hf_head_has_unit_rows(const struct hf_family *family, const struct hf_config *config);

#endif
