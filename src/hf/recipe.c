/* SPDX-License-Identifier: Apache-2.0 */
#include "hf/recipe.h"

#include "hf/recipe_rows.h"
#include "model/float16.h"
#include "model/quote.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 1024		/* elements on the stack */

enum sc_status hf_stored_error(const struct hf_stored *stored, enum sc_status status,
			       struct error *err, const char *format, ...)
{
	char message[ERROR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof message, format, args);
	va_end(args);
	return error_set(err, status, "%s: tensor '%s': %s", stored->file,
			 quote(stored->name, strlen(stored->name)).text, message);
}

static size_t element_bytes(enum tensor_type type)
{
	return type == TENSOR_F32 ? 4 : 2;
}

/* The type whose elements are stored as GGUF has them; F32 for all others. */
static enum tensor_type stored_type(const struct hf_stored *stored)
{
	switch (stored->dtype) {
	case HF_F16: return TENSOR_F16;
	case HF_BF16: case HF_F8_E4M3: return TENSOR_BF16;
	default: return TENSOR_F32;
	}
}

static bool is_kept(const struct hf_recipe *recipe, const struct hf_stored *stored)
{
	return stored->dtype != HF_F8_E4M3 && stored_type(stored) == recipe->type &&
	       recipe->add == 0;
}

static void encode(enum tensor_type type, const float *x, uint64_t n, void *out)
{
	uint16_t *half = out;

	if (type == TENSOR_F32)
		memcpy(out, x, n * sizeof *x);
	for (uint64_t i = 0; type == TENSOR_BF16 && i < n; i++)
		half[i] = f32_to_bf16(x[i]);
	for (uint64_t i = 0; type == TENSOR_F16 && i < n; i++)
		half[i] = f32_to_f16(x[i]);
}

/* n stored elements from `first` on, in the recipe's type. */
static void put_run(const struct hf_recipe *recipe, const struct hf_stored *stored, uint64_t first,
		    uint64_t n, void *out)
{
	const size_t size = element_bytes(recipe->type);
	float x[CHUNK];

	if (is_kept(recipe, stored)) {
		memcpy(out, stored->data + first * size, n * size);
		return;
	}
	for (uint64_t done = 0, part; done < n; done += part) {
		part = n - done < CHUNK ? n - done : CHUNK;
		hf_stored_f32(stored, first + done, part, x);
		for (uint64_t i = 0; recipe->add != 0 && i < part; i++)
			x[i] += recipe->add;	/* else -0 would become 0 */
		encode(recipe->type, x, part, (char *)out + done * size);
	}
}

static void read_rows(const struct hf_recipe *recipe, uint64_t row, uint64_t n, char *out)
{
	const size_t row_bytes = recipe->row_length * element_bytes(recipe->type);

	for (uint64_t run, stored; n; row += run, n -= run, out += run * row_bytes) {
		stored = hf_rows_find(recipe, row, n, &run);
		put_run(recipe, recipe->stored, stored * recipe->row_length,
			run * recipe->row_length, out);
	}
}

/* Copies columns [row, row + n) of the stored matrix to rows. */
static void read_columns(const struct hf_recipe *recipe, uint64_t row, uint64_t n, char *out)
{
	const size_t size = element_bytes(recipe->type);
	char part[CHUNK * sizeof(float)];

	for (uint64_t c = 0; c < recipe->row_length; c++)
		for (uint64_t done = 0, m; done < n; done += m) {
			m = n - done < CHUNK ? n - done : CHUNK;
			put_run(recipe, recipe->stored, c * recipe->n_rows + row + done, m, part);
			for (uint64_t i = 0; i < m; i++)
				memcpy(out + ((done + i) * recipe->row_length + c) * size,
				       part + i * size, size);
		}
}

