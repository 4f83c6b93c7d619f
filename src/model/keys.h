/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_KEYS_H
#define STAGECOACH_MODEL_KEYS_H
/*
 * keys - refuses a model file whose metadata says that it is computed in a way that we do not know.
 * A key that we do not read may stand for a factor, a limit or a mask: the model would answer
 * fluently, and wrongly. So every key with the architecture's prefix must be one that is read, or
 * one that is known to change nothing; keys of the tokenizer that change tokens must have the value
 * that changes nothing; and the file must be a model, not a projector, an adapter or the like.
 * Private to model.c. Source of the keys: the GGUF specification, and the keys that llama.cpp and
 * its converters know.
 * Thread: the one that opens the model.
 */
#include "model/arch.h"
#include "model/gguf.h"

/* Is the file a model? SC_E_UNSUPPORTED: general.type names something else. */
must_check enum sc_status keys_check_kind(const struct gguf *gguf, struct error *err);

/* SC_E_UNSUPPORTED: err names the keys, and the setting that leaves them out. */
must_check enum sc_status keys_check(const struct gguf *gguf, const struct arch *arch,
				     struct error *err);

#endif
