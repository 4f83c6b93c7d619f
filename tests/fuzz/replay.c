/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target without a fuzzer: over its seeds, then over mutations of them, the same ones
 * every time. Finds less than libFuzzer, but on every build and every machine.
 *
 *     replay_NAME [-v] [-n MUTATIONS]      seeds and mutations (default 4000)
 *     replay_NAME [-v] PATH...             these files, or the files in these directories
 *     replay_NAME -o DIRECTORY             write the seeds, for libFuzzer to start from
 *
 * -v says what comes before it runs: the last line before a crash is the input that crashed.
 */
#include "tests/fuzz/fuzz.h"

#include "base/parse.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_verbose;

static void die(const char *what, const char *which)
{
	fprintf(stderr, "%s: %s\n", what, which);
	exit(1);
}

/* xorshift64*: the same numbers everywhere. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(0x2545f4914f6cdd1d);
}

static size_t below(uint64_t *state, size_t n)
{
	return (size_t)(next_random(state) % n);
}

/* A copy that ends where its memory ends, so that a sanitizer sees a read behind it. */
static void run(const char *data, size_t n_bytes)
{
	uint8_t *copy = malloc(n_bytes ? n_bytes : 1);

	if (!copy)
		die("no memory", "input");
	memcpy(copy, data, n_bytes);
	(void)LLVMFuzzerTestOneInput(copy, n_bytes);
	free(copy);
}

/* A number that parsers tend to get wrong, 1 to 8 bytes wide. */
static void put_odd_number(uint64_t *state, struct buf *input)
{
	static const uint64_t odd[] = { 0, 1, 2, 3, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0xffff,
					0x10000, 0x7fffffff, 0x80000000, 0xffffffff,
					UINT64_C(1) << 32, INT64_MAX, UINT64_C(1) << 63,
					UINT64_MAX };
	const uint64_t value = odd[below(state, sizeof odd / sizeof odd[0])];
	const size_t width = (size_t)1 << below(state, 4);

	if (input->length >= width)
		memcpy(input->data + below(state, input->length - width + 1), &value, width);
}

static void move_chunk(uint64_t *state, struct buf *input)
{
	const size_t n = 1 + below(state, input->length);
	const size_t from = below(state, input->length - n + 1);
	const size_t to = below(state, input->length - n + 1);

	memmove(input->data + to, input->data + from, n);
}

static void cut_chunk(uint64_t *state, struct buf *input)
{
	const size_t n = 1 + below(state, input->length < 64 ? input->length : 64);
	const size_t at = below(state, input->length - n + 1);

	memmove(input->data + at, input->data + at + n, input->length - at - n);
	buf_truncate(input, input->length - n);
}

static void insert_chunk(uint64_t *state, struct buf *input)
{
	const size_t at = below(state, input->length + 1);
	const size_t n = 1 + below(state, 64);

	if (buf_reserve(input, n))
		die("no memory", "mutation");
	memmove(input->data + at + n, input->data + at, input->length - at);
	for (size_t i = 0; i < n; i++)
		input->data[at + i] = (char)next_random(state);
	input->length += n;
}

/* Most parsers decide at the front: half of the small changes go to the first 256 bytes. */
static size_t pick_byte(uint64_t *state, const struct buf *input)
{
	const size_t front = input->length < 256 ? input->length : 256;

	return below(state, below(state, 2) ? front : input->length);
}

static void mutate_once(uint64_t *state, struct buf *input)
{
	if (input->length == 0)
		return insert_chunk(state, input);
	switch (below(state, 8)) {
	case 0: case 1:
		input->data[pick_byte(state, input)] ^= (char)(1u << below(state, 8));
		break;
	case 2:
		input->data[pick_byte(state, input)] = (char)next_random(state);
		break;
	case 3: case 4:
		put_odd_number(state, input);
		break;
	case 5:
		move_chunk(state, input);
		break;
	case 6:
		cut_chunk(state, input);
		break;
	default:
		if (below(state, 8) == 0)
			buf_truncate(input, below(state, input->length));
		else
			insert_chunk(state, input);
	}
}

static void run_seeds(uint64_t n_mutations)
{
	uint64_t state = UINT64_C(0x5741474f4e);
	unsigned n_seeds = 0;
	struct buf input = BUF_INIT;

	for (; buf_truncate(&input, 0), fuzz_seed(n_seeds, &input); n_seeds++) {
		if (is_verbose)
			fprintf(stderr, "seed %u\n", n_seeds);
		run(input.data, input.length);
	}
	if (!n_seeds)
		die("no seeds", "the target gave none");
	for (uint64_t i = 0; i < n_mutations; i++) {
		const unsigned seed = (unsigned)below(&state, n_seeds);

		buf_truncate(&input, 0);
		if (!fuzz_seed(seed, &input))
			die("seed went away", "");
		for (size_t n = 1 + below(&state, 4); n > 0; n--)
			mutate_once(&state, &input);
		if (is_verbose)
			fprintf(stderr, "mutation %llu, of seed %u\n", (unsigned long long)i, seed);
		run(input.data, input.length);
	}
	printf("%u seeds, %llu mutations\n", n_seeds, (unsigned long long)n_mutations);
	buf_deinit(&input);
}

static void run_file(const char *path)
{
	struct buf input = BUF_INIT;
	FILE *file = fopen(path, "rb");
	char chunk[4096];
	size_t n;

	if (!file)
		die("cannot open", path);
	while ((n = fread(chunk, 1, sizeof chunk, file)) > 0)
		if (buf_add(&input, chunk, n))
			die("no memory", path);
	fclose(file);
	if (is_verbose)
		fprintf(stderr, "%s\n", path);
	run(input.data, input.length);
	buf_deinit(&input);
}

static void run_path(const char *path)
{
	struct dirent *entry;
	struct stat st;
	char file[4096];
	DIR *directory;

	if (stat(path, &st))
		die("cannot stat", path);
	if (!S_ISDIR(st.st_mode))
		return run_file(path);
	directory = opendir(path);
	if (!directory)
		die("cannot open", path);
	while ((entry = readdir(directory))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
		run_path(file);
	}
	closedir(directory);
}

static void write_seeds(const char *directory)
{
	struct buf seed = BUF_INIT;
	char path[4096];

	for (unsigned i = 0; buf_truncate(&seed, 0), fuzz_seed(i, &seed); i++) {
		FILE *file;

		snprintf(path, sizeof path, "%s/seed-%03u", directory, i);
		file = fopen(path, "wb");
		if (!file || fwrite(seed.data, 1, seed.length, file) != seed.length || fclose(file))
			die("cannot write", path);
	}
	buf_deinit(&seed);
}

int main(int argc, char **argv)
{
	uint64_t n_mutations = 4000;
	int option;

	while ((option = getopt(argc, argv, "vn:o:")) != -1) {
		if (option == 'o') {
			write_seeds(optarg);
			return 0;
		}
		if (option == 'v')
			is_verbose = true;
		else if (option != 'n' || !parse_u64(optarg, &n_mutations))
			die("usage", "replay [-v] [-n MUTATIONS | PATH...] | -o DIRECTORY");
	}
	if (optind == argc)
		run_seeds(n_mutations);
	for (int i = optind; i < argc; i++)
		run_path(argv[i]);
	return 0;
}
