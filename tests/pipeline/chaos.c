/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/pipeline/chaos.h"
#include "tests/model/windows.h"

#include "base/clock.h"
#include "coordinator/coordinator_private.h"

#include "tests/pipeline/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

/* Once the last fault is over, a run must end within so much. The pauses of a coordinator that
 * tries again take most rounds: a start_ms is 600 of them. */
enum { MAX_QUIET_DELIVERIES = 20000, MAX_QUIET_ROUNDS = 1500 };
/* Time also passes while there is something to deliver. */
enum { DELIVERIES_PER_PASS = 32, PASS_MS = 5 };

static struct chaos_kind kinds[CHAOS_N_KINDS];
static struct buf log_text = BUF_INIT;
static bool is_loud;
static uint64_t log_seed;

/* --- log --- */

void chaos_be_loud(void)
{
	is_loud = true;
}

void chaos_log(const char *format, ...)
{
	char line[512];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof line - 1, format, args);
	va_end(args);
	if (n >= (int)sizeof line - 1)
		n = sizeof line - 2;
	line[n++] = '\n';
	if (is_loud)
		fwrite(line, 1, (size_t)n, stderr);
	if (buf_add(&log_text, line, (size_t)n) != SC_OK)
		abort();
}

/* Also called when a sanitizer or an assertion ends the process. */
static void print_log(void)
{
	if (!is_loud)
		fwrite(log_text.data, 1, log_text.length, stderr);
	fprintf(stderr, "chaos: seed %llu failed. Repeat it with: tests/pipeline/test_chaos %llu\n",
		(unsigned long long)log_seed, (unsigned long long)log_seed);
}

void chaos_print_log_of_dead(void)
{
	print_log();
	fflush(stderr);
}

_Noreturn void chaos_fail(const char *format, ...)
{
	char why[600];
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof why, format, args);
	va_end(args);
	chaos_log("FAILED: %s", why);
	print_log();
	fail_msg("seed %llu: %s", (unsigned long long)log_seed, why);
	abort();
}

/* --- one thing after the other --- */

static struct wire *choose(struct chaos *chaos)
{
	struct wire *chosen = NULL;
	uint32_t n = 0;

	list_for_each(node, net_wires(chaos->net)) {
		struct wire *wire = list_entry(node, struct wire, node);

		if (!wire->n_items || chaos_is_held(chaos, wire))
			continue;
		if (wire_has_progress(wire))
			return wire;
		n++;
		if (n == 1 || !chaos_draw(&chaos->random, n))
			chosen = wire;
	}
	return chosen;
}

static void deliver(struct chaos *chaos, struct wire *wire)
{
	char text[96];

	if (wire_has_progress(wire)) {
		net_deliver(wire);
		return;
	}
	if (chaos_fire_before(chaos, wire))
		return;
	if (is_loud)
		chaos_log("%llu: %s", (unsigned long long)chaos->n_deliveries + 1,
			  wire_describe(wire, text));
	chaos->ticks++;
	chaos->n_deliveries++;
	net_deliver(wire);
	if (chaos->n_deliveries % DELIVERIES_PER_PASS == 0)
		manual_clock_pass(chaos->clock, PASS_MS);
}

/* Nothing can be delivered. Time does not pass for threads that compute. */
static void wait_for_time(struct chaos *chaos)
{
	const struct timespec pause = { .tv_nsec = 20000 };
	const uint64_t until_ns = clock_ns() + 30 * NS_PER_SECOND;

	if (cluster_is_computing(chaos)) {
		nanosleep(&pause, NULL);
		if (clock_ns() > until_ns)
			chaos_fail("a compute thread hangs");
		return;
	}
	chaos->n_rounds++;
	chaos->ticks += CHAOS_ROUND_TICKS;
	if (net_n_waiting(chaos->net))
		chaos->stats->n_held++;
	manual_clock_pass(chaos->clock, CHAOS_HEARTBEAT_MS);
}

