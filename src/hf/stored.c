/* SPDX-License-Identifier: Apache-2.0 */
/* The elements of stored tensors. */
#include "hf/parts.h"

#include "base/bytes.h"
#include "base/integers.h"
#include "model/float16.h"

#include <assert.h>
#include <math.h>
#include <sys/mman.h>
#include <unistd.h>

/* The format E4M3FN of the OCP 8-bit Floating Point Specification: 4 bits of exponent with 7 added,
 * no infinity, and NaN where all other bits are set. */
#define F8_VALUE(sign, exponent, mantissa) \
	((exponent) == 15 && (mantissa) == 7 ? (sign) * NAN \
	 : (exponent) == 0 ? (sign) * (mantissa) * 0x1p-9f \
	 : (sign) * (8 + (mantissa)) * ((float)(1u << (exponent)) * 0x1p-10f))
#define F8_EXPONENT(sign, exponent) \
	F8_VALUE(sign, exponent, 0), F8_VALUE(sign, exponent, 1), F8_VALUE(sign, exponent, 2), \
	F8_VALUE(sign, exponent, 3), F8_VALUE(sign, exponent, 4), F8_VALUE(sign, exponent, 5), \
	F8_VALUE(sign, exponent, 6), F8_VALUE(sign, exponent, 7)
#define F8_SIGN(sign) \
	F8_EXPONENT(sign, 0), F8_EXPONENT(sign, 1), F8_EXPONENT(sign, 2), F8_EXPONENT(sign, 3), \
	F8_EXPONENT(sign, 4), F8_EXPONENT(sign, 5), F8_EXPONENT(sign, 6), F8_EXPONENT(sign, 7), \
	F8_EXPONENT(sign, 8), F8_EXPONENT(sign, 9), F8_EXPONENT(sign, 10), \
	F8_EXPONENT(sign, 11), F8_EXPONENT(sign, 12), F8_EXPONENT(sign, 13), \
	F8_EXPONENT(sign, 14), F8_EXPONENT(sign, 15)

static const float f8_e4m3_values[256] = { F8_SIGN(1.0f), F8_SIGN(-1.0f) };

static void read_plain(const struct hf_stored *stored, uint64_t first, uint64_t n, float *out)
{
	const uint8_t *from = stored->data + first * hf_dtype_bytes(stored->dtype);

	switch (stored->dtype) {
	case HF_F32:
		memcpy(out, from, n * sizeof *out);
		break;
	case HF_F16:
		for (uint64_t i = 0; i < n; i++)
			out[i] = f16_to_f32(load_le16(from + 2 * i));
		break;
	case HF_BF16:
		for (uint64_t i = 0; i < n; i++)
			out[i] = bf16_to_f32(load_le16(from + 2 * i));
		break;
	case HF_F8_E4M3:
		for (uint64_t i = 0; i < n; i++)
			out[i] = f8_e4m3_values[from[i]];
		break;
	case HF_I64:
		for (uint64_t i = 0; i < n; i++)
			out[i] = (float)(int64_t)load_le64(from + 8 * i);
		break;
	case HF_I32:
		for (uint64_t i = 0; i < n; i++)
			out[i] = (float)(int32_t)load_le32(from + 4 * i);
		break;
	case HF_U8:
		for (uint64_t i = 0; i < n; i++)
			out[i] = (float)from[i];
		break;
	case HF_OTHER:
		assert(!"a type that is not read");
	}
}

/* Multiplies elements of one row, from `column` on. */
static void scale_row(const struct hf_stored *stored, uint64_t row, uint64_t column, uint64_t n,
		      float *x)
{
	const uint64_t width = div_up(stored->dims[1], stored->scale_columns);
	const uint64_t first = row / stored->scale_rows * width;

	for (uint64_t i = 0; i < n;) {
		const uint64_t block = (column + i) / stored->scale_columns;
		const uint64_t end = min_of((block + 1) * stored->scale_columns - column, n);
		float scale;

		read_plain(stored->scale, first + block, 1, &scale);
		for (; i < end; i++)
			x[i] *= scale;
	}
}

void hf_stored_f32(const struct hf_stored *stored, uint64_t first, uint64_t n, float *out)
{
	const uint64_t columns = stored->n_dims == 2 ? stored->dims[1] : 0;
	float scale;

	read_plain(stored, first, n, out);
	if (!stored->scale)
		return;
	if (!columns) {	/* one scale */
		read_plain(stored->scale, 0, 1, &scale);
		for (uint64_t i = 0; i < n; i++)
			out[i] *= scale;
		return;
	}
	for (uint64_t i = 0; i < n;) {
		const uint64_t column = (first + i) % columns;
		const uint64_t n_here = min_of(columns - column, n - i);

		scale_row(stored, (first + i) / columns, column, n_here, out + i);
		i += n_here;
	}
}

/* --- paging --- */

static void advise(const struct hf_stored *stored, uint64_t first, uint64_t n, int advice)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	const size_t element = hf_dtype_bytes(stored->dtype);
	uintptr_t start, end;

	if (first * element >= stored->n_bytes)
		return;
	start = (uintptr_t)stored->data + first * element;
	end = start + min_of(n * element, stored->n_bytes - first * element);
	start = start / page * page;
	(void)madvise((void *)start, end - start, advice);
}

void hf_stored_expect(const struct hf_stored *stored, uint64_t first, uint64_t n)
{
	advise(stored, first, n, MADV_WILLNEED);
}

void hf_stored_release(const struct hf_stored *stored, uint64_t first, uint64_t n)
{
	advise(stored, first, n, MADV_DONTNEED);
}
