/* SPDX-License-Identifier: Apache-2.0 */
/* stagecoach - the command line. */
#include "base/console.h"
#include "base/nearest.h"
#include "cli/report.h"
#include "cli/streams.h"
#include "cli/verbs.h"

#include "backend/backend.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} verbs[] = {
	{ "run", cmd_run, "load a model in this process and continue a prompt" },
	{ "chat", cmd_chat, "talk with a model, of a server or in this process" },
	{ "perplexity", cmd_perplexity, "measure how well a model predicts a text" },
	{ "bench", cmd_bench, "measure tokens per second, and the limit that the machine sets" },
	{ "quantize", cmd_quantize, "write a model file with smaller tensors" },
	{ "convert", cmd_convert, "write a folder of Hugging Face as a model file" },
	{ "families", cmd_families, "list the models that run here" },
	{ "tokenize", cmd_tokenize, "print the tokens of a text" },
	{ "inspect", cmd_inspect, "show what a model file contains, and whether it fits here" },
	{ "generate", cmd_generate, "continue a prompt on a server" },
	{ "submit", cmd_submit, "queue a job on a server" },
	{ "jobs", cmd_jobs, "list the jobs of a server" },
	{ "watch", cmd_watch, "print the text of a job as it arrives" },
	{ "cancel", cmd_cancel, "cancel jobs" },
	{ "status", cmd_status, "show the jobs, plan and stages of a server" },
	{ "workers", cmd_workers, "list the workers of a server, spare and lost ones too" },
};

/* Whoever pages through the output may take a while to come to an error at its end. */
#define PATIENCE_MS 60000

static void print_help(FILE *file)
{
	fputs("usage: stagecoach VERB [OPTION...]\n\n"
	      "Serve and query transformer models in pipeline stages.\n\n", file);
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
		fprintf(file, "  %-10s %s\n", verbs[i].name, verbs[i].help);
	fputs("\n`stagecoach VERB --help` shows its options. The server is stagecoachd.\n", file);
}

static int refuse_verb(const char *word)
{
	struct nearest nearest;

	nearest_init(&nearest, word);
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
		nearest_offer(&nearest, verbs[i].name);
	if (nearest.best)
		fprintf(stderr, "stagecoach: error: %s: no such verb; did you mean %s?\n", word,
			nearest.best);
	else
		fprintf(stderr, "stagecoach: error: %s: no such verb; `stagecoach --help` lists "
			"the verbs\n", word);
	return EX_USAGE;
}

static int run_verb(int argc, char **argv)
{
	if (argc < 2) {
		print_help(stderr);
		return EX_USAGE;
	}
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
		if (!strcmp(argv[1], verbs[i].name))
			return verbs[i].run(argc - 1, argv + 1);
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		print_help(stdout);
		return report_flush();
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("stagecoach %s\n", PACKAGE_VERSION);
		return report_flush();
	}
	return refuse_verb(argv[1]);
}

int main(int argc, char **argv)
{
	int exit_code;

	streams_reserve();
	exit_code = run_verb(argc, argv);
	console_flush(PATIENCE_MS);
	return exit_code;
}
