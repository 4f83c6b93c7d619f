/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/model/broken_gguf.h"

#include "base/bytes.h"
#include "tests/model/gguf_writer.h"

#include <stdlib.h>

static void add(struct buf *file, const void *bytes, size_t n_bytes)
{
	if (buf_add(file, bytes, n_bytes))
		abort();
}

#define ADD_TEXT(file, text) add(file, text, sizeof(text) - 1)

static void add_u64(struct buf *file, uint64_t value)
{
	add(file, &value, sizeof value);
}

static void add_header(struct buf *file, uint32_t version, uint64_t n_tensors, uint64_t n_pairs)
{
	ADD_TEXT(file, "GGUF");
	add(file, &version, sizeof version);
	add_u64(file, n_tensors);
	add_u64(file, n_pairs);
}

/* A file with one pair: "k", a type, the value's bytes. */
static void one_pair(struct buf *file, uint32_t type, const void *value, size_t n_bytes)
{
	struct gguf_writer w;

	gguf_writer_init(&w);
	gguf_writer_raw(&w, "k", type, value, n_bytes);
	gguf_writer_finish(&w, file);
	gguf_writer_deinit(&w);
}

/* A file whose only pair is an array, of which only the header is there. */
static void one_array(struct buf *file, uint32_t type, uint64_t n)
{
	uint8_t header[12];

	store_le32(header, type);
	store_le64(header + 4, n);
	one_pair(file, GGUF_ARRAY, header, sizeof header);
}

/* A file whose only tensor says this of itself, with 64 bytes of data. */
static void one_tensor(struct buf *file, const char *name, uint32_t type, uint32_t n_dims,
		       const uint64_t *dims, uint64_t offset)
{
	static const char data[64];
	struct gguf_writer w;

	gguf_writer_init(&w);
	gguf_writer_entry(&w, name, type, n_dims, dims, offset);
	if (buf_add(&w.data, data, sizeof data))
		abort();
	gguf_writer_finish(&w, file);
	gguf_writer_deinit(&w);
}

static void two_keys(struct buf *file)
{
	struct gguf_writer w;

	gguf_writer_init(&w);
	gguf_writer_u32(&w, "k", 1);
	gguf_writer_string(&w, "k", "the second one");
	gguf_writer_finish(&w, file);
	gguf_writer_deinit(&w);
}

static void alignment(struct buf *file, uint32_t value)
{
	struct gguf_writer w;

	gguf_writer_init(&w);
	gguf_writer_u32(&w, "general.alignment", value);
	gguf_writer_finish(&w, file);
	gguf_writer_deinit(&w);
}

static void two_tensors(struct buf *file, const char *second, uint64_t offset)
{
	static const char data[64];
	struct gguf_writer w;

	gguf_writer_init(&w);
	gguf_writer_entry(&w, "one", TENSOR_F32, 1, &(uint64_t){ 9 }, 0);
	gguf_writer_entry(&w, second, TENSOR_F32, 1, &(uint64_t){ 1 }, offset);
	if (buf_add(&w.data, data, sizeof data))
		abort();
	gguf_writer_finish(&w, file);
	gguf_writer_deinit(&w);
}

static void split(struct buf *file, uint32_t no, uint32_t count)
{
	struct gguf_writer w;

	gguf_writer_init(&w);
	gguf_writer_u32(&w, "split.no", no);
	gguf_writer_u32(&w, "split.count", count);
	gguf_writer_finish(&w, file);
	gguf_writer_deinit(&w);
}

/* Each broken file: name, status, part of the error, statements that make it. */
#define BROKEN_FILES(X) \
X(no_magic, SC_E_FORMAT, "offset 0: expected \"GGUF\", found \"ggml\"", \
	ADD_TEXT(file, "ggml\3\0\0\0")) \
X(only_a_part_of_the_magic, SC_E_FORMAT, \
	"offset 0: expected \"GGUF\" (at least 4 bytes), found the " \
	"end of the file at 2: truncated?", ADD_TEXT(file, "GG")) \
X(a_zip_archive, SC_E_FORMAT, "found a zip archive (a PyTorch checkpoint?)", \
	ADD_TEXT(file, "PK\3\4\24\0\0\0")) \
X(a_pickle, SC_E_FORMAT, "found a Python pickle", ADD_TEXT(file, "\x80\2}q\0.")) \
X(a_safetensors_file, SC_E_FORMAT, "found a safetensors file", \
	add_u64(file, 8); ADD_TEXT(file, "{\"a\": 1}data")) \
X(an_older_ggml_file, SC_E_FORMAT, "found a GGML file from before GGUF", \
	ADD_TEXT(file, "tjgg\3\0\0\0")) \
