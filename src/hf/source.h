/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HF_SOURCE_H
#define STAGECOACH_HF_SOURCE_H
/*
 * source - opens what a user names as a model: a GGUF file, a folder (hf.h), or a name in the cache
 * of Hugging Face's tools (cache.h).
 * Thread: as gguf.h.
 */
#include "base/error.h"
#include "model/gguf.h"

enum { SOURCE_ANY_TYPES = 1 };	/* as gguf_open_any_types */

/* Files and folders come before names in the cache. A file of a folder (config.json,
 * model.safetensors) means its folder. As gguf_open and hf_open, and SC_E_NOT_FOUND with what to
 * fetch and how. SC_E_UNSUPPORTED: pickled weights. */
must_check enum sc_status source_open(const char *name, unsigned flags, struct gguf **gguf_out,
				      struct error *err);

/* Returns true if source_open takes the name for one in the cache. */
bool source_is_cached(const char *name);

#endif
