/* SPDX-License-Identifier: Apache-2.0 */
/* stagecoach workers - who computes, who is spare, who is gone. */
#include "cli/client_json.h"
#include "cli/client_verbs.h"
#include "cli/verb.h"
#include "cli/verbs.h"

#include "stagecoach/v1/stagecoach.pb-c.h"

#include <stdio.h>

#define MIB (1024.0 * 1024.0)

/* "5 s", "3 min", "2 h", "4 d" */
static const char *format_time(double seconds, char *text, size_t n_bytes)
{
	if (seconds < 100)
		snprintf(text, n_bytes, "%.0f s", seconds);
	else if (seconds < 100 * 60)
		snprintf(text, n_bytes, "%.0f min", seconds / 60);
	else if (seconds < 48 * 3600)
		snprintf(text, n_bytes, "%.0f h", seconds / 3600);
	else
		snprintf(text, n_bytes, "%.0f d", seconds / 86400);
	return text;
}

static void format_stage(const Stagecoach__V1__Worker *worker, char *text, size_t n_bytes)
{
	if (!worker->stage)
		snprintf(text, n_bytes, "-");
	else
		snprintf(text, n_bytes, "%u (%u-%u)", worker->stage, worker->first_layer,
			 worker->first_layer + worker->n_layers - 1);
}

static void print_worker(const Stagecoach__V1__Worker *worker)
{
	char word[32], stage[48], since[32], heard[32], memory[32] = "-";

	client_json_word(&stagecoach__v1__worker_state__descriptor, (int)worker->state, word,
			 sizeof word);
	format_stage(worker, stage, sizeof stage);
	if (worker->memory_bytes)
		snprintf(memory, sizeof memory, "%.0f MiB", (double)worker->memory_bytes / MIB);
	printf("%-20s %-11s %-14s %7s %7s %6u %10s  %s:%u, %s", worker->id, word, stage,
	       format_time(worker->state_seconds, since, sizeof since),
	       format_time(worker->heard_seconds_ago, heard, sizeof heard), worker->losses,
	       memory, worker->host, worker->pid, worker->backend);
	if (worker->quarantine_seconds > 0)
		printf("; in quarantine for another %s",
		       format_time(worker->quarantine_seconds, since, sizeof since));
	putchar('\n');
}

static void print_workers(const Stagecoach__V1__ListWorkersResponse *list)
{
	char ago[32];

	printf("epoch %u, %u recoveries", list->epoch, list->recoveries);
	if (*list->last_loss)
		printf("; last, %s ago: %s",
		       format_time(list->last_loss_seconds_ago, ago, sizeof ago),
		       list->last_loss);
	printf("\n\n%-20s %-11s %-14s %7s %7s %6s %10s  %s\n", "WORKER", "STATE",
	       "STAGE (LAYERS)", "SINCE", "HEARD", "LOSSES", "MEMORY", "WHERE");
	for (size_t i = 0; i < list->n_workers; i++)
		print_worker(list->workers[i]);
}

static enum sc_status list_workers(const struct config *config, struct error *err)
{
	Stagecoach__V1__ListWorkersRequest request = STAGECOACH__V1__LIST_WORKERS_REQUEST__INIT;
	struct client *client = NULL;
	ProtobufCMessage *answer = NULL;
	enum sc_status status = client_begin(config, &client, err);

	if (status == SC_OK)
		status = client_ask(client, "ListWorkers", &request.base, 0,
				    &stagecoach__v1__list_workers_response__descriptor, &answer,
				    err);
	client_close(client);
	if (status != SC_OK)
		return status;
	if (config->is_json)
		status = client_print_json(answer, err);
	else
		print_workers((const Stagecoach__V1__ListWorkersResponse *)answer);
	protobuf_c_message_free_unpacked(answer, NULL);
	return status == SC_OK ? client_flush(err) : status;
}

int cmd_workers(int argc, char **argv)
{
	static const char usage[] =
		"usage: stagecoach workers [OPTION...]\n\n"
		"List the workers that the server knows, spare and lost ones too.\n"
		"SINCE: time since the worker came, or since it was lost. HEARD: its last message.\n"
		"LOSSES: how often it was lost.\n";
	struct error err = { .status = SC_OK };
	struct config config;
	enum sc_status status;
	int exit_code;

	if (!verb_begin(&config, PROGRAM_WORKERS, usage, argc, argv, &exit_code))
		return exit_code;
	status = list_workers(&config, &err);
	config_deinit(&config);
	return client_end(status, &err);
}