static void submit_all(struct chaos *chaos)
{
	if (chaos->are_submitted || chaos->is_draining ||
	    (chaos->phase != COORDINATOR_READY && chaos->phase != COORDINATOR_RECOVERING))
		return;
	chaos->are_submitted = true;
	for (unsigned i = 0; i < chaos->scenario.n_jobs; i++)
		if (!cluster_submit(chaos, chaos->scenario.kinds[i]))
			chaos_fail("there is no room for a job");
}

static void step(struct chaos *chaos)
{
	struct wire *wire;

	cluster_settle(chaos);
	submit_all(chaos);
	cluster_keep(chaos);
	if (chaos_fire_due(chaos))
		return;
	wire = choose(chaos);
	if (wire)
		deliver(chaos, wire);
	else
		wait_for_time(chaos);
	chaos_give_up_if_late(chaos);
}

/* --- ends --- */

static bool are_faults_over(const struct chaos *chaos)
{
	if (chaos->next_fault < chaos->scenario.n_faults)
		return false;
	for (unsigned i = 0; i < CHAOS_MAX_HOLDS; i++)
		if (chaos->holds[i].until > chaos->ticks)
			return false;
	for (unsigned i = 0; i < chaos->n_nodes; i++)
		if (chaos->nodes[i].back_at || chaos->nodes[i].dies_at)
			return false;
	return true;
}

static void check_progress(struct chaos *chaos, uint64_t *quiet_delivery, uint64_t *quiet_round)
{
	if (chaos->phase == COORDINATOR_FAILED && !chaos->is_nobody_left)
		chaos_fail("the coordinator gave up: %s", chaos->error.text);
	if (!are_faults_over(chaos)) {
		*quiet_delivery = chaos->n_deliveries;
		*quiet_round = chaos->n_rounds;
	}
	if (chaos->n_deliveries > *quiet_delivery + MAX_QUIET_DELIVERIES ||
	    chaos->n_rounds > *quiet_round + MAX_QUIET_ROUNDS)
		chaos_fail("not at its end %llu deliveries and %llu rounds after the last fault; "
			   "the coordinator is %s",
			   (unsigned long long)(chaos->n_deliveries - *quiet_delivery),
			   (unsigned long long)(chaos->n_rounds - *quiet_round),
			   coordinator_phase_name(chaos->phase));
}

/* Steps until the condition holds. */
#define step_until(chaos, condition)                                                \
	do {                                                                        \
		uint64_t delivery_ = (chaos)->n_deliveries, round_ = (chaos)->n_rounds; \
		while (!(condition)) {                                              \
			step(chaos);                                                \
			check_progress(chaos, &delivery_, &round_);                 \
		}                                                                   \
	} while (0)

static bool is_idle(const struct chaos *chaos)
{
	const struct coordinator *c = chaos->coordinator;

	return chaos->phase == COORDINATOR_READY && c->epoch && !net_n_waiting(chaos->net) &&
	       !cluster_is_computing(chaos) && !cluster_has_jobs(chaos) &&
	       frame_pool_n_free(c->epoch->step_pool) == c->epoch->window + 1;
}

/* Nothing of all jobs is left in an epoch without jobs. */
static void check_idle(struct chaos *chaos)
{
	const struct scheduler_counts counts =
		scheduler_counts(chaos->coordinator->epoch->scheduler);
	struct coordinator_status status;

	coordinator_status(chaos->coordinator, &status);
	if (status.n_blocks_free != status.n_blocks || status.steps_in_flight ||
	    status.jobs_queued || status.jobs_running || counts.in_flight)
		chaos_fail("idle, but %u of %u blocks are free, %u steps in flight, %u jobs "
			   "queued, %u running", status.n_blocks_free, status.n_blocks,
			   status.steps_in_flight, status.jobs_queued, status.jobs_running);
}

/* The cluster works again, and nothing is left behind. */
static void end_well(struct chaos *chaos)
{
	step_until(chaos, are_faults_over(chaos) && is_idle(chaos));
	check_idle(chaos);
	if (!cluster_submit(chaos, (unsigned)(chaos->scenario.seed % CHAOS_N_KINDS)))
		chaos_fail("the last job is refused");
	step_until(chaos, !cluster_has_jobs(chaos) && is_idle(chaos));
	check_idle(chaos);
}

