/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/metrics.h"

#include "base/clock.h"

/* The bounds are those of vLLM, so that its dashboards and alerts fit. */
static const double first_token_bounds[] = {
	0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20,
	40, 80, 160, 640, 2560,
};
static const double token_bounds[] = {
	0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40,
	80,
};
static const double latency_bounds[] = {
	0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920,
	7680,
};
static const double n_bounds[] = { 1, 2, 5, 10, 20 };
static const double step_bounds[] = {
	1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384,
};

#define BOUNDS(array) { array, sizeof(array) / sizeof(array)[0] }

/* Without bounds: 1, 2, 5 and so on. */
static const struct {
	const double *bounds;
	unsigned n;
} bounds_of[N_METRICS] = {
	[METRIC_FIRST_TOKEN] = BOUNDS(first_token_bounds),
	[METRIC_INTER_TOKEN] = BOUNDS(token_bounds),
	[METRIC_TIME_PER_TOKEN] = BOUNDS(token_bounds),
	[METRIC_LATENCY] = BOUNDS(latency_bounds),
	[METRIC_QUEUE] = BOUNDS(latency_bounds),
	[METRIC_PREFILL] = BOUNDS(latency_bounds),
	[METRIC_DECODE] = BOUNDS(latency_bounds),
	[METRIC_INFERENCE] = BOUNDS(latency_bounds),
	[METRIC_N] = BOUNDS(n_bounds),
	[METRIC_STEP_ROWS] = BOUNDS(step_bounds),
};

void metrics_init(struct metrics *metrics, uint32_t max_context)
{
	*metrics = (struct metrics){ .n_steps = 0 };
	for (unsigned i = 0; i < N_METRICS; i++)
		if (bounds_of[i].n)
			histogram_init(&metrics->histograms[i], bounds_of[i].bounds,
				       bounds_of[i].n);
		else
			histogram_init_1_2_5(&metrics->histograms[i], max_context);
}

static void observe(struct metrics *metrics, enum metric metric, double value)
{
	histogram_observe(&metrics->histograms[metric], value);
}

static void observe_time(struct metrics *metrics, enum metric metric, uint64_t from_ns,
			 uint64_t to_ns)
{
	observe(metrics, metric, to_ns > from_ns ? clock_seconds(to_ns - from_ns) : 0.0);
}

void metrics_note_submitted(struct metrics *metrics, uint32_t n_sequences)
{
	metrics->n_submitted += n_sequences;
}

void metrics_note_started(struct metrics_times *times, uint64_t now_ns)
{
	if (!times->started_ns)
		times->started_ns = now_ns;
}

void metrics_note_token(struct metrics *metrics, struct metrics_times *times,
			const struct metrics_request *request, uint64_t now_ns)
{
	if (!times->first_ns) {
		times->first_ns = now_ns;
		metrics->prompt_tokens += request->n_prompt;
		observe_time(metrics, METRIC_FIRST_TOKEN, request->submitted_ns, now_ns);
	} else {
		observe_time(metrics, METRIC_INTER_TOKEN, times->last_ns, now_ns);
	}
	times->last_ns = now_ns;
	if (request->max_tokens) {
		times->n_tokens++;
		metrics->output_tokens++;
	}
}

static void observe_sequence(struct metrics *metrics, const struct metrics_times *times,
			     const struct metrics_request *request, uint64_t now_ns)
{
	double decode = clock_seconds(times->last_ns - times->first_ns);
	uint64_t n_positions = (uint64_t)request->n_prompt + times->n_tokens;

	if (n_positions > metrics->most_positions)
		metrics->most_positions = n_positions;
	observe_time(metrics, METRIC_LATENCY, request->submitted_ns, now_ns);
	observe_time(metrics, METRIC_QUEUE, request->submitted_ns, times->started_ns);
	observe_time(metrics, METRIC_PREFILL, times->started_ns, times->first_ns);
	observe(metrics, METRIC_DECODE, decode);
	observe_time(metrics, METRIC_INFERENCE, times->started_ns, times->last_ns);
	observe(metrics, METRIC_TIME_PER_TOKEN,
		times->n_tokens > 1 ? decode / (times->n_tokens - 1) : 0.0);
	observe(metrics, METRIC_PROMPT_TOKENS, request->n_prompt);
	observe(metrics, METRIC_COMPUTED_TOKENS, request->n_prompt);
	observe(metrics, METRIC_OUTPUT_TOKENS, times->n_tokens);
	observe(metrics, METRIC_MAX_TOKENS, request->max_tokens);
}

void metrics_note_end(struct metrics *metrics, struct metrics_times *times,
		      const struct metrics_request *request, enum finish_reason reason,
		      uint64_t now_ns)
{
	if (times->has_ended)
		return;
	times->has_ended = true;
	metrics->n_ended++;
	metrics->by_finish[reason]++;
	if (reason != FINISH_CANCELLED && reason != FINISH_ERROR)
		observe_sequence(metrics, times, request, now_ns);
}

void metrics_note_done(struct metrics *metrics, uint32_t n_sequences, uint32_t most_tokens)
{
	observe(metrics, METRIC_N, n_sequences);
	observe(metrics, METRIC_MOST_TOKENS, most_tokens);
}

void metrics_note_step(struct metrics *metrics, uint64_t n_rows)
{
	metrics->n_steps++;
	observe(metrics, METRIC_STEP_ROWS, (double)n_rows);
}
