/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve - measures what clients of a server see: time to first token, gaps between tokens,
 * throughput.
 * Usage: serve [OPTION...], see serve --help.
 * Runs one thread that sleeps between events. The share of a processor that this client used is
 * printed with the results. serve_tally.h defines the numbers. Exit codes: 0: success; 1: a request
 * or the output failed, or the run did not end in time; 64: wrong options; 69: no server.
 */
#include "bench/serve_load.h"

#include "base/clock.h"
#include "base/parse.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct door_ops *const doors[] = { &door_grpc, &door_openai, &door_llama };
enum { N_DOORS = sizeof doors / sizeof doors[0], RETRY_US = 10000, POISSON_STREAMS = 64 };
#define MIN_RATE 0.001

struct options {
	struct load_plan plan;
	const struct door_ops *door;
	struct client_target target;
	bool is_json;
	const char *csv;	/* NULL: none */
	FILE *csv_file;		/* open from before the run on, so that no run is in vain */
	double wait_seconds;	/* for the server to answer; 0: no waiting */
};

static const char usage_text[] =
"Usage: serve [OPTION...]\n"
"Load a server and measure what its clients feel.\n"
"\n"
" Server:\n"
"      --door NAME            grpc: Stagecoach; openai: POST /v1/completions, of Stagecoach or\n"
"                             others; llama: llama-server, POST /completion (grpc)\n"
"      --listen HOST:PORT     TCP address of the server\n"
"      --socket PATH          its Unix socket\n"
"      --wait SECONDS         instead of a run: ask for one token until the server gives it\n"
"\n"
" Requests:\n"
"      --prompt N             tokens of each prompt; no two prompts are equal (128)\n"
"      --tokens N             tokens to generate (64)\n"
"      --ids FIRST-LAST       token ids that prompts are made of (3-250)\n"
"      --seed N               of prompts and of random arrivals (1)\n"
"\n"
" Load:\n"
"      --streams N            requests at once; each stream asks again when its request has\n"
"                             ended (1; with --burst --requests, with --rate 64: a request\n"
"                             that finds none free waits, and that counts)\n"
"      --rate R               instead: requests come at random, R a second on average\n"
"      --burst                instead: all requests come at once\n"
"      --connections N        which the streams share; the others need one each (one each)\n"
"      --requests N           end after so many (one for each stream; with --seconds: no limit)\n"
"      --seconds S            end after so long, and cut off what runs then\n"
"      --timeout S            fail after so long (240)\n"
"\n"
" Background:\n"
"      --background N         streams that decode before, beside and after the requests, over\n"
"                             connections of their own (0)\n"
"      --background-prompt N  tokens of their prompts (16)\n"
"      --background-tokens N  tokens that each of their requests generates (1024)\n"
"      --lead S               pause before each request of a stream (0; with a background 3)\n"
"      --tail S               the background goes on for so long at the end (the same)\n"
"\n"
" Output:\n"
"      --json                 one line of JSON instead of Markdown\n"
"      --csv FILE             every event: seconds, class, request, event, tokens\n"
"  -h, --help\n";

enum {
	OPT_DOOR = 256, OPT_LISTEN, OPT_SOCKET, OPT_WAIT, OPT_PROMPT, OPT_TOKENS, OPT_IDS,
	OPT_SEED, OPT_STREAMS, OPT_RATE, OPT_BURST, OPT_CONNECTIONS, OPT_REQUESTS, OPT_SECONDS,
	OPT_TIMEOUT, OPT_BACKGROUND, OPT_BACKGROUND_PROMPT, OPT_BACKGROUND_TOKENS, OPT_LEAD,
	OPT_TAIL, OPT_JSON, OPT_CSV,
};

