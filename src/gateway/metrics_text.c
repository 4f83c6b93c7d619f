/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/metrics_text.h"

#include <math.h>
#include <stdio.h>

/* --- vLLM --- */

struct shown {
	const struct metrics *metrics;
	const struct coordinator_status *status;
	double kv_usage;
};

static void write_scheduler(const struct shown *shown, struct exposition *e)
{
	const struct coordinator_status *status = shown->status;
	bool is_deferred = status->phase == COORDINATOR_RECOVERING;

	exposition_gauge(e, "vllm:num_requests_running",
			 "Sequences that are computed now.", status->sequences_running);
	exposition_gauge(e, "vllm:num_requests_waiting",
			 "Sequences that wait for a slot, preempted ones included.",
			 status->sequences_waiting);
	exposition_begin(e, "gauge", "vllm:num_requests_waiting_by_reason",
			 "Waiting sequences: for capacity, or deferred while a stage is lost.");
	exposition_add_count(e, "reason=\"capacity\"",
			     is_deferred ? 0 : status->sequences_waiting);
	exposition_add_count(e, "reason=\"deferred\"",
			     is_deferred ? status->sequences_waiting : 0);
	exposition_gauge(e, "vllm:kv_cache_usage_perc",
			 "Used share of the KV blocks; 1 means all. With sliding windows, of "
			 "the group of layers with the largest share.", shown->kv_usage);
	exposition_counter(e, "vllm:num_preemptions_total",
			   "Sequences that lost their slot and start over.", status->preemptions);
}

static void write_tokens(const struct shown *shown, struct exposition *e)
{
	const struct metrics *m = shown->metrics;

	exposition_counter(e, "vllm:prompt_tokens_total",
			   "Tokens of prompts that were computed.", m->prompt_tokens);
	exposition_begin(e, "counter", "vllm:prompt_tokens_by_source_total",
			 "Tokens of prompts by where their keys and values came from.");
	exposition_add_count(e, "source=\"local_compute\"", m->prompt_tokens);
	exposition_add_count(e, "source=\"local_cache_hit\"", 0);
	exposition_add_count(e, "source=\"external_kv_transfer\"", 0);
	exposition_counter(e, "vllm:prompt_tokens_cached_total",
			   "Tokens of prompts that were cached. 0: prefixes are not kept yet.", 0);
	exposition_counter(e, "vllm:generation_tokens_total", "Generated tokens.",
			   m->output_tokens);
	exposition_counter(e, "vllm:prefix_cache_queries_total",
			   "Tokens looked up in the prefix cache.", 0);
	exposition_counter(e, "vllm:prefix_cache_hits_total",
			   "Tokens found in the prefix cache.", 0);
}

static void write_finishes(const struct shown *shown, struct exposition *e)
{
	const uint64_t *n = shown->metrics->by_finish;

	exposition_begin(e, "counter", "vllm:request_success_total",
			 "Sequences that have ended, by reason.");
	exposition_add_count(e, "finished_reason=\"stop\"", n[FINISH_STOP]);
	exposition_add_count(e, "finished_reason=\"length\"",
			     n[FINISH_LENGTH] + n[FINISH_CONTEXT]);
	exposition_add_count(e, "finished_reason=\"abort\"", n[FINISH_CANCELLED]);
	exposition_add_count(e, "finished_reason=\"error\"", n[FINISH_ERROR]);
	exposition_add_count(e, "finished_reason=\"repetition\"", 0);
}

static void write_histograms(const struct shown *shown, struct exposition *e)
{
	static const struct {
		enum metric metric;
		const char *name, *help;
	} families[] = {
		{ METRIC_FIRST_TOKEN, "vllm:time_to_first_token_seconds",
		  "Time from submission to the first token." },
		{ METRIC_INTER_TOKEN, "vllm:inter_token_latency_seconds",
		  "Time between two tokens of a sequence." },
		{ METRIC_TIME_PER_TOKEN, "vllm:request_time_per_output_token_seconds",
		  "Mean time between two tokens, per sequence." },
		{ METRIC_LATENCY, "vllm:e2e_request_latency_seconds",
		  "Time from submission to the end." },
		{ METRIC_QUEUE, "vllm:request_queue_time_seconds",
		  "Time from submission to the first computed row." },
		{ METRIC_INFERENCE, "vllm:request_inference_time_seconds",
		  "Time from the first computed row to the last token." },
		{ METRIC_PREFILL, "vllm:request_prefill_time_seconds",
		  "Time from the first computed row to the first token." },
		{ METRIC_DECODE, "vllm:request_decode_time_seconds",
		  "Time from the first token to the last." },
		{ METRIC_PROMPT_TOKENS, "vllm:request_prompt_tokens",
		  "Tokens of the prompt, per sequence." },
		{ METRIC_COMPUTED_TOKENS, "vllm:request_prefill_kv_computed_tokens",
		  "Tokens of the prompt that were not cached, per sequence." },
		{ METRIC_OUTPUT_TOKENS, "vllm:request_generation_tokens",
		  "Generated tokens, per sequence." },
		{ METRIC_MOST_TOKENS, "vllm:request_max_num_generation_tokens",
		  "Generated tokens of the longest sequence, per job." },
		{ METRIC_N, "vllm:request_params_n", "Sequences, per job." },
		{ METRIC_MAX_TOKENS, "vllm:request_params_max_tokens",
		  "The most tokens that a sequence might have had." },
		{ METRIC_STEP_ROWS, "vllm:iteration_tokens_total",
		  "Rows of a step: prompt tokens and one for each decoding sequence." },
	};

	for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
		exposition_histogram(e, families[i].name, families[i].help,
				     &shown->metrics->histograms[families[i].metric]);
}

