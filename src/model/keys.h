/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_KEYS_H
#define STAGECOACH_MODEL_KEYS_H
/*
 * keys - refuses model files whose metadata asks for computations that are not implemented.
 * An unknown key may be a factor, a limit or a mask. Ignoring it could give fluent but wrong
 * answers. Therefore:
 * - every key with the architecture's prefix must be read by hparams.c or known to change nothing;
 * - tokenizer keys that would change tokens must have the value that changes nothing;
 * - the file must be a model, not a projector, an adapter or the like.
 * Private to model.c. Source of the keys: the GGUF specification, llama.cpp and its converters.
 * Thread: the one that opens the model.
 */
#include "model/arch.h"
#include "model/gguf.h"

/* SC_E_UNSUPPORTED: general.type says that the file is not a model. */
must_check enum sc_status keys_check_kind(const struct gguf *gguf, struct error *err);

/* SC_E_UNSUPPORTED: err names the unsupported keys and the setting that ignores them. */
must_check enum sc_status keys_check(const struct gguf *gguf, const struct arch *arch,
				     struct error *err);

#endif
