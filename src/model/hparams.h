/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_HPARAMS_H
#define STAGECOACH_MODEL_HPARAMS_H
/*
 * hparams - reads the hyper-parameters from a file's metadata and checks that they are consistent.
 * Private to model.c, but for the formula. Keys are "ARCH.name"; defaults are llama.cpp's.
 * Source of the keys: the GGUF specification, and files written by llama.cpp's converters.
 */
#include "model/model.h"

/* Fills model->hparams and model->shapes, but for the groups. SC_E_UNSUPPORTED: the model needs a
 * feature that is not implemented (experts, a window in a family without one, ...). SC_E_FORMAT: a
 * key is missing, out of range or inconsistent with others; err names it. SC_E_NOMEM. */
must_check enum sc_status hparams_read(struct model *model, struct error *err);

/* YaRN's usual magnitude for a factor; weight is its mscale. */
double rope_yarn_magnitude(double factor, double weight);

#endif