static enum sc_status read_unit_rows(const struct hf_recipe *recipe, uint64_t row, uint64_t n,
				     char *out, struct error *err)
{
	const uint64_t length = recipe->row_length;
	float *x = malloc(length * sizeof *x);

	if (!x)
		return error_set(err, SC_E_NOMEM, "out of memory");
	for (; n; n--, row++, out += length * element_bytes(recipe->type)) {
		double sum = 0;

		hf_stored_f32(recipe->stored, row * length, length, x);
		for (uint64_t i = 0; i < length; i++)
			sum += (double)x[i] * x[i];
		sum = sum > 0 ? 1 / sqrt(sum) : 0;
		for (uint64_t i = 0; i < length; i++)
			x[i] = (float)(x[i] * sum);
		encode(recipe->type, x, length, out);
	}
	free(x);
	return SC_OK;
}

static enum sc_status read_recipe(const struct tensor_source *source, uint64_t first, uint64_t n,
				  void *out, struct error *err)
{
	const struct hf_recipe *recipe = (const struct hf_recipe *)source;
	const uint64_t row = first / recipe->row_length;

	n /= recipe->row_length;
	switch (recipe->kind) {
	case HF_RECIPE_ROWS:
		read_rows(recipe, row, n, out);
		return SC_OK;
	case HF_RECIPE_TRANSPOSE:
		read_columns(recipe, row, n, out);
		return SC_OK;
	case HF_RECIPE_STACK:
		for (uint64_t i = 0; i < n; i++)
			put_run(recipe, recipe->stack[row + i], 0, recipe->row_length,
				(float *)out + i * recipe->row_length);
		return SC_OK;
	case HF_RECIPE_UNIT:
		return read_unit_rows(recipe, row, n, out, err);
	case HF_RECIPE_MADE:
		memcpy(out, recipe->made + first, n * sizeof(float));
		return SC_OK;
	}
	return SC_OK;
}

/* The stored elements among which are those of some rows. */
static void find_range(const struct hf_recipe *recipe, uint64_t first, uint64_t n,
		       uint64_t *first_out, uint64_t *n_out)
{
	const uint64_t length = recipe->row_length, end = (first + n) / length;
	uint64_t low = UINT64_MAX, high = 0;

	for (uint64_t row = first / length, run, stored; row < end; row += run) {
		stored = hf_rows_find(recipe, row, end - row, &run);
		low = stored < low ? stored : low;
		high = stored + run > high ? stored + run : high;
	}
	*first_out = low * length;
	*n_out = (high - low) * length;
}

static bool is_of_rows(const struct hf_recipe *recipe)
{
	return recipe->kind == HF_RECIPE_ROWS || recipe->kind == HF_RECIPE_UNIT;
}

static void expect_recipe(const struct tensor_source *source, uint64_t first, uint64_t n)
{
	const struct hf_recipe *recipe = (const struct hf_recipe *)source;

	if (recipe->kind == HF_RECIPE_TRANSPOSE)
		hf_stored_expect(recipe->stored, 0, recipe->n_rows * recipe->row_length);
	if (!is_of_rows(recipe) || !n)
		return;
	find_range(recipe, first, n, &first, &n);
	hf_stored_expect(recipe->stored, first, n);
}

/* A transposed matrix is needed whole until its last row was read. */
static void release_recipe(const struct tensor_source *source, uint64_t first, uint64_t n)
{
	const struct hf_recipe *recipe = (const struct hf_recipe *)source;
	const uint64_t all = recipe->n_rows * recipe->row_length;

	if (recipe->kind == HF_RECIPE_TRANSPOSE && first + n == all)
		hf_stored_release(recipe->stored, 0, all);
	if (!is_of_rows(recipe) || !n)
		return;
	find_range(recipe, first, n, &first, &n);
	hf_stored_release(recipe->stored, first, n);
}

static struct tensor_source new_source(const char *path)
{
	return (struct tensor_source){
		.read = read_recipe, .expect = expect_recipe, .release = release_recipe,
		.path = path,
	};
}

/* The stored bytes themselves, if they are all in order, of the right type and aligned. */
static const void *find_data(const struct hf_recipe *recipe)
{
	const size_t size = element_bytes(recipe->type);
	const struct hf_rows *piece = &recipe->pieces[0];
	const uint8_t *data;

	if (recipe->kind != HF_RECIPE_ROWS || recipe->n_pieces != 1 || piece->n_digits != 1 ||
	    !is_kept(recipe, recipe->stored))
		return NULL;
	data = recipe->stored->data + piece->first * recipe->row_length * size;
	return (uintptr_t)data % size ? NULL : data;
}