X(a_git_lfs_pointer, SC_E_FORMAT, "found a Git LFS pointer", \
	ADD_TEXT(file, "version https://git-lfs.github.com/spec/v1\n")) \
X(a_web_page, SC_E_FORMAT, "found a web page", ADD_TEXT(file, "<!DOCTYPE html>\n")) \
X(json, SC_E_FORMAT, "found JSON text", ADD_TEXT(file, "{\"error\": 404}")) \
X(no_version, SC_E_FORMAT, "offset 4: expected a version", ADD_TEXT(file, "GGUF\3\0")) \
X(version_0, SC_E_UNSUPPORTED, "offset 4: expected GGUF version 2 or 3, found version 0", \
	add_header(file, 0, 0, 0)) \
X(version_1, SC_E_UNSUPPORTED, "found version 1", add_header(file, 1, 0, 0)) \
X(version_4, SC_E_UNSUPPORTED, "found version 4", add_header(file, 4, 0, 0)) \
X(big_endian, SC_E_UNSUPPORTED, "found a big-endian one", add_header(file, 3u << 24, 0, 0)) \
X(no_counts, SC_E_FORMAT, "offset 8: expected a tensor count", ADD_TEXT(file, "GGUF\3\0\0\0")) \
X(no_pair_count, SC_E_FORMAT, "offset 16: expected a metadata count", \
	ADD_TEXT(file, "GGUF\3\0\0\0\0\0\0\0\0\0\0\0")) \
X(too_many_tensors, SC_E_FORMAT, \
	"offset 8: expected a tensor count of at most 65536, found 65537", \
	add_header(file, 3, 65537, 0)) \
X(tensor_count_of_all_ones, SC_E_FORMAT, "found 18446744073709551615", \
	add_header(file, 3, UINT64_MAX, 0)) \
X(tensor_count_beyond_the_file, SC_E_FORMAT, \
	"found a tensor count of 1000, but the file ends at 24", \
	add_header(file, 3, 1000, 0)) \
X(too_many_pairs, SC_E_FORMAT, \
	"offset 16: expected a metadata count of at most 65536, found 65537", \
	add_header(file, 3, 0, 65537)) \
X(pair_count_beyond_the_file, SC_E_FORMAT, "found a metadata count of 2, but the file ends at 24", \
	add_header(file, 3, 0, 2)) \
X(pair_count_just_beyond_the_file, SC_E_FORMAT, \
	"found a metadata count of 2, but the file ends at 44", \
	add_header(file, 3, 0, 2); ADD_TEXT(file, "twenty bytes of pair")) \
X(tensor_count_just_beyond_the_file, SC_E_FORMAT, \
	"found a tensor count of 1, but the file ends at 48", \
	add_header(file, 3, 1, 0); ADD_TEXT(file, "twenty-four bytes of one")) \
X(key_longer_than_the_file, SC_E_FORMAT, "offset 32: expected a key (at least 1000 bytes)", \
	add_header(file, 3, 0, 1); add_u64(file, 1000); ADD_TEXT(file, "abcdefgh")) \
X(key_longer_than_allowed, SC_E_FORMAT, \
	"expected a key of at most 65535 bytes, found a length of 65536", \
	add_header(file, 3, 0, 1); add_u64(file, 65536); ADD_TEXT(file, "abcdefgh")) \
X(key_length_of_all_ones, SC_E_FORMAT, "found a length of 18446744073709551615", \
	add_header(file, 3, 0, 1); add_u64(file, UINT64_MAX); ADD_TEXT(file, "abcdefgh")) \
X(empty_key, SC_E_FORMAT, "offset 24: expected a key, found an empty one", \
	add_header(file, 3, 0, 1); add_u64(file, 0); ADD_TEXT(file, "\0\0\0\0\0\0\0\0")) \
X(unknown_value_type, SC_E_FORMAT, "offset 33: 'k': expected a value's type of 0 to 12, found 13", \
	one_pair(file, 13, "\0\0\0\0", 4)) \
X(value_cut_off, SC_E_FORMAT, "offset 37: 'k': expected a value (at least 8 bytes), found the " \
	"end of the file at 41: truncated?", one_pair(file, GGUF_U64, "\0\0\0\0", 4)) \
X(bool_of_2, SC_E_FORMAT, "offset 37: 'k': expected a bool of 0 or 1, found 2", \
	one_pair(file, GGUF_BOOL, "\2", 1)) \
X(string_longer_than_the_file, SC_E_FORMAT, "'k': expected a string (at least 9 bytes)", \
	one_pair(file, GGUF_STRING, "\11\0\0\0\0\0\0\0eight888", 16)) \