static void end(struct chaos *chaos)
{
	struct coordinator_status status;

	while (chaos->next_fault < chaos->scenario.n_faults)
		chaos_give_up(chaos, "all jobs had ended");
	if (chaos->is_nobody_left)
		step_until(chaos, chaos->phase == COORDINATOR_FAILED);
	else if (chaos->is_draining)
		step_until(chaos, chaos->phase == COORDINATOR_STOPPED);
	else
		end_well(chaos);
	cluster_check_jobs(chaos);
	coordinator_status(chaos->coordinator, &status);
	chaos->stats->n_epochs += status.epoch;
	chaos->stats->n_recoveries += status.recoveries;
	chaos->stats->n_deliveries += chaos->n_deliveries;
	chaos->stats->n_rounds += chaos->n_rounds;
	chaos->stats->n_runs++;
}

static void run(struct chaos *chaos)
{
	cluster_open(chaos);
	step_until(chaos, chaos->are_submitted && !cluster_has_jobs(chaos));
	end(chaos);
	chaos_log("seed %llu: %llu deliveries, %llu rounds", (unsigned long long)log_seed,
		  (unsigned long long)chaos->n_deliveries, (unsigned long long)chaos->n_rounds);
	cluster_close(chaos);
}

static void begin_log(const struct chaos_scenario *scenario)
{
	buf_truncate(&log_text, 0);
	log_seed = scenario->seed;
	chaos_log("seed %llu: %u stages, %u workers, %u jobs, %u faults, %s, %s, %u positions",
		  (unsigned long long)scenario->seed, scenario->n_stages, scenario->n_workers,
		  scenario->n_jobs, scenario->n_faults,
		  scenario->is_strict ? "strict" : "with threads",
		  scenario->warms_spares ? "warm spares" : "cold spares", scenario->kv_positions);
}

void chaos_run_scenario(const struct chaos_scenario *scenario, struct chaos_stats *stats)
{
	struct chaos *chaos = calloc(1, sizeof *chaos);

	if (!chaos)
		abort();
	chaos->scenario = *scenario;
	chaos->stats = stats;
	chaos->kinds = kinds;
	chaos->random = ~scenario->seed;
	begin_log(scenario);
	run(chaos);
	free(chaos);
}

void chaos_run(uint64_t seed, struct chaos_stats *stats)
{
	struct chaos_scenario scenario;

	chaos_scenario_make(seed, &scenario);
	chaos_run_scenario(&scenario, stats);
}

/* --- undisturbed results --- */

/* One stage, one job after the other. */
static void make_results(void)
{
	struct chaos_stats stats = { 0 };
	struct chaos *chaos = calloc(1, sizeof *chaos);
	const struct chaos_scenario scenario = {
		.n_stages = 1, .n_workers = 1, .is_strict = true, .kv_positions = 1024,
	};

	if (!chaos)
		abort();
	chaos->scenario = scenario;
	chaos->stats = &stats;
	chaos->kinds = kinds;
	begin_log(&scenario);
	cluster_open(chaos);
	step_until(chaos, chaos->are_submitted);
	for (unsigned i = 0; i < CHAOS_N_KINDS; i++) {
		struct error err;
		struct job *job;

		if (job_submit(chaos->coordinator, &kinds[i].request, &job, &err) != SC_OK)
			chaos_fail("%s", err.text);
		step_until(chaos, job_is_ended(job));
		chaos_kind_keep(&kinds[i], job);
		job_release(job);
	}
	cluster_close(chaos);
	free(chaos);
}

void chaos_prepare(bool has_windows)
{
	static const uint32_t windows[] = { 5, 0, 20, 5 };
	struct tiny_model tiny = tiny_llama;

	tiny.dim = 32;
	tiny.ffn_dim = 48;
	tiny.n_heads = 2;
	tiny.n_kv_heads = 1;
	tiny.head_dim = 16;
	tiny.n_context = 128;
	rig_use_model(&tiny);
	if (has_windows)
		windows_set(rig_model()->model, windows, 4);
	chaos_kinds_make(kinds);
	make_results();
	chaos_kinds_add_stops(kinds);
	make_results();
}

void chaos_release(void)
{
	rig_model_close();
	buf_deinit(&log_text);
}
