/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HF_SAFETENSORS_H
#define STAGECOACH_HF_SAFETENSORS_H
/*
 * safetensors - one mapped file of weights, and its directory. Private to this folder.
 * Layout of a file, little-endian:
 * 1. u64 length of the header;
 * 2. the header, JSON that may end in blanks:
 *    {NAME: {"dtype", "shape", "data_offsets": [begin, end]}, ..., "__metadata__": {strings}};
 * 3. the tensors' data. Offsets are relative to its start. The tensors fill it without gaps, in any
 *    order.
 * Every length, offset, size and name is checked before it is used. Errors read "FILE: ...".
 * Thread: one opens; afterwards read-only.
 * Source of the format: the safetensors project.
 */
#include "base/mapped_file.h"
#include "hf/parts.h"

#define SAFETENSORS_MAX_HEADER 100000000u	/* bytes; the format's own limit */
#define SAFETENSORS_MAX_TENSORS 262144u

struct safetensors {
	struct mapped_file map;
	struct hf_stored *tensors;	/* [n], owned; in the order of the header */
	size_t n;
	char *names;			/* owned: what names of tensors and types point to */
};

/* The caller calls safetensors_close. SC_E_NOT_FOUND, SC_E_IO, SC_E_NOMEM. SC_E_FORMAT: malformed.
 * SC_E_UNSUPPORTED: an unknown element type, or too many dimensions. */
must_check enum sc_status safetensors_open(const char *path, struct safetensors *file_out,
					   struct error *err);
/* The directory of a file in memory, for the fuzz target. Borrows path and data. */
must_check enum sc_status safetensors_read(const char *path, const uint8_t *data, size_t n_bytes,
					   struct safetensors *file_out, struct error *err);
/* Accepts a struct of zeros. */
void safetensors_close(struct safetensors *file);

#endif
