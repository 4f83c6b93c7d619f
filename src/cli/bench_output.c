/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench_output.h"

#include "base/cpu.h"
#include "model/gguf.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* --- machine and model --- */

/* The text behind "key : " of the first line of a file that has it. */
static bool find_in(const char *path, const char *key, char *out, size_t size)
{
	FILE *file = fopen(path, "r");
	bool is_found = false;
	char line[512];

	while (file && !is_found && fgets(line, sizeof line, file)) {
		char *value = strchr(line, ':');

		if (!value || strncmp(line, key, strlen(key)))
			continue;
		value += 1 + strspn(value + 1, " \t");
		value[strcspn(value, "\n")] = '\0';
		snprintf(out, size, "%s", value);
		is_found = true;
	}
	if (file)
		fclose(file);
	return is_found;
}

static uint64_t memory_bytes(void)
{
	unsigned long long kib = 0;
	char text[64];

	if (find_in("/proc/meminfo", "MemTotal", text, sizeof text))
		sscanf(text, "%llu", &kib);
	return kib * 1024;
}

/* The type that most bytes have, and all bytes. */
static const char *main_type(const struct model *model, uint64_t *n_bytes_out)
{
	uint64_t by_type[64] = { 0 };
	unsigned most = 0;

	*n_bytes_out = 0;
	for (size_t i = 0; i < gguf_n_tensors(model->gguf); i++) {
		const struct tensor *tensor = gguf_tensor(model->gguf, i);
		unsigned type = (unsigned)tensor->type % 64;

		*n_bytes_out += tensor->n_bytes;
		by_type[type] += tensor->n_bytes;
		if (by_type[type] > by_type[most])
			most = type;
	}
	return tensor_type_info(most)->name;
}

struct bench_subject bench_subject_of(const struct model *model, const char *backend,
				      const char *isa)
{
	struct bench_subject subject = {
		.cpu = "unknown processor",
		.n_processors = cpu_count(),
		.memory_bytes = memory_bytes(),
		.isa = isa,
		.backend = backend,
		.model = model->name,
		.arch = model->arch->name,
		.n_params = model->n_params,
	};

	find_in("/proc/cpuinfo", "model name", subject.cpu, sizeof subject.cpu);
	subject.type = main_type(model, &subject.n_bytes);
	return subject;
}

/* --- Markdown --- */

static void print_subject(const struct bench_subject *s)
{
	printf("%s: %s, %s, %.1f million parameters, %.1f MiB\n\n", s->model, s->arch, s->type,
	       (double)s->n_params / 1e6, (double)s->n_bytes / 1048576.0);
	printf("%s, %u processors, %.1f GiB, backend %s, %s\n\n", s->cpu, s->n_processors,
	       (double)s->memory_bytes / 1073741824.0, s->backend, s->isa);
}

void bench_print_speed(unsigned n_threads, const struct machine_speed *speed)
{
	printf("%u %s at most: reading %.1f GB/s; multiply-adds in int8 %.1f, ", n_threads,
	       n_threads == 1 ? "thread" : "threads", speed->read_bytes / 1e9,
	       speed->int8_macs / 1e9);
	if (speed->bf16_macs > 0)
		printf("bf16 %.1f, ", speed->bf16_macs / 1e9);
	printf("f32 %.1f G/s\n\n", speed->f32_macs / 1e9);
}

void bench_print_columns(void)
{
	puts("| test                 | stages | threads |   tokens/s |    ± % |      limit "
	     "| of it |");
	puts("|----------------------|-------:|--------:|-----------:|-------:|-----------:"
	     "|------:|");
}

static void print_markdown(const struct bench_line *line)
{
	const struct spread *rates = &line->rates;
	char name[BENCH_NAME_MAX];

	bench_test_name(line->test, name);
	printf("| %-20s | %6u | %7u | %10.2f | %6.1f |", name, line->n_stages, line->n_threads,
	       rates->median, (rates->most - rates->least) / rates->median * 50);
	if (line->is_in_cache)
		puts("   in cache |     – |");
	else if (line->limit > 0)
		printf(" %10.1f | %3.0f %% |\n", line->limit, rates->median / line->limit * 100);
	else
		puts("          – |     – |");
}

/* --- CSV and JSON --- */

/* One line's fields, in order; caller decrefs. NULL: no memory. */
static json_t *line_object(const struct bench_subject *s, const struct bench_line *line)
{
	const struct bench_test *test = line->test;
	const struct spread *rates = &line->rates;
	char name[BENCH_NAME_MAX];

	bench_test_name(test, name);
	return json_pack("{s:s, s:i, s:I, s:s, s:s,  s:s, s:s, s:s, s:I, s:I,"
			 " s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i,"
			 " s:f, s:f, s:f, s:f, s:f, s:b,  s:f, s:f, s:f, s:f}",
			 "cpu", s->cpu, "processors", (int)s->n_processors,
			 "memory_bytes", (json_int_t)s->memory_bytes, "backend", s->backend,
			 "isa", s->isa,
			 "model", s->model, "architecture", s->arch, "type", s->type,
			 "parameters", (json_int_t)s->n_params,
			 "bytes", (json_int_t)s->n_bytes,
			 "test", name, "stages", (int)line->n_stages,
			 "threads", (int)line->n_threads, "n_prompt", (int)test->n_prompt,
			 "n_gen", (int)test->n_gen, "sequences", (int)test->n_sequences,
			 "depth", (int)test->depth, "samples", (int)line->n_samples,
			 "tokens_per_second", rates->median, "least", rates->least,
			 "most", rates->most, "limit", line->limit,
			 "of_limit", line->limit > 0 ? rates->median / line->limit : 0.0,
			 "in_cache", line->is_in_cache,
			 "read_bytes_per_second", line->speed.read_bytes,
			 "int8_macs_per_second", line->speed.int8_macs,
			 "bf16_macs_per_second", line->speed.bf16_macs,
			 "f32_macs_per_second", line->speed.f32_macs);
}

static void print_csv_text(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"')
			putchar('"');
		putchar(*text);
	}
	putchar('"');
}

static void print_csv(json_t *object, bool is_head)
{
	const char *comma = "";
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value) {
		fputs(comma, stdout);
		comma = ",";
		if (is_head)
			fputs(key, stdout);
		else if (json_is_string(value))
			print_csv_text(json_string_value(value));
		else if (json_is_boolean(value))
			fputs(json_is_true(value) ? "true" : "false", stdout);
		else if (json_is_integer(value))
			printf("%lld", (long long)json_integer_value(value));
		else
			printf("%.6g", json_real_value(value));
	}
	putchar('\n');
}

void bench_print_head(enum bench_format format, const struct bench_subject *subject)
{
	const struct bench_test no_test = { .kind = BENCH_PROMPT };
	const struct bench_line line = { .test = &no_test };
	json_t *object;

	if (format == BENCH_MARKDOWN)
		print_subject(subject);
	if (format != BENCH_CSV)
		return;
	object = line_object(subject, &line);
	print_csv(object, true);
	json_decref(object);
}

void bench_print_line(enum bench_format format, const struct bench_subject *subject,
		      const struct bench_line *line)
{
	json_t *object;

	if (format == BENCH_MARKDOWN) {
		print_markdown(line);
		return;
	}
	object = line_object(subject, line);
	if (format == BENCH_CSV) {
		print_csv(object, false);
	} else if (object) {
		json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(7));
		putchar('\n');
	}
	json_decref(object);
}
