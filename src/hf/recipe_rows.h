/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HF_RECIPE_ROWS_H
#define STAGECOACH_HF_RECIPE_ROWS_H
/*
 * recipe_rows - which stored row each row of a result is, for each operation.
 * Private to recipe.c. Thread: any.
 */
#include "hf/recipe.h"

/* Fills in n_rows and the pieces. SC_E_FORMAT: stored has another number of rows than the operation
 * needs. */
must_check enum sc_status hf_rows_plan(struct hf_recipe *recipe, enum hf_operation op,
				       const struct hf_numbers *numbers, struct error *err);

/* The stored row of a row of the result, and in *n_run_out how many rows from there on lie behind
 * each other in both, at most max. */
uint64_t hf_rows_find(const struct hf_recipe *recipe, uint64_t row, uint64_t max,
		      uint64_t *n_run_out);

#endif