static const struct option long_options[] = {
	{ "door", 1, NULL, OPT_DOOR }, { "listen", 1, NULL, OPT_LISTEN },
	{ "socket", 1, NULL, OPT_SOCKET }, { "wait", 1, NULL, OPT_WAIT },
	{ "prompt", 1, NULL, OPT_PROMPT }, { "tokens", 1, NULL, OPT_TOKENS },
	{ "ids", 1, NULL, OPT_IDS }, { "seed", 1, NULL, OPT_SEED },
	{ "streams", 1, NULL, OPT_STREAMS }, { "rate", 1, NULL, OPT_RATE },
	{ "burst", 0, NULL, OPT_BURST }, { "connections", 1, NULL, OPT_CONNECTIONS },
	{ "requests", 1, NULL, OPT_REQUESTS }, { "seconds", 1, NULL, OPT_SECONDS },
	{ "timeout", 1, NULL, OPT_TIMEOUT }, { "background", 1, NULL, OPT_BACKGROUND },
	{ "background-prompt", 1, NULL, OPT_BACKGROUND_PROMPT },
	{ "background-tokens", 1, NULL, OPT_BACKGROUND_TOKENS },
	{ "lead", 1, NULL, OPT_LEAD }, { "tail", 1, NULL, OPT_TAIL },
	{ "json", 0, NULL, OPT_JSON }, { "csv", 1, NULL, OPT_CSV },
	{ "help", 0, NULL, 'h' }, { NULL, 0, NULL, 0 },
};

