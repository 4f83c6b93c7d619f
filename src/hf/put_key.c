/* SPDX-License-Identifier: Apache-2.0 */
#include "hf/put_key.h"

#include <stdio.h>
#include <string.h>

struct key {
	char text[128];		/* the names of the tables are shorter */
};

static struct key join(const char *arch, const char *name)
{
	struct key key;

	snprintf(key.text, sizeof key.text, "%s.%s", arch, name);
	return key;
}

enum sc_status put_u32(struct gguf_head *head, const char *arch, const char *name, uint32_t value)
{
	return gguf_head_add_u32(head, join(arch, name).text, value);
}

enum sc_status put_f32(struct gguf_head *head, const char *arch, const char *name, double value)
{
	return gguf_head_add_f32(head, join(arch, name).text, (float)value);
}

enum sc_status put_bool(struct gguf_head *head, const char *arch, const char *name, bool value)
{
	return gguf_head_add_bool(head, join(arch, name).text, value);
}

enum sc_status put_string(struct gguf_head *head, const char *arch, const char *name,
			  const char *value)
{
	return gguf_head_add_string(head, join(arch, name).text, value, strlen(value));
}

enum sc_status put_bools(struct gguf_head *head, const char *arch, const char *name,
			 const uint8_t *values, size_t n)
{
	return gguf_head_add_array(head, join(arch, name).text, GGUF_BOOL, values, n);
}
