/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_TENSOR_HASHES_H
#define STAGECOACH_COORDINATOR_TENSOR_HASHES_H
/*
 * tensor_hashes - the hash of each tensor's data, as the first worker that loaded the tensor said
 * it. Workers that load the same tensor at any time must say the same: otherwise their files have
 * the same header and other weights, and tokens would depend on which worker computes.
 * The worker that speaks first is not known to be right.
 * Thread: the loop's.
 */
#include "base/error.h"
#include "model/model.h"

struct tensor_hashes;

/* Borrows the model whose tensors are meant until destroy. SC_E_NOMEM. */
must_check enum sc_status tensor_hashes_create(const struct model *model,
					       struct tensor_hashes **hashes_out);
void tensor_hashes_destroy(struct tensor_hashes *hashes);

/* A worker says the hash of tensor i; `whose` names the worker. SC_E_INVALID: another worker said
 * another hash; err names the tensor and that worker. SC_E_PROTOCOL: there is no tensor i. */
must_check enum sc_status tensor_hashes_note(struct tensor_hashes *hashes, uint32_t i,
					     uint64_t hash, const char *whose, struct error *err);

#endif
