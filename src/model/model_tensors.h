/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_MODEL_TENSORS_H
#define STAGECOACH_MODEL_MODEL_TENSORS_H
/*
 * model_tensors - finds the tensors of a model in its file and checks them. Private to model.c.
 * Thread: the one that opens the model.
 */
#include "model/model.h"

/* Fills layers, outer and views of a model whose hyper-parameters and shapes are known.
 * SC_E_FORMAT: a tensor is missing or has another shape or type. SC_E_UNSUPPORTED: the file has a
 * tensor that this architecture does not use. err names the tensor. */
must_check enum sc_status model_find_tensors(struct model *model, struct error *err);

/* Trained parameters: the elements of all tensors but the rope factors. */
uint64_t model_count_params(const struct model *model);

#endif
