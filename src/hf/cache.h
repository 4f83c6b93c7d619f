/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HF_CACHE_H
#define STAGECOACH_HF_CACHE_H
/*
 * cache - models that Hugging Face's tools have fetched, by name: "org/name", "org/name@revision",
 * "org/name:tag". Nothing is fetched.
 * The cache is $HF_HUB_CACHE, else $HUGGINGFACE_HUB_CACHE, else $HF_HOME/hub, else
 * $XDG_CACHE_HOME/huggingface/hub, else ~/.cache/huggingface/hub. A model is in
 * models--ORG--NAME: refs/REVISION holds the name of a folder under snapshots.
 * Source of the layout: the documentation of the huggingface_hub package.
 * Thread: any; reads the environment.
 */
#include "base/error.h"

#include <stdbool.h>

/* Returns true if name has the form of a model's name: one or two words of letters, digits, '.', '_'
 * and '-' with '/' between them, and perhaps a revision or a tag. It may be a path as well. */
bool hf_cache_is_name(const char *name);

/* Finds the model's folder, or its GGUF file if the folder has no config.json. A tag chooses among
 * several GGUF files: the one whose name contains it. The caller frees *path_out.
 * SC_E_NOT_FOUND: the cache does not have it; err says where it was looked for and how to fetch it.
 * SC_E_INVALID: several files match; err names them. SC_E_IO, SC_E_NOMEM. */
must_check enum sc_status hf_cache_find(const char *name, char **path_out, struct error *err);

/* The words that fetch it: "hf download ORG/NAME", without revision or tag. */
#define HF_CACHE_FETCH_BYTES 232
void hf_cache_fetch_words(const char *name, char words_out[HF_CACHE_FETCH_BYTES]);

#endif
