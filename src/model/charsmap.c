/* SPDX-License-Identifier: Apache-2.0 */
#include "model/charsmap.h"

#include "base/bytes.h"
#include "base/utf8.h"
#include "model/grapheme.h"

#define CLUSTER_MAX_BYTES 5	/* of a cluster that is replaced as a whole */

static enum sc_status check_texts(const struct charsmap *map, struct error *err)
{
	size_t start = 0;

	if (map->n_texts && map->texts[map->n_texts - 1])
		return error_set(err, SC_E_FORMAT, "the last replacement has no NUL behind it");
	for (size_t i = 0; i < map->n_texts; i++) {
		if (map->texts[i])
			continue;
		if (i - start > CHARSMAP_MAX_REPLACEMENT)
			return error_set(err, SC_E_FORMAT, "the replacement at offset %zu has %zu "
					 "bytes, expected at most %d", start, i - start,
					 CHARSMAP_MAX_REPLACEMENT);
		start = i + 1;
	}
	return SC_OK;
}

enum sc_status charsmap_init(struct charsmap *map, const void *data, size_t n_bytes,
			     struct error *err)
{
	struct cursor c;
	uint32_t n_array;

	*map = (struct charsmap){ 0 };
	if (!n_bytes)
		return SC_OK;
	c = cursor_init(data, n_bytes);
	n_array = cursor_u32(&c);
	if (c.is_short || n_array > cursor_left(&c) || n_array % 4)
		return error_set(err, SC_E_FORMAT, "expected the bytes of a double array, a multiple "
				 "of 4 and at most the %zu that follow, found %u", cursor_left(&c),
				 n_array);
	map->units = cursor_take(&c, n_array);
	map->n_units = n_array / 4;
	map->n_texts = cursor_left(&c);
	map->texts = cursor_take(&c, map->n_texts);
	return check_texts(map, err);
}

enum sc_status charsmap_load(struct charsmap *map, const struct gguf *gguf, struct error *err)
{
	struct gguf_array bytes;
	enum sc_status status;

	*map = (struct charsmap){ 0 };
	if (!gguf_has(gguf, KEY_CHARSMAP))
		return SC_OK;
	status = gguf_get_array(gguf, KEY_CHARSMAP, &bytes, err);
	if (status)
		return status;
	if (bytes.n && bytes.type != GGUF_U8 && bytes.type != GGUF_I8)
		return gguf_key_error(gguf, KEY_CHARSMAP, SC_E_FORMAT, err,
				      "expected an array of bytes");
	status = charsmap_init(map, bytes.data, bytes.n, err);
	if (status)
		error_prefix(err, "%s: key '%s'", gguf_path(gguf), KEY_CHARSMAP);
	return status;
}

/* Beyond the array there are units without a label. */
static uint32_t unit_at(const struct charsmap *map, uint32_t at)
{
	return at < map->n_units ? load_le32(map->units + 4 * (size_t)at) : 0x80000000u;
}

static uint32_t offset_of(uint32_t unit)
{
	return (unit >> 10) << ((unit & 1u << 9) >> 6);
}

static bool get_replacement(const struct charsmap *map, uint32_t at, struct gguf_string *out)
{
	uint32_t value = unit_at(map, at) & 0x7FFFFFFFu;

	if (at >= map->n_units || value >= map->n_texts)
		return false;
	*out = (struct gguf_string){ map->texts + value, strlen(map->texts + value) };
	return true;
}

/* Returns the length of the longest or of the shortest rule that text starts with. */
static size_t find_rule(const struct charsmap *map, const char *text, size_t n_bytes,
			bool is_shortest, struct gguf_string *replacement_out)
{
	uint32_t at = 0;
	size_t length = 0;

	if (!map->n_units)
		return 0;
	at = offset_of(unit_at(map, 0));
	for (size_t i = 0; i < n_bytes && i < CHARSMAP_MAX_KEY && text[i]; i++) {
		uint8_t c = (uint8_t)text[i];
		uint32_t unit;

		at ^= c;
		unit = unit_at(map, at);
		if ((unit & 0x800000FFu) != c)
			break;
		at ^= offset_of(unit);
		if (unit >> 8 & 1 && get_replacement(map, at, replacement_out)) {
			length = i + 1;
			if (is_shortest)
				break;
		}
	}
	return length;
}

size_t charsmap_longest(const struct charsmap *map, const char *text, size_t n_bytes,
			struct gguf_string *replacement_out)
{
	return find_rule(map, text, n_bytes, false, replacement_out);
}

/* Adds the replacement of [begin, end), or these bytes if nothing replaces them. */
static enum sc_status add_part(const struct charsmap *map, struct masked_text text, size_t begin,
			       size_t end, struct masked_buf *out)
{
	struct gguf_string with;

	if (find_rule(map, text.data + begin, end - begin, true, &with))
		return masked_buf_make(out, with.data, with.length,
				       masked_text_allows(text, begin, end));
	return masked_buf_copy(out, text, begin, end);
}

static enum sc_status add_characters(const struct charsmap *map, struct masked_text text,
				     size_t begin, size_t end, struct masked_buf *out)
{
	enum sc_status status = SC_OK;

	while (begin < end && !status) {
		int length = utf8_next((const uint8_t *)text.data + begin, end - begin);
		size_t next = begin + (length > 0 ? (size_t)length : 1);

		status = length > 0 ? add_part(map, text, begin, next, out)
				    : masked_buf_copy(out, text, begin, next);
		begin = next;
	}
	return status;
}

enum sc_status charsmap_add_clusters(const struct charsmap *map, struct masked_text text,
				     struct masked_buf *out)
{
	enum sc_status status = buf_reserve(&out->data, text.n);

	for (size_t at = 0; at < text.n && !status;) {
		struct gguf_string with;
		size_t n = grapheme_length(text.data + at, text.n - at);

		if (n <= CLUSTER_MAX_BYTES && find_rule(map, text.data + at, n, true, &with))
			status = masked_buf_make(out, with.data, with.length,
						 masked_text_allows(text, at, at + n));
		else
			status = add_characters(map, text, at, at + n, out);
		at += n;
	}
	return status;
}
