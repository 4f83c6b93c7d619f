/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HF_SCALES_H
#define STAGECOACH_HF_SCALES_H
/*
 * scales - finds the scales of FP8 tensors, which are tensors of their own: NAME_scale_inv or
 * NAME_scale. Despite the first name, elements are multiplied by both.
 * Private to store.c.
 */
#include "hf/parts.h"

/* Sets scale and is_scale of the store's tensors. SC_E_FORMAT: a scale that does not fit its
 * tensor. SC_E_UNSUPPORTED: the type of a scale. */
must_check enum sc_status scales_attach(struct hf_store *store, const json_t *config,
					struct error *err);

/* store.c: tensor i, to be changed. */
struct hf_stored *store_edit(struct hf_store *store, size_t i);

#endif