static enum sc_status check_stored(const struct hf_stored *stored, enum hf_operation op,
				   struct error *err)
{
	if (stored->dtype > HF_F8_E4M3)
		return hf_stored_error(stored, SC_E_UNSUPPORTED, err,
				       "its type is not supported; weights must be F32, F16, BF16 "
				       "or F8_E4M3");
	if (stored->n_dims < 1 || stored->n_dims > 2)
		return hf_stored_error(stored, SC_E_FORMAT, err,
				       "expected 1 or 2 dimensions, found %u", stored->n_dims);
	for (unsigned i = 0; i < stored->n_dims; i++)
		if (stored->dims[i] == 0)
			return hf_stored_error(stored, SC_E_FORMAT, err, "it has no elements");
	if (op == HF_TRANSPOSE && stored->dtype == HF_F8_E4M3)
		return hf_stored_error(stored, SC_E_UNSUPPORTED, err,
				       "FP8 is not supported for this family");
	return SC_OK;
}

enum sc_status hf_recipe_init(struct hf_recipe *recipe, enum hf_operation op,
			      const struct hf_numbers *numbers, const struct hf_stored *stored,
			      bool wants_f32, float add, struct error *err)
{
	enum sc_status status = check_stored(stored, op, err);
	const bool is_vector = stored->n_dims == 1;

	*recipe = (struct hf_recipe){
		.source = new_source(stored->file), .kind = HF_RECIPE_ROWS, .stored = stored,
		.type = wants_f32 || is_vector ? TENSOR_F32 : stored_type(stored),
		.n_dims = stored->n_dims, .row_length = is_vector ? 1 : stored->dims[1],
		.add = add,
	};
	if (status)
		return status;
	if (op == HF_TRANSPOSE && !is_vector) {
		recipe->kind = HF_RECIPE_TRANSPOSE;
		recipe->n_rows = stored->dims[1];
		recipe->row_length = stored->dims[0];
		return SC_OK;
	}
	if (op == HF_UNIT_ROWS && !is_vector)
		recipe->kind = HF_RECIPE_UNIT;
	status = hf_rows_plan(recipe, op, numbers, err);
	if (!status)
		recipe->source.data = find_data(recipe);
	return status;
}

enum sc_status hf_recipe_init_stack(struct hf_recipe *recipe, const struct hf_stored *const *stack,
				    size_t n, struct error *err)
{
	*recipe = (struct hf_recipe){
		.source = new_source(stack[0]->file), .kind = HF_RECIPE_STACK, .stack = stack,
		.type = TENSOR_F32, .n_dims = 2, .n_rows = n, .row_length = stack[0]->dims[0],
	};
	for (size_t i = 0; i < n; i++) {
		enum sc_status status = check_stored(stack[i], HF_AS_IS, err);

		if (status)
			return status;
		if (stack[i]->n_dims != 1 || stack[i]->dims[0] != recipe->row_length)
			return hf_stored_error(stack[i], SC_E_FORMAT, err,
					       "expected a vector of %" PRIu64 " elements, as the "
					       "first head has", recipe->row_length);
	}
	return SC_OK;
}

void hf_recipe_init_made(struct hf_recipe *recipe, const float *values, size_t n)
{
	*recipe = (struct hf_recipe){
		.source = new_source(NULL), .kind = HF_RECIPE_MADE, .made = values,
		.type = TENSOR_F32, .n_dims = 1, .n_rows = n, .row_length = 1,
	};
}

struct tensor hf_recipe_tensor(const struct hf_recipe *recipe, const char *name)
{
	struct tensor tensor = {
		.name = name, .type = recipe->type, .n_dims = recipe->n_dims,
		.dims = { recipe->row_length, recipe->n_rows, 1, 1 },
	};

	if (recipe->n_dims == 1) {
		tensor.dims[0] = recipe->n_rows;
		tensor.dims[1] = 1;
	}
	return tensor;
}
