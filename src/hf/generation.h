/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HF_GENERATION_H
#define STAGECOACH_HF_GENERATION_H
/*
 * generation - what a folder's generation_config.json says: at which tokens a text ends, and with
 * which values its authors sample.
 * Private to this folder. Thread: one at a time.
 */
#include "hf/parts.h"

#define GENERATION_MAX_ENDS 32

/* Ids below n_vocab, each once. */
struct end_list {
	uint32_t ids[GENERATION_MAX_ENDS];
	size_t n;
	size_t n_vocab;
};

/* Adds an id that is below n_vocab and not there yet; ids beyond the list's room are left out. */
void end_list_add(struct end_list *list, uint32_t id);
/* Adds a JSON number, or all numbers of a list; other values are left out. */
void end_list_add_json(struct end_list *list, const json_t *value);

/* *json_out: generation_config.json, or NULL if there is none. The caller calls json_decref.
 * SC_E_FORMAT, SC_E_IO, SC_E_NOMEM. */
must_check enum sc_status generation_load(const char *folder, json_t **json_out,
					  struct error *err);

/* general.sampling.*: the values of json, as llama.cpp's converter writes them. They are kept for
 * those who read the file; jobs have the defaults of the settings. SC_E_NOMEM. */
must_check enum sc_status generation_put_sampling(const json_t *json, struct gguf_head *head);

#endif
