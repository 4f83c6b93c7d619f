/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HF_RECIPE_H
#define STAGECOACH_HF_RECIPE_H
/*
 * recipe - a tensor of GGUF whose elements are made of a stored one when they are read: rows in
 * another order, columns for rows, another type, one added.
 * A "row" is an output of a matrix. A vector has rows of one element, so that a bias follows the
 * order of its matrix.
 * Private to this folder. Thread: one makes a recipe; then any reads.
 */
#include "hf/family.h"
#include "hf/parts.h"

/* Rows of the result in a row: row r, written with digits of these sizes (digit 0 counts slowest),
 * is stored row first + sum of digit * stride. */
#define HF_MAX_DIGITS 4
struct hf_rows {
	uint64_t n;
	uint64_t first;
	unsigned n_digits;
	uint64_t size[HF_MAX_DIGITS], stride[HF_MAX_DIGITS];
};

enum hf_recipe_kind {
	HF_RECIPE_ROWS,		/* pieces of one stored tensor */
	HF_RECIPE_TRANSPOSE,
	HF_RECIPE_STACK,	/* one stored vector per row */
	HF_RECIPE_UNIT,		/* as HF_RECIPE_ROWS, each row divided by its length */
	HF_RECIPE_MADE,		/* of nothing stored */
};

#define HF_MAX_PIECES 3
struct hf_recipe {
	struct tensor_source source;	/* first: readers have a pointer to it */
	enum hf_recipe_kind kind;
	enum tensor_type type;		/* F32, F16 or BF16 */
	unsigned n_dims;		/* of the result */
	uint64_t n_rows, row_length;	/* a vector: row_length is 1 */
	float add;			/* to each element; F32 only */
	const struct hf_stored *stored;		/* borrowed */
	const struct hf_stored *const *stack;	/* [n_rows], borrowed */
	const float *made;			/* [n_rows], borrowed */
	unsigned n_pieces;
	struct hf_rows pieces[HF_MAX_PIECES];
};

/* Fills in a recipe for one stored tensor. wants_f32: of vectors and the like; other tensors keep
 * their type, except that FP8 becomes BF16. SC_E_FORMAT: the stored shape does not fit the
 * operation. SC_E_UNSUPPORTED: its type cannot be used. err names the stored tensor. */
must_check enum sc_status hf_recipe_init(struct hf_recipe *recipe, enum hf_operation op,
					 const struct hf_numbers *numbers,
					 const struct hf_stored *stored, bool wants_f32,
					 float add, struct error *err);

/* One vector per head, all of the same length. */
must_check enum sc_status hf_recipe_init_stack(struct hf_recipe *recipe,
					       const struct hf_stored *const *stack, size_t n,
					       struct error *err);

/* A vector of F32. */
void hf_recipe_init_made(struct hf_recipe *recipe, const float *values, size_t n);

/* The tensor as the directory has it. name is borrowed. */
struct tensor hf_recipe_tensor(const struct hf_recipe *recipe, const char *name);

/* Sets "FILE: tensor 'NAME': message". Returns status. */
enum sc_status hf_stored_error(const struct hf_stored *stored, enum sc_status status,
			       struct error *err, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#endif
