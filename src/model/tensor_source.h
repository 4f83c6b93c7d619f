/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_TENSOR_SOURCE_H
#define STAGECOACH_MODEL_TENSOR_SOURCE_H
/*
 * tensor_source - the elements of tensors that are not stored as they are used: rows in another
 * order, another type, scales beside the numbers. They are made when they are read.
 * All users of a tensor's elements call these functions; they also work for tensors in a file.
 * Thread: any; a source is read-only.
 */
#include "base/error.h"
#include "model/tensor.h"

/* First member of each kind of source's own struct. */
struct tensor_source {
	/* Writes n elements from `first` on, as the tensor's type stores them, to out. Both numbers
	 * are whole rows, or for a vector any. SC_E_FORMAT: the elements cannot be made (a value
	 * that the type cannot hold); err says which. SC_E_NOMEM. */
	enum sc_status (*read)(const struct tensor_source *source, uint64_t first, uint64_t n,
			       void *out, struct error *err);
	/* As tensor_expect and tensor_release, for what read would read. May be NULL. */
	void (*expect)(const struct tensor_source *source, uint64_t first, uint64_t n);
	void (*release)(const struct tensor_source *source, uint64_t first, uint64_t n);
	/* All elements, if they are stored as they are used and aligned to their size, in a mapped
	 * file that nobody writes to. The tensor then has this data and nothing is copied. Else
	 * NULL. */
	const void *data;
	/* The file that has the elements, for errors. NULL: the model's path. */
	const char *path;
};

/* Copies n_rows rows as they are stored (tensor_row_bytes each) to out. SC_E_FORMAT, SC_E_NOMEM: as
 * read; err names the tensor. Never fails for a tensor with data. */
must_check enum sc_status tensor_read_rows(const struct tensor *tensor, uint64_t first_row,
					   uint64_t n_rows, void *out, struct error *err);

/* Copies n elements from `first` on, whole blocks. Of a matrix with a source, whole rows. Else as
 * tensor_read_rows. */
must_check enum sc_status tensor_read(const struct tensor *tensor, uint64_t first, uint64_t n,
				      void *out, struct error *err);

/* A tensor with data: the same one, or a copy whose elements were made and are owned. */
struct tensor_bytes {
	struct tensor tensor;
	void *owned;
};

/* Call tensor_bytes_put when the data is no longer needed. SC_E_NOMEM; as read. */
must_check enum sc_status tensor_bytes_get(const struct tensor *tensor,
					   struct tensor_bytes *bytes_out, struct error *err);
/* Accepts a struct of zeros. */
void tensor_bytes_put(struct tensor_bytes *bytes);

/* Some rows of a matrix, or elements of a vector, as a tensor. It borrows from `of`. n must be a
 * whole number of the type's blocks for a vector. */
struct tensor tensor_view(const struct tensor *of, uint64_t first, uint64_t n);

/* The order in which tensors of a model are stored: below 0 if a comes first, above 0 if b does. */
int tensor_compare_places(const struct tensor *a, const struct tensor *b);

#endif
