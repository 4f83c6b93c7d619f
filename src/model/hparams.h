/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_HPARAMS_H
#define STAGECOACH_MODEL_HPARAMS_H
/*
 * hparams - reads hyper-parameters from a file's metadata and checks that they fit together.
 * Private to model.c. Keys are "ARCH.name"; defaults are those of llama.cpp.
 * Source of the keys: the GGUF specification and the files that llama.cpp's converters write.
 */
#include "model/model.h"

/* SC_E_UNSUPPORTED: well formed, but a kind of model that we do not compute (experts, sliding
 * windows, YaRN, ...). SC_E_FORMAT: missing, out of range, or not fitting together. */
must_check enum sc_status hparams_read(const struct gguf *gguf, const struct arch *arch,
				       struct hparams *hparams_out, struct error *err);

#endif
