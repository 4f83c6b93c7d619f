/* SPDX-License-Identifier: Apache-2.0 */
#include "model/gguf_head.h"

#include "base/integers.h"
#include "model/gguf_file.h"

void gguf_head_init(struct gguf_head *head, const struct gguf *from)
{
	*head = (struct gguf_head){
		.alignment = from ? from->files[0].alignment : GGUF_DEFAULT_ALIGNMENT,
		.pairs = BUF_INIT, .directory = BUF_INIT,
	};
}

void gguf_head_deinit(struct gguf_head *head)
{
	buf_deinit(&head->pairs);
	buf_deinit(&head->directory);
}

static enum sc_status add_u32(struct buf *buf, uint32_t value)
{
	return buf_add(buf, &value, sizeof value);
}

static enum sc_status add_u64(struct buf *buf, uint64_t value)
{
	return buf_add(buf, &value, sizeof value);
}

static enum sc_status add_string(struct buf *buf, const char *data, size_t length)
{
	enum sc_status status = add_u64(buf, length);

	return status ? status : buf_add(buf, data, length);
}

static size_t value_bytes(const struct gguf_pair *pair)
{
	const struct gguf_array *value = &pair->value;
	const uint8_t *data = value->data;
	size_t last = 0;

	if (value->type != GGUF_STRING)
		return value->n * gguf_type_bytes(value->type);
	if (value->n == 0)
		return 0;
	if (pair->is_array)
		last = pair->index[value->n - 1];
	return last + 8 + load_le64(data + last);
}

static enum sc_status copy_pair(struct buf *buf, const struct gguf_pair *pair)
{
	enum sc_status status = add_string(buf, pair->key, pair->key_length);

	if (!status && pair->is_array)
		status = add_u32(buf, GGUF_ARRAY);
	if (!status)
		status = add_u32(buf, pair->value.type);
	if (!status && pair->is_array)
		status = add_u64(buf, pair->value.n);
	return status ? status : buf_add(buf, pair->value.data, value_bytes(pair));
}

static bool is_listed(const struct gguf_pair *pair, const char *const *list)
{
	for (; *list; list++)
		if (strlen(*list) == pair->key_length &&
		    !memcmp(*list, pair->key, pair->key_length))
			return true;
	return false;
}

enum sc_status gguf_head_copy_pairs(struct gguf_head *head, const struct gguf *from,
				    const char *const *except)
{
	const struct gguf_file *file = &from->files[0];

	for (uint64_t i = 0; i < file->n_pairs; i++) {
		enum sc_status status;

		if (is_listed(&file->pairs[i], except))
			continue;
		status = copy_pair(&head->pairs, &file->pairs[i]);
		if (status)
			return status;
		head->n_pairs++;
	}
	return SC_OK;
}

/* Starts a pair; its value of this type must follow. */
static enum sc_status start_pair(struct gguf_head *head, const char *key, enum gguf_type type)
{
	enum sc_status status = add_string(&head->pairs, key, strlen(key));

	if (!status)
		status = add_u32(&head->pairs, type);
	if (!status)
		head->n_pairs++;
	return status;
}

static enum sc_status add_pair(struct gguf_head *head, const char *key, enum gguf_type type,
			       const void *value, size_t n_bytes)
{
	enum sc_status status = start_pair(head, key, type);

	return status ? status : buf_add(&head->pairs, value, n_bytes);
}

enum sc_status gguf_head_add_u32(struct gguf_head *head, const char *key, uint32_t value)
{
	return add_pair(head, key, GGUF_U32, &value, sizeof value);
}

enum sc_status gguf_head_add_f32(struct gguf_head *head, const char *key, float value)
{
	return add_pair(head, key, GGUF_F32, &value, sizeof value);
}

enum sc_status gguf_head_add_bool(struct gguf_head *head, const char *key, bool value)
{
	const uint8_t byte = value;

	return add_pair(head, key, GGUF_BOOL, &byte, sizeof byte);
}

enum sc_status gguf_head_add_string(struct gguf_head *head, const char *key, const char *data,
				    size_t length)
{
	enum sc_status status = start_pair(head, key, GGUF_STRING);

	return status ? status : add_string(&head->pairs, data, length);
}

static enum sc_status start_array(struct gguf_head *head, const char *key, enum gguf_type type,
				  size_t n)
{
	enum sc_status status = start_pair(head, key, GGUF_ARRAY);

	if (!status)
		status = add_u32(&head->pairs, type);
	return status ? status : add_u64(&head->pairs, n);
}

enum sc_status gguf_head_add_array(struct gguf_head *head, const char *key, enum gguf_type type,
				   const void *data, size_t n)
{
	enum sc_status status = start_array(head, key, type, n);

	return status ? status : buf_add(&head->pairs, data, n * gguf_type_bytes(type));
}

enum sc_status gguf_head_add_strings(struct gguf_head *head, const char *key,
				     const struct gguf_string *strings, size_t n)
{
	enum sc_status status = start_array(head, key, GGUF_STRING, n);

	for (size_t i = 0; !status && i < n; i++)
		status = add_string(&head->pairs, strings[i].data, strings[i].length);
	return status;
}

enum sc_status gguf_head_add_tensor(struct gguf_head *head, const struct tensor *tensor,
				    uint64_t *offset_out)
{
	const uint64_t n_rows = tensor->dims[1] * tensor->dims[2] * tensor->dims[3];
	struct buf *buf = &head->directory;
	enum sc_status status = add_string(buf, tensor->name, strlen(tensor->name));

	if (!status)
		status = add_u32(buf, tensor->n_dims);
	for (unsigned i = 0; !status && i < tensor->n_dims; i++)
		status = add_u64(buf, tensor->dims[i]);
	if (!status)
		status = add_u32(buf, tensor->type);
	if (!status)
		status = add_u64(buf, head->data_bytes);
	if (status)
		return status;
	*offset_out = head->data_bytes;
	head->data_bytes += round_up(tensor_row_bytes(tensor) * n_rows, head->alignment);
	head->n_tensors++;
	return SC_OK;
}

enum sc_status gguf_head_finish(const struct gguf_head *head, struct buf *bytes_out)
{
	static const char zeros[64];
	enum sc_status status = buf_add_string(bytes_out, "GGUF");
	size_t end;

	if (!status)
		status = add_u32(bytes_out, 3);
	if (!status)
		status = add_u64(bytes_out, head->n_tensors);
	if (!status)
		status = add_u64(bytes_out, head->n_pairs);
	if (!status)
		status = buf_add(bytes_out, head->pairs.data, head->pairs.length);
	if (!status)
		status = buf_add(bytes_out, head->directory.data, head->directory.length);
	end = round_up(bytes_out->length, head->alignment);
	while (!status && bytes_out->length < end) {
		const size_t n = end - bytes_out->length;

		status = buf_add(bytes_out, zeros, n < sizeof zeros ? n : sizeof zeros);
	}
	return status;
}