__attribute__((format(printf, 1, 2)))
static _Noreturn void stop(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("serve: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(64);
}

static const char *name_of(int option)
{
	const struct option *o = long_options;

	while (o->val != option)
		o++;
	return o->name;
}

static uint32_t count_of(int option, const char *text, uint32_t least, uint32_t most)
{
	uint64_t value;

	if (!parse_u64(text, &value) || value < least || value > most)
		stop("--%s: expected a whole number from %u to %u, found '%s'", name_of(option),
		     least, most, text);
	return (uint32_t)value;
}

static double number_of(int option, const char *text)
{
	double value;

	if (!parse_f64(text, &value) || value < 0.0 || value > 1e6)
		stop("--%s: expected a number from 0 to 1000000, found '%s'", name_of(option),
		     text);
	return value;
}

static double positive_of(int option, const char *text)
{
	double value = number_of(option, text);

	if (value <= 0.0)
		stop("--%s: expected a number above 0, found '%s'", name_of(option), text);
	return value;
}

static void set_ids(struct load_plan *plan, const char *text)
{
	char first[16];
	const char *dash = strchr(text, '-');

	if (!dash || (size_t)(dash - text) >= sizeof first)
		stop("--ids: expected FIRST-LAST, found '%s'", text);
	memcpy(first, text, (size_t)(dash - text));
	first[dash - text] = '\0';
	plan->first_id = count_of(OPT_IDS, first, 0, INT32_MAX - 1);
	plan->last_id = count_of(OPT_IDS, dash + 1, plan->first_id + 1, INT32_MAX);
}

static void set_mode(struct load_plan *plan, enum load_mode mode)
{
	if (plan->mode != LOAD_CLOSED && plan->mode != mode)
		stop("--rate and --burst exclude each other");
	plan->mode = mode;
}

static const struct door_ops *find_door(const char *name)
{
	for (unsigned i = 0; i < N_DOORS; i++)
		if (strcmp(doors[i]->name, name) == 0)
			return doors[i];
	stop("--door: expected grpc or llama, found '%s'", name);
}

static void set_option(struct options *options, int option, const char *text)
{
	struct load_plan *plan = &options->plan;

	switch (option) {
	case OPT_DOOR: options->door = find_door(text); break;
	case OPT_LISTEN: options->target.listen = text; break;
	case OPT_SOCKET: options->target.socket = text; break;
	case OPT_WAIT: options->wait_seconds = positive_of(option, text); break;
	case OPT_PROMPT: plan->shape.n_prompt = count_of(option, text, 1, 1 << 20); break;
	case OPT_TOKENS: plan->shape.n_tokens = count_of(option, text, 1, 1 << 20); break;
	case OPT_IDS: set_ids(plan, text); break;
	case OPT_SEED: plan->seed = count_of(option, text, 0, UINT32_MAX); break;
	case OPT_STREAMS: plan->n_streams = count_of(option, text, 1, LOAD_MAX_LANES); break;
	case OPT_RATE:
		set_mode(plan, LOAD_POISSON);
		plan->rate = positive_of(option, text);
		break;
	case OPT_BURST: set_mode(plan, LOAD_BURST); break;
	case OPT_CONNECTIONS:
		plan->n_connections = count_of(option, text, 1, LOAD_MAX_LANES);
		break;
	case OPT_REQUESTS: plan->n_requests = count_of(option, text, 1, 1 << 20); break;
	case OPT_SECONDS: plan->seconds = number_of(option, text); break;
	case OPT_TIMEOUT: plan->timeout_seconds = number_of(option, text); break;
	case OPT_BACKGROUND:
		plan->n_background = count_of(option, text, 0, LOAD_MAX_LANES);
		break;
	case OPT_BACKGROUND_PROMPT:
		plan->background.n_prompt = count_of(option, text, 1, 1 << 20);
		break;
	case OPT_BACKGROUND_TOKENS:
		plan->background.n_tokens = count_of(option, text, 2, 1 << 20);
		break;
	case OPT_LEAD: plan->lead_seconds = number_of(option, text); break;
	case OPT_TAIL: plan->tail_seconds = number_of(option, text); break;
	case OPT_JSON: options->is_json = true; break;
	case OPT_CSV: options->csv = text; break;
	case 'h': fputs(usage_text, stdout); exit(0);
	default: stop("serve --help lists the options");
	}
}

/* What was not said, and what cannot go together. */
static void complete(struct options *options)
{
	struct load_plan *plan = &options->plan;
	bool is_open = plan->mode != LOAD_CLOSED;

	/* All arrivals of a slower one would not fit into 64 bits of nanoseconds. */
	if (plan->mode == LOAD_POISSON && plan->rate < MIN_RATE)
		stop("--rate must be %g at least", MIN_RATE);
	if (!plan->n_requests && plan->mode == LOAD_POISSON && plan->seconds > 0.0)
		plan->n_requests = (uint32_t)fmin(plan->rate * plan->seconds * 2 + 100, 1 << 20);
	if (!plan->n_requests)
		plan->n_requests = plan->seconds > 0.0 && !is_open ? 1 << 20 :
				   plan->n_streams ? plan->n_streams : 1;
	if (plan->mode == LOAD_BURST && plan->n_requests > LOAD_MAX_LANES)
		stop("a burst has at most %u requests", LOAD_MAX_LANES);
	if (!plan->n_streams)
		plan->n_streams = !is_open ? 1 : plan->mode == LOAD_BURST ||
				  plan->n_requests < POISSON_STREAMS ?
				  plan->n_requests : POISSON_STREAMS;
	if (!plan->n_connections)
		plan->n_connections = plan->n_streams;
	if (plan->n_connections > plan->n_streams)
		stop("there are more --connections than --streams");
	if ((uint64_t)plan->n_connections * options->door->max_calls < plan->n_streams)
		stop("a connection of the door %s cannot carry so many streams at once: raise "
		     "--connections", options->door->name);
	if (plan->lead_seconds < 0.0)
		plan->lead_seconds = plan->n_background ? 3.0 : 0.0;
	if (plan->tail_seconds < 0.0)
		plan->tail_seconds = plan->n_background ? plan->lead_seconds : 0.0;
}

static void print_percentiles(const char *name, const struct percentiles *p)
{
	printf("\"%s\":{\"n\":%zu,\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"max\":%.3f}", name, p->n,
	       p->p50, p->p90, p->p99, p->most);
}

static void print_class(const char *name, const struct class_numbers *class, double seconds)
{
	printf(",\"%s\":{\"requests\":%u,\"done\":%u,\"cut\":%u,\"failed\":%u,\"tokens\":%llu,"
	       "\"tokens_per_second\":%.3f,\"requests_per_second\":%.4f,\"longest_wait_ms\":%.3f,",
	       name, class->n_requests, class->n_done, class->n_cut, class->n_failed,
	       (unsigned long long)class->n_tokens, (double)class->n_tokens / seconds,
	       class->n_done / seconds, class->longest_wait);
	print_percentiles("first_ms", &class->first);
	putchar(',');
	print_percentiles("gap_ms", &class->gap);
	putchar(',');
	print_percentiles("whole_ms", &class->whole);
	putchar('}');
}

static const char *const window_names[] = { "before", "during", "after" };

static double rate_of(const struct window_numbers *window)
{
	return window->seconds > 0.0 ? (double)window->n_tokens / window->seconds : 0.0;
}

static void print_json(const struct options *options, const struct numbers *numbers,
		       double cpu_share)
{
	const struct load_plan *plan = &options->plan;

	printf("{\"door\":\"%s\",\"streams\":%u,\"connections\":%u,\"prompt\":%u,\"tokens\":%u,"
	       "\"seconds\":%.6f,\"client_cpu\":%.5f", options->door->name, plan->n_streams,
	       plan->n_connections, plan->shape.n_prompt, plan->shape.n_tokens, numbers->seconds,
	       cpu_share);
	print_class("foreground", &numbers->foreground, numbers->seconds);
	if (plan->n_background) {
		print_class("background", &numbers->background, numbers->seconds);
		printf(",\"windows\":{");
		for (int i = 0; i < N_WINDOWS; i++) {
			const struct window_numbers *window = &numbers->windows[i];

			printf("%s\"%s\":{\"seconds\":%.3f,\"tokens_per_second\":%.3f,"
			       "\"longest_wait_ms\":%.3f,", i ? "," : "", window_names[i],
			       window->seconds, rate_of(window), window->longest_wait);
			print_percentiles("gap_ms", &window->gap);
			putchar('}');
		}
		putchar('}');
	}
	puts("}");
}

/* Cells of a table, of which the last is the largest value with has_most. No values: no numbers. */
static void print_cells(const struct percentiles *p, bool has_most)
{
	const double values[] = { p->p50, p->p90, p->p99, p->most };

	for (int i = 0; i < 3 + has_most; i++)
		if (p->n)
			printf(" %.1f |", values[i]);
		else
			printf(" – |");
}

static void print_windows(const struct numbers *numbers)
{
	puts("\n| background | seconds | gaps | gap p50 ms | p90 | p99 | max | tokens/s |\n"
	     "|---|--:|--:|--:|--:|--:|--:|--:|");
	for (int i = 0; i < N_WINDOWS; i++) {
		const struct window_numbers *window = &numbers->windows[i];

		printf("| %s | %.2f | %zu |", window_names[i], window->seconds, window->gap.n);
		print_cells(&window->gap, true);
		printf(" %.1f |\n", rate_of(window));
	}
}

static void print_markdown(const struct options *options, const struct numbers *numbers,
			   double cpu_share)
{
	const struct class_numbers *class = &numbers->foreground;

	puts("| door | requests | failed | first token p50 ms | p90 | p99 | gap p50 ms | p90 | "
	     "p99 | max | tokens/s | requests/s | client's CPU |\n"
	     "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
	printf("| %s | %u | %u |", options->door->name, class->n_requests, class->n_failed);
	print_cells(&class->first, false);
	print_cells(&class->gap, true);
	printf(" %.1f | %.2f | %.2f %% |\n", (double)class->n_tokens / numbers->seconds,
	       class->n_done / numbers->seconds, 100.0 * cpu_share);
	if (options->plan.n_background)
		print_windows(numbers);
}

static enum sc_status write_csv(struct options *options, const struct load_result *result,
				struct error *err)
{
	bool is_written;

	if (!options->csv_file)
		return SC_OK;
	tally_print_csv(&result->tally, result->start_ns, options->csv_file);
	is_written = !ferror(options->csv_file);
	is_written = fclose(options->csv_file) == 0 && is_written;
	options->csv_file = NULL;
	return is_written ? SC_OK : error_set(err, SC_E_IO, "%s: cannot be written", options->csv);
}

/* A server's words in one line, without what would control a terminal. */
static const char *printable(char *text)
{
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = *c == '\n' ? ' ' : '?';
	return text;
}

/* Exit code. */
static int report(struct options *options, struct load_result *result, struct error *err)
{
	double cpu_share = result->cpu_seconds / fmax(result->run_seconds, 1e-9);
	struct numbers numbers;
	enum sc_status status = tally_numbers(&result->tally, result->start_ns, result->end_ns,
					      &numbers, err);

	if (status == SC_OK && options->is_json)
		print_json(options, &numbers, cpu_share);
	else if (status == SC_OK)
		print_markdown(options, &numbers, cpu_share);
	if (status == SC_OK && (fflush(stdout) != 0 || ferror(stdout)))
		status = error_set(err, SC_E_IO, "standard output: cannot be written");
	if (status == SC_OK)
		status = write_csv(options, result, err);
	if (status != SC_OK) {
		fprintf(stderr, "serve: %s\n", err->text);
		return sc_status_exit_code(status);
	}
	if (result->first_failure.status == SC_OK)
		return 0;
	fprintf(stderr, "serve: %u requests failed, the first one so: %s\n",
		numbers.foreground.n_failed + numbers.background.n_failed,
		printable(result->first_failure.text));
	return 1;
}

/* Ask for one token again and again. */
static int wait_for_server(const struct options *options)
{
	struct load_plan plan = options->plan;
	uint64_t end_ns = clock_ns() + (uint64_t)(options->wait_seconds * 1e9);
	struct load_result result;
	struct error err;

	plan.mode = LOAD_CLOSED;
	plan.n_streams = plan.n_connections = plan.n_requests = 1;
	plan.n_background = 0;
	plan.lead_seconds = plan.tail_seconds = plan.seconds = 0.0;
	plan.shape = (struct load_shape){ 1, 1 };
	plan.timeout_seconds = options->wait_seconds;
	for (;;) {
		enum sc_status status = load_run(&plan, options->door, &options->target, &result,
						 &err);

		tally_deinit(&result.tally);
		if (status == SC_OK && result.first_failure.status == SC_OK)
			return 0;
		if (clock_ns() >= end_ns)
			break;
		usleep(RETRY_US);
	}
	fprintf(stderr, "serve: no answer within %.3g s: %s\n", options->wait_seconds,
		result.first_failure.status != SC_OK ? printable(result.first_failure.text) :
		err.text);
	return 69;
}

int main(int argc, char **argv)
{
	struct options options = {
		.door = &door_grpc,
		.plan = {
			.first_id = 3, .last_id = 250, .seed = 1, .timeout_seconds = 240.0,
			.shape = { 128, 64 }, .background = { 16, 1024 },
			.lead_seconds = -1.0, .tail_seconds = -1.0,
		},
	};
	struct load_result result;
	struct error err;
	enum sc_status status;
	int option, code;

	signal(SIGPIPE, SIG_IGN);
	while ((option = getopt_long(argc, argv, "h", long_options, NULL)) != -1)
		set_option(&options, option, optarg);
	if (optind < argc)
		stop("unexpected \"%s\"", argv[optind]);
	complete(&options);
	if (client_target_choose(&options.target, &err) != SC_OK)
		stop("%s", err.text);
	if (options.wait_seconds > 0.0)
		return wait_for_server(&options);
	if (options.csv && !(options.csv_file = fopen(options.csv, "w"))) {
		fprintf(stderr, "serve: %s: %s\n", options.csv, strerror(errno));
		return sc_status_exit_code(SC_E_IO);
	}
	status = load_run(&options.plan, options.door, &options.target, &result, &err);
	if (status == SC_OK) {
		code = report(&options, &result, &err);
	} else {
		fprintf(stderr, "serve: %s\n", err.text);
		if (result.first_failure.status != SC_OK)
			fprintf(stderr, "serve: before that a request failed: %s\n",
				printable(result.first_failure.text));
		code = sc_status_exit_code(status);
	}
	tally_deinit(&result.tally);
	return code;
}
