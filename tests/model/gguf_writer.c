/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/model/gguf_writer.h"

#include "base/bytes.h"

#include <math.h>
#include <stdlib.h>

static void add(struct buf *buf, const void *bytes, size_t n_bytes)
{
	if (buf_add(buf, bytes, n_bytes))
		abort();
}

static void add_u32(struct buf *buf, uint32_t v)
{
	add(buf, &v, sizeof v);
}

static void add_u64(struct buf *buf, uint64_t v)
{
	add(buf, &v, sizeof v);
}

static void add_string(struct buf *buf, const char *string)
{
	add_u64(buf, strlen(string));
	add(buf, string, strlen(string));
}

static void pad(struct buf *buf, size_t alignment)
{
	static const char zeros[64];

	while (buf->length % alignment) {
		const size_t n = alignment - buf->length % alignment;

		add(buf, zeros, n < sizeof zeros ? n : sizeof zeros);
	}
}

void gguf_writer_init(struct gguf_writer *w)
{
	*w = (struct gguf_writer){ .version = 3, .alignment = 32, .pairs = BUF_INIT,
				   .directory = BUF_INIT, .data = BUF_INIT };
}

void gguf_writer_deinit(struct gguf_writer *w)
{
	buf_deinit(&w->pairs);
	buf_deinit(&w->directory);
	buf_deinit(&w->data);
}

void gguf_writer_raw(struct gguf_writer *w, const char *key, uint32_t type, const void *value,
		     size_t n_bytes)
{
	add_string(&w->pairs, key);
	add_u32(&w->pairs, type);
	add(&w->pairs, value, n_bytes);
	w->n_pairs++;
}

void gguf_writer_u32(struct gguf_writer *w, const char *key, uint32_t value)
{
	gguf_writer_raw(w, key, GGUF_U32, &value, sizeof value);
}

void gguf_writer_f32(struct gguf_writer *w, const char *key, float value)
{
	gguf_writer_raw(w, key, GGUF_F32, &value, sizeof value);
}

void gguf_writer_bool(struct gguf_writer *w, const char *key, bool value)
{
	gguf_writer_raw(w, key, GGUF_BOOL, &(uint8_t){ value }, 1);
}

void gguf_writer_string(struct gguf_writer *w, const char *key, const char *value)
{
	gguf_writer_raw(w, key, GGUF_STRING, NULL, 0);
	add_string(&w->pairs, value);
}

void gguf_writer_array(struct gguf_writer *w, const char *key, enum gguf_type type,
		       const void *values, size_t n, size_t n_bytes)
{
	gguf_writer_raw(w, key, GGUF_ARRAY, NULL, 0);
	add_u32(&w->pairs, type);
	add_u64(&w->pairs, n);
	add(&w->pairs, values, n_bytes);
}

void gguf_writer_strings(struct gguf_writer *w, const char *key, const char *const *values,
			 size_t n)
{
	gguf_writer_array(w, key, GGUF_STRING, NULL, n, 0);
	for (size_t i = 0; i < n; i++)
		add_string(&w->pairs, values[i]);
}

void gguf_writer_entry(struct gguf_writer *w, const char *name, uint32_t type, uint32_t n_dims,
		       const uint64_t *dims, uint64_t offset)
{
	add_string(&w->directory, name);
	add_u32(&w->directory, n_dims);
	add(&w->directory, dims, n_dims * sizeof *dims);
	add_u32(&w->directory, type);
	add_u64(&w->directory, offset);
	w->n_tensors++;
}

void gguf_writer_tensor(struct gguf_writer *w, const char *name, uint32_t type, uint32_t n_dims,
			const uint64_t *dims, const void *data, size_t n_bytes)
{
	pad(&w->data, w->alignment);
	gguf_writer_entry(w, name, type, n_dims, dims, w->data.length);
	add(&w->data, data, n_bytes);
}

void gguf_writer_floats(struct gguf_writer *w, const char *name, enum tensor_type type,
			uint64_t n_columns, uint64_t n_rows, const float *values)
{
	const uint64_t dims[] = { n_columns, n_rows };
	struct buf row = BUF_INIT;

	gguf_writer_tensor(w, name, type, n_rows > 1 ? 2 : 1, dims, NULL, 0);
	for (uint64_t i = 0; i < n_rows; i++) {
		quantize_row(type, values + i * n_columns, n_columns, &row);
		add(&w->data, row.data, row.length);
	}
	buf_deinit(&row);
}

void gguf_writer_finish(const struct gguf_writer *w, struct buf *file)
{
	const size_t start = file->length;

	add(file, "GGUF", 4);
	add_u32(file, w->version);
	add_u64(file, w->n_tensors);
	add_u64(file, w->n_pairs);
	add(file, w->pairs.data, w->pairs.length);
	add(file, w->directory.data, w->directory.length);
	if (start % w->alignment)
		abort();
	if (w->n_tensors)
		pad(file, w->alignment);
	add(file, w->data.data, w->data.length);
}

/* Finite values below 65520 only. */
static uint16_t to_f16(float value)
{
	const uint16_t sign = signbit(value) ? 0x8000 : 0;
	int exponent;
	const float fraction = frexpf(fabsf(value), &exponent);

	if (fraction == 0.0f)
		return sign;
	if (exponent < -13)
		return (uint16_t)(sign | lrintf(ldexpf(fabsf(value), 24)));
	/* A fraction that rounds up to 2048 carries into the exponent, as it should. */
	return (uint16_t)(sign | (((exponent + 14) << 10) + lrintf(ldexpf(fraction, 11)) - 1024));
}

static uint16_t to_bf16(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof bits);
	bits += 0x7fff + (bits >> 16 & 1);
	return (uint16_t)(bits >> 16);
}

static float largest(const float *values, unsigned n)
{
	float max = 0.0f;

	for (unsigned i = 0; i < n; i++)
		max = fmaxf(max, fabsf(values[i]));
	return max;
}

static void q8_0_block(const float *values, struct buf *out)
{
	const float scale = largest(values, 32) / 127.0f;
	uint8_t block[34];

	store_le16(block, to_f16(scale));
	for (unsigned i = 0; i < 32; i++)
		block[2 + i] = (uint8_t)(int8_t)lrintf(scale > 0.0f ? values[i] / scale : 0.0f);
	add(out, block, sizeof block);
}

static void q4_0_block(const float *values, struct buf *out)
{
	const float scale = largest(values, 32) / 7.0f;
	uint8_t block[18] = { 0 };

	store_le16(block, to_f16(scale));
	for (unsigned i = 0; i < 32; i++) {
		const unsigned q = (unsigned)(lrintf(scale > 0.0f ? values[i] / scale : 0.0f) + 8);

		block[2 + i % 16] |= (uint8_t)(i < 16 ? q : q << 4);
	}
	add(out, block, sizeof block);
}

void quantize_row(enum tensor_type type, const float *values, size_t n, struct buf *out)
{
	uint16_t half;

	buf_truncate(out, 0);
	for (size_t i = 0; i < n;) {
		switch (type) {
		case TENSOR_F32:
			add(out, values + i++, sizeof *values);
			break;
		case TENSOR_F16:
		case TENSOR_BF16:
			half = type == TENSOR_F16 ? to_f16(values[i]) : to_bf16(values[i]);
			add(out, &half, sizeof half);
			i++;
			break;
		case TENSOR_Q8_0:
			q8_0_block(values + i, out);
			i += 32;
			break;
		case TENSOR_Q4_0:
			q4_0_block(values + i, out);
			i += 32;
			break;
		default:
			abort();
		}
	}
}
