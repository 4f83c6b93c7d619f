/* SPDX-License-Identifier: Apache-2.0 */
/* stagecoach status - what the server is doing, and how each stage fares. */
#include "base/clock.h"
#include "cli/client_json.h"
#include "cli/client_signal.h"
#include "cli/client_verbs.h"
#include "cli/progress.h"
#include "cli/verb.h"
#include "cli/verbs.h"

#include "stagecoach/v1/stagecoach.pb-c.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define POLL_MS 200
#define MIB (1024.0 * 1024.0)

struct status_input {
	struct config config;
	uint64_t timeout_ms;	/* of the waiting; 0: for ever */
	struct progress progress;
};

static const char *phase_word(const Stagecoach__V1__Status *status, char *word, size_t n_bytes)
{
	return client_json_word(&stagecoach__v1__phase__descriptor, (int)status->phase, word,
				n_bytes);
}

static bool is_loading(const Stagecoach__V1__Status *status)
{
	return status->phase == STAGECOACH__V1__PHASE__PHASE_LOADING ||
	       status->phase == STAGECOACH__V1__PHASE__PHASE_RECOVERING;
}

/* The phase, and while stages load, also after a loss, how far they are. */
static const char *describe_phase(const Stagecoach__V1__Status *status, char *text, size_t n_bytes)
{
	double total = (double)status->load_total_bytes, done = (double)status->load_done_bytes;
	char word[32];

	phase_word(status, word, sizeof word);
	if (is_loading(status) && total > 0)
		snprintf(text, n_bytes, "%s %.0f %%: %.0f of %.0f MiB", word,
			 floor(100 * done / total), done / MIB, total / MIB);
	else
		snprintf(text, n_bytes, "%s", word);
	return text;
}

static void print_stages(const Stagecoach__V1__Status *status)
{
	printf("\n%5s %-10s %9s %9s %9s %9s %8s %9s %9s %7s  %s\n", "STAGE", "LAYERS",
	       "WEIGHTS", "KV", "STEPS", "ROWS", "BUSY", "WAITING", "SENDING", "BUBBLE",
	       "WHERE");
	for (size_t i = 0; i < status->n_stages; i++) {
		const Stagecoach__V1__Stage *stage = status->stages[i];
		char layers[32];

		snprintf(layers, sizeof layers, "%s%u-%u%s", stage->has_embedding ? "E+" : "",
			 stage->first_layer, stage->first_layer + stage->n_layers - 1,
			 stage->has_head ? "+H" : "");
		printf("%5u %-10s %5.1f MiB %5.1f MiB %9llu %9llu %6.1f s %7.1f s %7.1f s "
		       "%6.1f%%  %s:%u, %s\n", stage->rank, layers,
		       (double)stage->weight_bytes / MIB, (double)stage->kv_bytes / MIB,
		       (unsigned long long)stage->steps, (unsigned long long)stage->rows,
		       stage->busy_seconds, stage->waiting_seconds, stage->sending_seconds,
		       stage->bubble_ratio * 1e2, stage->host, stage->pid, stage->backend);
	}
	for (size_t i = 0; i < status->n_stages; i++)
		if (status->stages[i]->kv_saturated)
			printf("stage %u: %llu keys and values were too large for the kv-type and "
			       "were cut. Restart the server with --kv-type bf16 or f32\n",
			       status->stages[i]->rank,
			       (unsigned long long)status->stages[i]->kv_saturated);
}

static void print_epoch(const Stagecoach__V1__Status *status)
{
	printf("epoch   %u; %u recover%s", status->epoch, status->recoveries,
	       status->recoveries == 1 ? "y" : "ies");
	if (status->last_loss[0])
		printf("; last loss %.0f s ago: %s", status->last_loss_seconds_ago,
		       status->last_loss);
	putchar('\n');
}

/* How often each limit was met. Not every limit refuses: old jobs are forgotten, idle connections
 * closed. All limits are in --json. */
static void print_limits_met(const Stagecoach__V1__Status *status)
{
	const char *begin = "limits met: ";

	for (size_t i = 0; i < status->n_limits; i++) {
		if (!status->limits[i]->count)
			continue;
		printf("%s%s %llu", begin, status->limits[i]->name,
		       (unsigned long long)status->limits[i]->count);
		begin = ", ";
	}
	if (begin[0] == ',')
		putchar('\n');
}

/* Of layers that keep fewer tokens than the context has. */
static void print_windows(const Stagecoach__V1__Status *status)
{
	for (size_t i = 0; i < status->n_kv_groups; i++) {
		const Stagecoach__V1__KvGroup *group = status->kv_groups[i];

		if (group->window)
			printf("        %u of %u blocks free of %u layers with a window of %u "
			       "tokens\n", group->n_blocks_free, group->n_blocks,
			       group->n_layers, group->window);
	}
}