/* Names that vLLM has given up and older dashboards ask for. */
static void write_old_names(const struct shown *shown, struct exposition *e)
{
	exposition_histogram(e, "vllm:time_per_output_token_seconds",
			     "Old name of vllm:inter_token_latency_seconds.",
			     &shown->metrics->histograms[METRIC_INTER_TOKEN]);
	exposition_gauge(e, "vllm:gpu_cache_usage_perc",
			 "Old name of vllm:kv_cache_usage_perc.", shown->kv_usage);
	exposition_gauge(e, "vllm:cpu_cache_usage_perc",
			 "Used share of KV blocks that were swapped out: there are none.", 0);
	exposition_gauge(e, "vllm:num_requests_swapped",
			 "Sequences whose KV blocks were swapped out: there are none.", 0);
	exposition_counter(e, "vllm:gpu_prefix_cache_queries_total",
			   "Old name of vllm:prefix_cache_queries_total.", 0);
	exposition_counter(e, "vllm:gpu_prefix_cache_hits_total",
			   "Old name of vllm:prefix_cache_hits_total.", 0);
}

static void write_cache_info(const struct coordinator_status *status, struct exposition *e)
{
	char labels[256];

	exposition_begin(e, "gauge", "vllm:cache_config_info", "The KV cache; always 1.");
	snprintf(labels, sizeof labels,
		 "block_size=\"%u\",num_gpu_blocks=\"%u\",cache_dtype=\"%s\","
		 "enable_prefix_caching=\"False\"", status->block_length, status->n_blocks,
		 status->kv_type);
	exposition_add_count(e, labels, 1);
}

/* --- llama-server --- */

static double per_second(double n, double seconds)
{
	return seconds > 0.0 ? n / seconds : 0.0;
}

static void write_llamacpp(const struct shown *shown, struct exposition *e)
{
	const struct metrics *m = shown->metrics;
	const struct histogram *h = m->histograms;

	exposition_counter(e, "llamacpp:prompt_tokens_total",
			   "Tokens of prompts that were computed.", m->prompt_tokens);
	exposition_counter(e, "llamacpp:prompt_tokens_cached_total",
			   "Tokens of prompts that were cached.", 0);
	exposition_begin(e, "counter", "llamacpp:prompt_seconds_total",
			 "Time from first rows to first tokens, added up.");
	exposition_add(e, "", h[METRIC_PREFILL].sum);
	exposition_counter(e, "llamacpp:tokens_predicted_total", "Generated tokens.",
			   m->output_tokens);
	exposition_begin(e, "counter", "llamacpp:tokens_predicted_seconds_total",
			 "Time from first tokens to last ones, added up.");
	exposition_add(e, "", h[METRIC_DECODE].sum);
	exposition_counter(e, "llamacpp:n_decode_total", "Answered steps.", m->n_steps);
	exposition_gauge(e, "llamacpp:n_tokens_max",
			 "Tokens of the longest sequence, prompt included.",
			 (double)m->most_positions);
	exposition_gauge(e, "llamacpp:n_busy_slots_per_decode",
			 "Generated tokens per step.",
			 per_second((double)m->output_tokens, (double)m->n_steps));
	exposition_gauge(e, "llamacpp:prompt_tokens_seconds",
			 "Tokens of prompts per second of their time.",
			 per_second(h[METRIC_PROMPT_TOKENS].sum, h[METRIC_PREFILL].sum));
	exposition_gauge(e, "llamacpp:predicted_tokens_seconds",
			 "Generated tokens per second of their time.",
			 per_second(h[METRIC_OUTPUT_TOKENS].sum, h[METRIC_DECODE].sum));
	exposition_gauge(e, "llamacpp:kv_cache_usage_ratio",
			 "Used share of the KV blocks; 1 means all. With sliding windows, of "
			 "the group of layers with the largest share.", shown->kv_usage);
	exposition_gauge(e, "llamacpp:requests_processing", "Sequences that are computed now.",
			 shown->status->sequences_running);
	exposition_gauge(e, "llamacpp:requests_deferred", "Sequences that wait.",
			 shown->status->sequences_waiting);
}

/* --- all --- */

static enum sc_status vllm_labels(const struct metrics_source *source, struct buf *labels)
{
	enum sc_status status = label_add(labels, "model_name", source->model_name);

	return status == SC_OK ? label_add(labels, "engine", "0") : status;
}

/* Of the group of blocks with the fewest left: it decides whether another sequence can start. */
static double kv_usage(const struct coordinator_status *status)
{
	double most = 0.0;

	for (uint32_t g = 0; g < status->n_groups; g++) {
		const struct group_status *group = &status->groups[g];

		most = fmax(most, 1.0 - (double)group->n_blocks_free / group->n_blocks);
	}
	return most;
}

enum sc_status metrics_write(const struct metrics_source *source, struct buf *out)
{
	struct buf labels = BUF_INIT;
	struct exposition e = { .out = out, .labels = "" };
	struct coordinator_status status;
	struct shown shown = { .metrics = engine_metrics(source->engine), .status = &status };

	engine_status(source->engine, &status);
	shown.kv_usage = kv_usage(&status);
	e.status = vllm_labels(source, &labels);
	e.labels = labels.data;
	write_scheduler(&shown, &e);
	write_tokens(&shown, &e);
	write_finishes(&shown, &e);
	write_histograms(&shown, &e);
	write_old_names(&shown, &e);
	write_cache_info(&status, &e);
	e.labels = "";
	write_llamacpp(&shown, &e);
	metrics_write_own(source, &status, &e);
	buf_deinit(&labels);
	return e.status;
}