X(string_longer_than_allowed, SC_E_FORMAT, "'k': expected a string of at most 16777216 bytes", \
	one_pair(file, GGUF_STRING, "\1\0\0\1\0\0\0\0", 8)) \
X(array_of_unknown_type, SC_E_FORMAT, "'k': expected a value's type of 0 to 12, found 77", \
	one_array(file, 77, 0)) \
X(array_of_arrays, SC_E_UNSUPPORTED, \
	"'k': expected an array of numbers or strings, found an array of arrays", \
	one_array(file, GGUF_ARRAY, 0)) \
X(array_beyond_the_file, SC_E_FORMAT, "'k': found an array length of 5, but the file ends at 49", \
	one_array(file, GGUF_U8, 5)) \
X(array_longer_than_allowed, SC_E_FORMAT, "expected an array length of at most 67108864, found " \
	"67108865", one_array(file, GGUF_U8, (64u << 20) + 1)) \
X(array_whose_bytes_overflow, SC_E_FORMAT, "expected an array length of at most 67108864", \
	one_array(file, GGUF_F64, UINT64_C(1) << 61)) \
X(array_of_strings_beyond_the_file, SC_E_FORMAT, "found an array length of 3, but", \
	one_array(file, GGUF_STRING, 3)) \
X(array_with_a_string_beyond_the_file, SC_E_FORMAT, \
	"offset 57: 'k': expected a string (at least 7 " \
	"bytes)", one_array(file, GGUF_STRING, 1); add_u64(file, 7)) \
X(array_with_a_bool_of_3, SC_E_FORMAT, "offset 50: 'k': expected a bool of 0 or 1, found 3", \
	one_array(file, GGUF_BOOL, 2); ADD_TEXT(file, "\1\3")) \
X(key_twice, SC_E_FORMAT, "offset 41: expected every key once, found 'k' again", two_keys(file)) \
X(alignment_of_0, SC_E_FORMAT, "expected a power of two from 8 to 1048576, found 0", \
	alignment(file, 0)) \
X(alignment_of_48, SC_E_FORMAT, "expected a power of two from 8 to 1048576, found 48", \
	alignment(file, 48)) \
X(alignment_of_2G, SC_E_FORMAT, "expected a power of two from 8 to 1048576, found 2147483648", \
	alignment(file, 1u << 31)) \
X(alignment_of_another_type, SC_E_FORMAT, "key 'general.alignment': expected an integer", \
	add_header(file, 3, 0, 1); add_u64(file, 17); \
	ADD_TEXT(file, "general.alignment\7\0\0\0\1")) \
X(tensor_without_a_name, SC_E_FORMAT, "offset 24: expected a tensor's name, found an empty one", \
	one_tensor(file, "", TENSOR_F32, 1, &(uint64_t){ 8 }, 0)) \
X(tensor_name_longer_than_allowed, SC_E_FORMAT, "expected a tensor's name of at most 64 bytes", \
	one_tensor(file, "12345678901234567890123456789012345678901234567890123456789012345", \
		   TENSOR_F32, 1, &(uint64_t){ 8 }, 0)) \
X(tensor_name_with_nul, SC_E_FORMAT, "found one with a NUL byte", \
	one_tensor(file, "ab", TENSOR_F32, 1, &(uint64_t){ 8 }, 0); file->data[33] = 0) \
X(tensor_of_no_dimensions, SC_E_FORMAT, "offset 33: 't': expected 1 to 4 dimensions, found 0", \
	one_tensor(file, "t", TENSOR_F32, 0, NULL, 0)) \
X(tensor_of_5_dimensions, SC_E_FORMAT, "'t': expected 1 to 4 dimensions, found 5", \
	one_tensor(file, "t", TENSOR_F32, 5, (uint64_t[]){ 1, 1, 1, 1, 1 }, 0)) \
X(dimension_of_0, SC_E_FORMAT, "offset 45: 't': expected a positive dimension, found 0", \
	one_tensor(file, "t", TENSOR_F32, 2, (uint64_t[]){ 8, 0 }, 0)) \
X(dimension_of_all_ones, SC_E_FORMAT, "expected a positive dimension, found 18446744073709551615", \
	one_tensor(file, "t", TENSOR_F32, 1, &(uint64_t){ UINT64_MAX }, 0)) \
X(dimensions_whose_product_overflows, SC_E_FORMAT, "'t': expected a size below 2^63 bytes", \
	one_tensor(file, "t", TENSOR_F32, 2, (uint64_t[]){ UINT64_C(1) << 32, \
							   UINT64_C(1) << 32 }, 0)) \