static void print_status(const Stagecoach__V1__Status *status)
{
	char state[64];

	printf("%s: %s, up %.0f s (stagecoach %s)\n", status->model,
	       describe_phase(status, state, sizeof state), status->uptime_seconds,
	       status->version);
	printf("jobs    %u running, %u queued; %llu done, %llu cancelled, %llu failed\n",
	       status->jobs_running, status->jobs_queued, (unsigned long long)status->jobs_done,
	       (unsigned long long)status->jobs_cancelled,
	       (unsigned long long)status->jobs_failed);
	printf("tokens  %llu from prompts, %llu generated; %llu preemptions\n",
	       (unsigned long long)status->prompt_tokens,
	       (unsigned long long)status->generated_tokens,
	       (unsigned long long)status->preemptions);
	printf("steps   %llu; %u in flight (maximum %u), up to %u rows per step\n",
	       (unsigned long long)status->steps, status->steps_in_flight, status->window,
	       status->max_rows);
	printf("KV      %u of %u blocks free, %u tokens per block; context %u tokens\n",
	       status->n_blocks_free, status->n_blocks, status->block_length,
	       status->max_context);
	print_windows(status);
	print_epoch(status);
	printf("loop    longest turn %.1f ms\n", status->longest_turn_seconds * 1e3);
	if (status->log_lines_dropped)
		printf("log     %llu lines dropped: nothing reads the server's standard error\n",
		       (unsigned long long)status->log_lines_dropped);
	print_limits_met(status);
	if (status->n_stages)
		print_stages(status);
}

static enum sc_status ask(struct status_input *input, uint64_t timeout_ms,
			  Stagecoach__V1__Status **status_out, struct error *err)
{
	Stagecoach__V1__GetStatusRequest request = STAGECOACH__V1__GET_STATUS_REQUEST__INIT;
	ProtobufCMessage *answer;
	struct client *client = NULL;
	enum sc_status status = client_begin(&input->config, &client, err);

	if (status == SC_OK)
		status = client_ask(client, "GetStatus", &request.base, timeout_ms,
				    &stagecoach__v1__status__descriptor, &answer, err);
	if (status == SC_OK)
		*status_out = (Stagecoach__V1__Status *)answer;
	if (status == SC_E_DEADLINE)	/* nobody answered, as with --silence */
		status = err->status = SC_E_TIMEOUT;
	client_close(client);
	return status;
}

static bool is_over(const Stagecoach__V1__Status *status)
{
	return status->phase >= STAGECOACH__V1__PHASE__PHASE_READY &&
	       status->phase != STAGECOACH__V1__PHASE__PHASE_RECOVERING;
}

/* Asks until the server is ready or draining, or until the time limit. */
static enum sc_status ask_until_ready(struct status_input *input,
				      Stagecoach__V1__Status **status_out, struct error *err)
{
	uint64_t start_ns = clock_ns();
	uint64_t waited_ms = 0;
	char state[64];

	do {
		uint64_t left_ms = input->timeout_ms - waited_ms;
		Stagecoach__V1__Status *answer;
		enum sc_status status;

		if (input->timeout_ms && left_ms < POLL_MS)
			left_ms = POLL_MS;
		status = ask(input, input->timeout_ms ? left_ms : 0, &answer, err);
		if (status == SC_OK && is_over(answer)) {
			*status_out = answer;
			return SC_OK;
		}
		if (status == SC_OK) {
			error_set(err, SC_E_UNAVAILABLE, "the server is not ready yet: %s",
				  describe_phase(answer, state, sizeof state));
			progress_show(&input->progress, clock_ns(), "%s", state);
			stagecoach__v1__status__free_unpacked(answer, NULL);
		} else if (status != SC_E_UNAVAILABLE && status != SC_E_CLOSED) {
			return status;
		} else {
			progress_show(&input->progress, clock_ns(), "waiting for the server");
		}
		if (client_signal_sleep(POLL_MS))
			return err->status;
		waited_ms = (clock_ns() - start_ns) / NS_PER_MS;
	} while (!input->timeout_ms || waited_ms < input->timeout_ms);
	return err->status;
}

static enum sc_status print_answer(const struct config *config,
				   const Stagecoach__V1__Status *answer, struct error *err)
{
	enum sc_status status = SC_OK;

	if (config->is_json)
		status = client_print_json(&answer->base, err);
	else
		print_status(answer);
	return status == SC_OK ? client_flush(err) : status;
}

static enum sc_status show_status(struct status_input *input, bool waits, struct error *err)
{
	Stagecoach__V1__Status *answer = NULL;
	enum sc_status status;
	char word[32];

	status = waits ? ask_until_ready(input, &answer, err) : ask(input, 0, &answer, err);
	progress_end(&input->progress);
	if (status != SC_OK)
		return status;
	status = print_answer(&input->config, answer, err);
	if (status == SC_OK && waits && answer->phase != STAGECOACH__V1__PHASE__PHASE_READY)
		status = error_set(err, SC_E_UNAVAILABLE, "the server is not ready: %s",
				   phase_word(answer, word, sizeof word));
	stagecoach__v1__status__free_unpacked(answer, NULL);
	return status;
}

int cmd_status(int argc, char **argv)
{
	static const char usage[] =
		"usage: stagecoach status [OPTION...]\n\n"
		"Show the jobs and the plan of the server. For each stage, show how long it was "
		"busy,\nwaiting and sending. BUBBLE: share of busy time during which this stage "
		"was idle.\n0 % is ideal.\n";
	struct status_input input = { .timeout_ms = 0 };
	struct error err = { .status = SC_OK };
	enum sc_status status;
	int exit_code;

	if (!verb_begin(&input.config, PROGRAM_STATUS, usage, argc, argv, &exit_code))
		return exit_code;
	input.timeout_ms = (uint64_t)(input.config.wait_timeout * 1e3);
	progress_init(&input.progress, input.config.is_quiet);
	status = show_status(&input, input.config.waits || input.timeout_ms, &err);
	config_deinit(&input.config);
	return client_end(status, &err);
}
