/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HF_NAMES_H
#define STAGECOACH_HF_NAMES_H
/*
 * names - the stored tensors by their names in the table of families, and which of them were used.
 * The same tensor has different names: within a wrapper ("language_model.model.layers.0...",
 * "model.language_model.layers.0..."), or saved without the head ("layers.0..."). The name of the
 * embedding tells which.
 * Private to this folder. Thread: one at a time.
 */
#include "hf/parts.h"

#include <stdbool.h>

#define HF_NAME_BYTES 160

struct hf_names;

/* Borrows store. embedding: its name in the table, with ".weight". SC_E_NOMEM. */
must_check enum sc_status hf_names_create(const struct hf_store *store, const char *embedding,
					  struct hf_names **names_out, struct error *err);
void hf_names_destroy(struct hf_names *names);

/* NULL: no such tensor. Otherwise it counts as used. */
const struct hf_stored *hf_names_use(struct hf_names *names, const char *name);

/* The first stored tensor that was not used, from index `from` on, or NULL; its index in
 * *index_out. */
const struct hf_stored *hf_names_unused(const struct hf_names *names, size_t from,
					size_t *index_out);

/* Replaces '#' in pattern by layer and '@' by head, and appends suffix. */
void hf_name_format(const char *pattern, uint32_t layer, uint32_t head, const char *suffix,
		    char name_out[HF_NAME_BYTES]);

#endif