X(bytes_that_overflow, SC_E_FORMAT, "'t': expected a size below 2^63 bytes", \
	one_tensor(file, "t", TENSOR_F32, 1, &(uint64_t){ UINT64_C(1) << 62 }, 0)) \
X(rows_that_are_no_multiple_of_the_block, SC_E_FORMAT, \
	"'t': expected rows that are a multiple of " \
	"Q8_0's block of 32 elements, found rows of 31", \
	one_tensor(file, "t", TENSOR_Q8_0, 1, &(uint64_t){ 31 }, 0)) \
X(tensor_type_that_nobody_knows, SC_E_UNSUPPORTED, \
	"'t': expected a tensor's type, found the unknown " \
	"number 1000", one_tensor(file, "t", 1000, 1, &(uint64_t){ 256 }, 0)) \
X(tensor_of_type_iq2_xxs, SC_E_UNSUPPORTED, \
	"'t': tensors of type IQ2_XXS (16) are not supported", \
	one_tensor(file, "t", 16, 1, &(uint64_t){ 256 }, 0)) \
X(tensor_of_type_nvfp4, SC_E_UNSUPPORTED, "'t': tensors of type NVFP4 (40) are not supported", \
	one_tensor(file, "t", 40, 1, &(uint64_t){ 256 }, 0)) \
X(tensor_of_a_private_type, SC_E_UNSUPPORTED, "type IQ4_KS (144, private to ik_llama.cpp)", \
	one_tensor(file, "t", 144, 1, &(uint64_t){ 256 }, 0)) \
X(tensor_offset_not_aligned, SC_E_FORMAT, \
	"'t': expected an offset that is a multiple of 32, found 4", \
	one_tensor(file, "t", TENSOR_F32, 1, &(uint64_t){ 8 }, 4)) \
X(tensor_offset_of_all_ones, SC_E_FORMAT, "tensor 't': expected data inside the file", \
	one_tensor(file, "t", TENSOR_F32, 1, &(uint64_t){ 8 }, UINT64_MAX - 31)) \
X(tensor_offset_behind_the_end, SC_E_FORMAT, \
	"the file ends at 128, but tensor 't' needs 160: truncated?", \
	one_tensor(file, "t", TENSOR_F32, 1, &(uint64_t){ 8 }, 64)) \
X(tensor_larger_than_the_file, SC_E_FORMAT, \
	"the file ends at 128, but tensor 't' needs 132: truncated?", \
	one_tensor(file, "t", TENSOR_F32, 1, &(uint64_t){ 17 }, 0)) \
X(tensor_with_nothing_behind_the_directory, SC_E_FORMAT, \
	"the file ends at 58, but tensor 't' needs 96: " \
	"truncated?", one_tensor(file, "t", TENSOR_F32, 1, &(uint64_t){ 8 }, 0); \
	buf_truncate(file, 58)) \
X(directory_cut_off, SC_E_FORMAT, \
	"offset 57: 't': expected the offset of a tensor's data (at least 8 " \
	"bytes), found the end of the file at 57: truncated?", \
	add_header(file, 3, 1, 0); add_u64(file, 1); ADD_TEXT(file, "t\2\0\0\0"); \
	add_u64(file, 1); add_u64(file, 1); ADD_TEXT(file, "\0\0\0\0")) \
X(tensors_that_overlap, SC_E_FORMAT, "expected tensors apart, found 'two' overlapping 'one'", \
	two_tensors(file, "two", 32)) \
X(tensor_name_twice, SC_E_FORMAT, "expected every tensor once, found 'one' again", \
	two_tensors(file, "one", 64); ADD_TEXT(file, "more")) \
X(first_of_two_in_memory, SC_E_UNSUPPORTED, \
	"a model in memory must be one file, found the first of 2 files", \
	split(file, 0, 2)) \
X(second_of_two, SC_E_FORMAT, "expected the first file of a split model, found number 2 of 2: " \
	"name the one that ends in -00001-of-00002.gguf", split(file, 1, 2)) \
X(too_many_files, SC_E_FORMAT, "key 'split.count': expected at most 1024, found 1025", \
	split(file, 0, 1025))

#define DEFINE(name, status, text, ...) \
	static void make_##name(struct buf *file) { __VA_ARGS__; }
BROKEN_FILES(DEFINE)

#define ROW(file, code, text, ...) \
	{ .name = #file, .make = make_##file, .status = code, .error = text },
const struct broken_gguf broken_ggufs[] = { BROKEN_FILES(ROW) };
const size_t n_broken_ggufs = sizeof broken_ggufs / sizeof broken_ggufs[0];
