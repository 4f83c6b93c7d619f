/* SPDX-License-Identifier: Apache-2.0 */
#include "config/options.h"

#include "base/parse.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/*
 * Groups of flags, by the programs that take them. A flag of a group has one row, and therefore one
 * name, one meaning and one help text in all of them. bench alone takes lists where the others take
 * a number, and has -p and -n of llama-bench.
 */
#define PROMPT (PROGRAM_DAEMON | PROGRAM_RUN | PROGRAM_GENERATE | PROGRAM_SUBMIT)
#define SAMPLING PROMPT
#define TEXT (PROMPT | PROGRAM_TOKENIZE)
#define MODEL (PROGRAM_DAEMON | PROGRAM_RUN | PROGRAM_PERPLEXITY | PROGRAM_BENCH | \
	       PROGRAM_TOKENIZE | PROGRAM_INSPECT)
#define COMPUTE (MODEL & ~PROGRAM_TOKENIZE)
#define COMPUTE_NO_LIST (COMPUTE & ~PROGRAM_BENCH)
#define SERVING (PROGRAM_DAEMON | PROGRAM_RUN | PROGRAM_INSPECT)
#define CLIENT (PROGRAM_GENERATE | PROGRAM_SUBMIT | PROGRAM_JOBS | PROGRAM_WATCH | \
		PROGRAM_CANCEL | PROGRAM_STATUS)
#define EVERY (MODEL | PROGRAM_QUANTIZE | CLIENT)
#define AT(field) .offset = offsetof(struct config, field)
#define U32_MAX 4294967295.0

/* Flags take llama.cpp's names where it has them. */
const struct option_info options[] = {
	{ "model", 'm', NULL, OPTION_STRING, MODEL, 0, "Model", "FILE", "",
	  AT(model), .help = "model file (GGUF); of a sharded model, its first file" },
	{ "ignore-key", 0, NULL, OPTION_STRING, MODEL, 0, "Model", "LIST", "",
	  AT(ignored_keys), .help = "read the model file as if it did not have these metadata "
	  "keys (with commas between them): opens a model that is refused for a key that is not "
	  "known, at your own risk" },
	{ "prompt", 'p', NULL, OPTION_STRING, TEXT, OPTION_FLAG_ONLY, "Prompt", "TEXT", NULL,
	  AT(prompt), .help = "continue this text; '-' reads standard input" },
	{ "file", 'f', NULL, OPTION_STRING, TEXT, OPTION_FLAG_ONLY, "Prompt", "FILE", "",
	  AT(prompt_file), .help = "continue the text of FILE; '-' reads standard input" },
	{ "n-predict", 'n', "predict", OPTION_I64, PROMPT, 0, "Prompt", "N", "-1", -2, 1e9, NULL,
	  AT(n_predict),
	  "new tokens at most; 0: none; -1: until the text ends or the context is full" },
	{ "sequences", 0, NULL, OPTION_U32, PROMPT, OPTION_FLAG_ONLY,
	  "Prompt", "N", "1", 1, 64, NULL, AT(n_sequences),
	  "continue the prompt N times; each line begins with its sequence: [0], [1]" },
	{ "stop", 0, NULL, OPTION_LIST, PROMPT, OPTION_FLAG_ONLY, "Prompt", "TEXT", NULL, 1, 16,
	  NULL, AT(stops), "end before TEXT appears, which may be the name of a control token; may "
	  "be given again" },
	{ "special", 0, NULL, OPTION_BOOL, TEXT, 0, "Prompt", NULL, "off", AT(special),
	  .help = "control tokens have their names: those written out in the prompt count as such, "
		  "and those of the model are printed" },
	{ "parse-special", 0, NULL, OPTION_BOOL, TEXT, 0, "Prompt", NULL, "off",
	  AT(parse_special), .help = "control tokens written out in the prompt count as such" },
	{ "ignore-eos", 0, NULL, OPTION_BOOL, PROMPT, 0, "Prompt", NULL, "off", AT(ignore_eos),
	  .help = "go on after an end-of-text token" },
	{ "logprobs", 0, NULL, OPTION_BOOL, PROMPT, OPTION_FLAG_ONLY,
	  "Prompt", NULL, "off", AT(wants_logprobs),
	  .help = "compute log-probabilities of the new tokens; --json shows them" },
	{ "timeout", 0, NULL, OPTION_FLOAT, PROMPT, OPTION_FLAG_ONLY,
	  "Prompt", "SECONDS", "0", 0, 1e9, NULL, AT(job_timeout),
	  "cancel the job after so long; 0: never" },

	{ "temp", 0, "temperature", OPTION_FLOAT, SAMPLING, 0, "Sampling", "X", "0.8", 0, 100,
	  NULL, AT(temperature), "temperature; 0: always the likeliest token" },
	{ "top-k", 0, NULL, OPTION_U32, SAMPLING, 0, "Sampling", "N", "40", 0, U32_MAX,
	  NULL, AT(top_k), "sample from the N likeliest tokens; 0: from all" },
	{ "top-p", 0, NULL, OPTION_FLOAT, SAMPLING, 0, "Sampling", "X", "0.95", 1e-6, 1,
	  NULL, AT(top_p), "sample from the likeliest tokens that reach probability X together" },
	{ "min-p", 0, NULL, OPTION_FLOAT, SAMPLING, 0, "Sampling", "X", "0.05", 0, 1, NULL,
	  AT(min_p), "drop tokens less likely than X times the likeliest" },
	{ "seed", 's', NULL, OPTION_I64, SAMPLING, 0, "Sampling", "N", "-1", -1, 9e18,
	  NULL, AT(seed), "random seed; -1: a new one each time" },

	{ "file", 'f', NULL, OPTION_STRING, PROGRAM_PERPLEXITY, OPTION_FLAG_ONLY, "Perplexity",
	  "FILE", "", AT(text_file),
	  .help = "the text that the model is to know; '-' reads standard input" },
	{ "ctx-size", 'c', "chunk-length", OPTION_U32, PROGRAM_PERPLEXITY, OPTION_FLAG_ONLY,
	  "Perplexity", "N", "512", 4, 16777216, NULL, AT(chunk_length),
	  "tokens of a chunk; the second half of each is scored" },
	{ "chunks", 0, NULL, OPTION_I64, PROGRAM_PERPLEXITY, OPTION_FLAG_ONLY, "Perplexity", "N",
	  "-1", -1, 1e9, NULL, AT(n_chunks), "chunks at most; -1: the whole text" },

	{ "tests", 0, NULL, OPTION_STRING, PROGRAM_BENCH, OPTION_FLAG_ONLY, "Benchmark", "LIST",
	  "prompt,queue,decode,mixed,batch,depth", AT(bench_tests), .help = "what to measure" },
	{ "n-prompt", 'p', NULL, OPTION_STRING, PROGRAM_BENCH, OPTION_FLAG_ONLY, "Benchmark",
	  "LIST", "512", AT(bench_prompts), .help = "tokens of a prompt" },
	{ "n-gen", 'n', NULL, OPTION_STRING, PROGRAM_BENCH, OPTION_FLAG_ONLY, "Benchmark", "LIST",
	  "64", AT(bench_generated), .help = "tokens that are generated" },
	{ "sequences", 0, NULL, OPTION_STRING, PROGRAM_BENCH, OPTION_FLAG_ONLY, "Benchmark",
	  "LIST", "1,2,4,8,16,32,64", AT(bench_batches),
	  .help = "sequences that decode together, for batch" },
	{ "n-depth", 'd', NULL, OPTION_STRING, PROGRAM_BENCH, OPTION_FLAG_ONLY, "Benchmark", "LIST",
	  "", AT(bench_depths),
	  .help = "tokens that are in the context already, for depth; default: 2048,8192,32768 as "
		  "far as the model was trained for them" },
	{ "threads", 't', NULL, OPTION_STRING, PROGRAM_BENCH, OPTION_FLAG_ONLY, "Benchmark", "LIST",
	  "0", AT(bench_threads),
	  .help = "threads of each stage; 0: the stages share the processors" },
	{ "stages", 0, NULL, OPTION_STRING, PROGRAM_BENCH, OPTION_FLAG_ONLY, "Benchmark", "LIST",
	  "1", AT(bench_stages), .help = "pipeline stages" },
	{ "repetitions", 'r', NULL, OPTION_U32, PROGRAM_BENCH, OPTION_FLAG_ONLY, "Benchmark", "N",
	  "5", 1, 1000, NULL, AT(repetitions), "measurements of each row, after one to warm up" },
	{ "output", 'o', NULL, OPTION_CHOICE, PROGRAM_BENCH, OPTION_FLAG_ONLY, "Benchmark",
	  "FORMAT", "md", .choices = "md|csv|json", AT(bench_output),
	  .help = "how results are written" },

	{ "allow-requantize", 0, NULL, OPTION_BOOL, PROGRAM_QUANTIZE, OPTION_FLAG_ONLY, "Quantize",
	  NULL, "off", AT(allows_requantize),
	  .help = "take tensors that are quantised already, which loses more than starting from 16 "
		  "bits" },

	{ "ids", 0, NULL, OPTION_BOOL, PROGRAM_TOKENIZE, OPTION_FLAG_ONLY, "Tokenize", NULL, "off",
	  AT(ids_only), .help = "print the ids alone, in one line" },
	{ "no-bos", 0, NULL, OPTION_BOOL, PROGRAM_TOKENIZE, OPTION_FLAG_ONLY, "Tokenize", NULL,
	  "off", AT(leaves_out_bos),
	  .help = "the text's own tokens alone: none that the vocabulary puts around a prompt" },

	{ "keys", 0, NULL, OPTION_BOOL, PROGRAM_INSPECT, OPTION_FLAG_ONLY, "Inspect", NULL, "off",
	  AT(shows_keys), .help = "also print all metadata, of long values the beginning" },
	{ "tensors", 0, NULL, OPTION_BOOL, PROGRAM_INSPECT, OPTION_FLAG_ONLY, "Inspect", NULL,
	  "off", AT(shows_tensors), .help = "also print name, type, shape and bytes of each tensor" },
	{ "template", 0, NULL, OPTION_BOOL, PROGRAM_INSPECT, OPTION_FLAG_ONLY, "Inspect", NULL,
	  "off", AT(shows_template),
	  .help = "print the chat template alone; with --json, the texts of all templates" },

	{ "limit", 0, NULL, OPTION_U32, PROGRAM_JOBS, OPTION_FLAG_ONLY, "Jobs", "N", "100", 1, 1000,
	  NULL, AT(list_limit), "the N newest" },
	{ "state", 0, NULL, OPTION_LIST, PROGRAM_JOBS, OPTION_FLAG_ONLY, "Jobs", "STATE", NULL, 1, 5,
	  "queued|running|done|cancelled|failed", AT(states),
	  "only jobs in this state; may be given again" },
	{ "from-now", 0, NULL, OPTION_BOOL, PROGRAM_WATCH, OPTION_FLAG_ONLY, "Watch", NULL, "off",
	  AT(from_now), .help = "leave out what is there already" },
	{ "wait", 0, NULL, OPTION_BOOL, PROGRAM_STATUS, OPTION_FLAG_ONLY, "Status", NULL, "off",
	  AT(waits), .help = "until the server is ready, also for it to start" },
	{ "timeout", 0, NULL, OPTION_FLOAT, PROGRAM_STATUS, OPTION_FLAG_ONLY, "Status", "SECONDS",
	  "0", 0, 1e9, NULL, AT(wait_timeout), "wait no longer than that; 0: for ever" },

	{ "backend", 0, NULL, OPTION_CHOICE, COMPUTE, 0, "Compute", "NAME", "cpu",
	  .choices = "cpu|cuda", AT(backend), .help = "what computes a stage" },
	{ "cpu", 0, NULL, OPTION_CHOICE, COMPUTE, 0, "Compute", "SET", "auto",
	  .choices = "auto|scalar|avx2|avx512|avx512-bf16", AT(cpu),
	  .help = "the best instruction set that a stage on the CPU may use; auto: the best of its "
		  "processor. All stages use the best that is common to them, because tokens "
		  "depend on it" },
	{ "allow-mixed-backends", 0, NULL, OPTION_BOOL, PROGRAM_DAEMON, 0, "Compute", NULL, "off",
	  AT(allows_mixed_backends),
	  .help = "let stages run beside each other whose backends, kernel versions or C libraries "
		  "differ; then the same request may give other tokens when layers move to another "
		  "stage" },
	{ "device", 0, NULL, OPTION_U32, COMPUTE, 0, "Compute", "N", "0", 0, 63, NULL, AT(device),
	  "which device of the backend" },
	{ "threads", 't', NULL, OPTION_U32, COMPUTE_NO_LIST | PROGRAM_QUANTIZE, 0, "Compute", "N",
	  "0", 0, 1024, NULL, AT(threads),
	  "threads of each stage; 0: the stages of a machine share its processors" },
	{ "pin", 0, NULL, OPTION_CHOICE, COMPUTE, 0, "Compute", "WHEN", "auto",
	  .choices = "auto|on|off", AT(pin),
	  .help = "keep threads on cores of their own; auto: where there are several memory nodes, "
		  "if they use all cores" },
	{ "memory", 0, NULL, OPTION_BYTES, COMPUTE, 0, "Compute", "BYTES", "0", 0, 1e18, NULL,
	  AT(memory), "memory that a stage may take (K, M, G, T); 0: its share of nine tenths of "
	  "the free memory of the machine and its control groups" },

	{ "stages", 0, "pipeline-parallel-size", OPTION_U32, COMPUTE_NO_LIST, 0, "Pipeline", "N",
	  "1", 1, 1024, NULL, AT(stages),
	  "pipeline stages inside this process, when no launcher started more" },
	{ "transport", 0, NULL, OPTION_CHOICE, PROGRAM_DAEMON, 0, "Pipeline", "NAME", "ucx",
	  .choices = "ucx|mpi|loopback", AT(transport),
	  .help = "links between processes; loopback keeps all stages in this one" },
	{ "ctx-size", 'c', "max-model-len", OPTION_U32, SERVING, 0, "Pipeline", "N", "0", 0,
	  16777216, NULL, AT(context),
	  "positions of one sequence at most; 0: what the model was trained for, or fewer if "
	  "memory has no room for them or kv-positions is less" },
	{ "batch-size", 'b', NULL, OPTION_U32, COMPUTE, 0, "Pipeline", "N", "512", 1, 65536, NULL,
	  AT(batch), "rows of one step at most" },
	{ "ubatch-size", 0, NULL, OPTION_U32, COMPUTE, 0, "Pipeline", "N", "0", 0, 65536, NULL,
	  AT(prompt_chunk), "prompt rows of one step at most: long prompts enter in such chunks; "
	  "0: 256, with more stages 128" },
	{ "max-gap-ms", 0, NULL, OPTION_U32, SERVING, 0, "Pipeline", "N", "0", 0, 3600000, NULL,
	  AT(max_gap_ms),
	  "milliseconds between two tokens of a stream while prompts of others run, at most: "
	  "shorter gaps make those prompts later; 0: 2.9 times what they are without "
	  "prompts, 10 at least, times the square root of the number of prompts (4 at most)" },
	{ "parallel", 0, "max-num-seqs", OPTION_U32, SERVING, 0, "Pipeline", "N", "32", 1, 4096,
	  NULL, AT(max_sequences), "sequences that run at once; an eighth more for clients with few" },
	{ "kv-positions", 0, NULL, OPTION_U32, SERVING, 0, "Pipeline", "N", "0", 0, 1e9, NULL,
	  AT(kv_positions), "positions in the KV pool, shared by all: more let more sequences be "
	  "long at once, and all are taken before serving starts; 0: --parallel contexts, but "
	  "(beyond one) no more than the weights take, or 512 MiB, within half of the memory that "
	  "weights leave" },
	{ "block-length", 0, NULL, OPTION_U32, COMPUTE, 0, "Pipeline", "N", "32", 1, 1024, NULL,
	  AT(block_length), "positions of one KV block; multiples of 16 are the fastest, and "
	  "tokens do not depend on it" },
	{ "kv-type", 0, "kv-cache-dtype", OPTION_CHOICE, COMPUTE, 0, "Pipeline", "TYPE", "auto",
	  .choices = "auto|f32|f16|bf16|q8_0", AT(kv_type),
	  .help = "what keys and values are rounded to when they are stored; auto: bf16 for a "
	  "model whose matrices are BF16, else f16. f16 holds numbers up to 65504: larger ones are "
	  "cut to that, counted in the status, and warned of" },
	{ "window", 0, NULL, OPTION_U32, COMPUTE, 0, "Pipeline", "N", "0", 0, 1025, NULL,
	  AT(window), "steps in flight at most; 0: stages + 1" },
	{ "spin-us", 0, NULL, OPTION_U32, COMPUTE, 0, "Pipeline", "N", "50", 0, 1000000, NULL,
	  AT(spin_us), "microseconds that a thread waits awake before it sleeps" },
	{ "heartbeat-ms", 0, NULL, OPTION_U32, PROGRAM_DAEMON, 0, "Pipeline", "N", "500", 10, 60000,
	  NULL, AT(heartbeat_ms), "interval of the signs of life between coordinator and workers" },
	{ "deadline-ms", 0, NULL, OPTION_U32, PROGRAM_DAEMON, 0, "Pipeline", "N", "5000", 50,
	  3600000, NULL, AT(deadline_ms), "silence after which a process is taken for dead" },
	{ "start-ms", 0, NULL, OPTION_U32, PROGRAM_DAEMON, 0, "Pipeline", "N", "30000", 100,
	  3600000, NULL, AT(start_ms), "time for all workers to report" },

	{ "host", 0, NULL, OPTION_STRING, PROGRAM_DAEMON, 0, "Serving", "ADDRESS", "127.0.0.1",
	  AT(host), .help = "address to listen on. 0.0.0.0, :: and * mean all addresses of this "
	  "machine, IPv4 and IPv6. The server has no password: only loopback is for this machine "
	  "alone" },
	{ "port", 0, NULL, OPTION_U32, PROGRAM_DAEMON, 0, "Serving", "N", "8080", 0, 65535, NULL,
	  AT(port), "TCP port; 0: any free one" },
	{ "listen", 0, NULL, OPTION_STRING, PROGRAM_DAEMON, 0, "Serving", "HOST:PORT", "",
	  AT(listen), .help = "both at once, instead of --host and --port; 'none': no TCP" },
	{ "socket", 0, "uds", OPTION_STRING, PROGRAM_DAEMON, 0, "Serving", "PATH", "",
	  AT(socket), .help = "also serve on this Unix socket" },
	{ "max-queue", 0, NULL, OPTION_U32, PROGRAM_DAEMON, OPTION_RELOADS, "Serving", "N", "256",
	  0, 1000000, NULL, AT(max_queue),
	  "jobs that may wait, and a quarter more of clients with few; the rest is refused" },
	{ "keep-jobs", 0, NULL, OPTION_U32, PROGRAM_DAEMON, OPTION_RELOADS, "Serving", "N", "1000",
	  0, 1000000, NULL, AT(keep_jobs), "ended jobs that are remembered" },
	{ "job-memory", 0, NULL, OPTION_BYTES, PROGRAM_DAEMON, 0, "Serving", "BYTES", "1G",
	  1 << 20, 1e18, NULL, AT(job_memory),
	  "memory of the coordinator for tokens and texts of all jobs, an eighth of what is free "
	  "at most; one client gets three quarters; more is overload" },
	{ "max-connections", 0, NULL, OPTION_U32, PROGRAM_DAEMON, 0, "Serving", "N", "256", 1,
	  65536, NULL, AT(max_connections), "client connections at once" },
	{ "max-peer-connections", 0, NULL, OPTION_U32, PROGRAM_DAEMON, 0, "Serving", "N", "0", 0,
	  65536, NULL, AT(max_peer_connections),
	  "connections of one address at once; loopback is one, and so is the Unix socket; 0: half "
	  "of max-connections" },
	{ "idle-ms", 0, NULL, OPTION_U32, PROGRAM_DAEMON, 0, "Serving", "N", "300000", 1000,
	  86400000, NULL, AT(idle_ms),
	  "time after which a connection without a call is closed; clients that keep connections "
	  "in a pool expect two minutes at least" },
	{ "max-streams", 0, NULL, OPTION_U32, PROGRAM_DAEMON, 0, "Serving", "N", "100", 1, 65536,
	  NULL, AT(max_streams), "requests at once on one connection" },
	{ "max-message", 0, NULL, OPTION_BYTES, PROGRAM_DAEMON, 0, "Serving", "BYTES", "4M", 1024,
	  1073741824, NULL, AT(max_message), "size of one request" },
	{ "request-ms", 0, NULL, OPTION_U32, PROGRAM_DAEMON, 0, "Serving", "N", "60000", 100,
	  86400000, NULL, AT(request_ms),
	  "time that a request may take to arrive, from its first byte to its last" },
	{ "stall-ms", 0, NULL, OPTION_U32, PROGRAM_DAEMON, 0, "Serving", "N", "120000", 1000,
	  86400000, NULL, AT(stall_ms),
	  "time after which a client that takes nothing of its answers is given up" },
	{ "drain-ms", 0, NULL, OPTION_U32, PROGRAM_DAEMON, OPTION_RELOADS, "Serving", "N", "30000",
	  0, 86400000, NULL, AT(drain_ms), "time that running jobs get after SIGTERM" },

	{ "socket", 0, "uds", OPTION_STRING, CLIENT, 0, "Server", "PATH", "", AT(socket),
	  .help = "Unix socket of the server" },
	{ "listen", 0, NULL, OPTION_STRING, CLIENT, 0, "Server", "HOST:PORT", "", AT(listen),
	  .help = "TCP address of the server" },
	{ "host", 0, NULL, OPTION_STRING, CLIENT, 0, "Server", "ADDRESS", "127.0.0.1", AT(host),
	  .help = "host of the server" },
	{ "port", 0, NULL, OPTION_U32, CLIENT, 0, "Server", "N", "8080", 1, 65535, NULL, AT(port),
	  "port of the server" },
	{ "silence", 0, NULL, OPTION_FLOAT, CLIENT, 0, "Server", "SECONDS", "20", 0, 1e6, NULL,
	  AT(silence), "give up when the server gives no sign of life for that long; 0: never" },

	{ "json", 0, NULL, OPTION_BOOL, EVERY, OPTION_FLAG_ONLY, "Operation", NULL, "off",
	  AT(is_json), .help = "JSON Lines on standard output" },
	{ "quiet", 'q', NULL, OPTION_BOOL, EVERY, OPTION_FLAG_ONLY, "Operation", NULL, "off",
	  AT(is_quiet),
	  .help = "only warnings and errors on standard error: no plan, progress or speed" },
	{ "config", 'C', NULL, OPTION_STRING, EVERY, OPTION_FLAG_ONLY, "Operation", "FILE", "",
	  AT(config_file), .help = "configuration file" },
	{ "check-config", 0, NULL, OPTION_BOOL, PROGRAM_DAEMON, OPTION_FLAG_ONLY, "Operation", NULL,
	  "off", AT(check_config), .help = "check all that starting checks: flags, environment, file, "
	  "model, addresses; then exit" },
	{ "log-level", 0, NULL, OPTION_CHOICE, EVERY, OPTION_RELOADS, "Operation", "LEVEL", "info",
	  .choices = "error|warning|info|debug", AT(log_level), .help = "how much is logged" },
	{ "help", 'h', NULL, OPTION_BOOL, EVERY, OPTION_FLAG_ONLY, "Operation", NULL, "off",
	  AT(is_help), .help = "show this help" },
	{ "version", 'V', NULL, OPTION_BOOL, EVERY, OPTION_FLAG_ONLY, "Operation", NULL, "off",
	  AT(is_version), .help = "show the version" },
	{ "print-config", 0, NULL, OPTION_BOOL, EVERY, OPTION_FLAG_ONLY, "Operation", NULL, "off",
	  AT(is_print_config), .help = "print the settings that are in effect, each with where it "
	  "came from, in the form of a configuration file" },
	{ "print-defaults", 0, NULL, OPTION_BOOL, PROGRAM_DAEMON, OPTION_FLAG_ONLY, "Operation", NULL,
	  "off", AT(is_print_defaults),
	  .help = "print a commented configuration file with all defaults" },
	{ "print-options", 0, NULL, OPTION_BOOL, EVERY, OPTION_FLAG_ONLY | OPTION_HIDDEN,
	  "Operation", NULL, "off", AT(is_print_options),
	  .help = "print the options as manual page source" },
	{ "print-flags", 0, NULL, OPTION_BOOL, EVERY, OPTION_FLAG_ONLY | OPTION_HIDDEN,
	  "Operation", NULL, "off", AT(is_print_flags),
	  .help = "print each flag and its value, for the completion of shells" },
	{ "print-limits", 0, NULL, OPTION_BOOL, PROGRAM_DAEMON, OPTION_FLAG_ONLY | OPTION_HIDDEN,
	  "Operation", NULL, "off", AT(is_print_limits),
	  .help = "print the limits as manual page source" },
};
const unsigned n_options = sizeof options / sizeof options[0];
_Static_assert(sizeof options / sizeof options[0] <= CONFIG_MAX_OPTIONS, "sources, flags");

static void translate(const char *name, char *out, const char *prefix, int (*convert)(int))
{
	size_t n = strlen(prefix);

	memcpy(out, prefix, n);
	for (; *name && n < OPTION_NAME_MAX - 1; name++)
		out[n++] = *name == '-' ? '_' : (char)convert((unsigned char)*name);
	out[n] = '\0';
}

void option_file_key(const struct option_info *option, char *out)
{
	translate(option->name, out, "", tolower);
}

void option_variable(const struct option_info *option, char *out)
{
	translate(option->name, out, "STAGECOACH_", toupper);
}

static void *field_of(const struct option_info *option, const struct config *config)
{
	return (char *)config + option->offset;
}

/* --- parsing by type --- */

static enum sc_status expected_number(const struct option_info *option, const char *what,
				      const char *text, struct error *err)
{
	return error_set(err, SC_E_INVALID, "expected %s from %.10g to %.10g, found '%s'", what,
			 option->min, option->max, text);
}

static enum sc_status set_bool(const struct option_info *option, void *field, const char *text,
			       struct error *err)
{
	(void)option;
	if (!parse_bool(text, field))
		return error_set(err, SC_E_INVALID, "expected on or off, found '%s'", text);
	return SC_OK;
}

static enum sc_status set_i64(const struct option_info *option, void *field, const char *text,
			      struct error *err)
{
	int64_t value;

	if (!parse_i64(text, &value) || (double)value < option->min || (double)value > option->max)
		return expected_number(option, "a whole number", text, err);
	*(int64_t *)field = value;
	return SC_OK;
}

static enum sc_status set_u32(const struct option_info *option, void *field, const char *text,
			      struct error *err)
{
	int64_t value = 0;
	enum sc_status status = set_i64(option, &value, text, err);

	if (status == SC_OK)
		*(uint32_t *)field = (uint32_t)value;
	return status;
}

static enum sc_status set_bytes(const struct option_info *option, void *field, const char *text,
				struct error *err)
{
	uint64_t value;

	if (!parse_bytes(text, &value) || (double)value < option->min ||
	    (double)value > option->max)
		return expected_number(option, "bytes, as in 512M,", text, err);
	*(uint64_t *)field = value;
	return SC_OK;
}

static enum sc_status set_float(const struct option_info *option, void *field, const char *text,
				struct error *err)
{
	double value;

	if (!parse_f64(text, &value) || value < option->min || value > option->max)
		return expected_number(option, "a number", text, err);
	*(double *)field = value;
	return SC_OK;
}

static enum sc_status set_string(const struct option_info *option, void *field, const char *text,
				 struct error *err)
{
	char *copy = strdup(text);

	(void)option;
	if (!copy)
		return error_set(err, SC_E_NOMEM, "out of memory");
	free(*(char **)field);
	*(char **)field = copy;
	return SC_OK;
}

static enum sc_status check_choice(const struct option_info *option, const char *text,
				   struct error *err)
{
	size_t n = strchr(text, '|') ? 0 : strlen(text);

	for (const char *word = option->choices; n && word; word = strchr(word, '|')) {
		word += *word == '|';
		if (!strncmp(word, text, n) && (!word[n] || word[n] == '|'))
			return SC_OK;
	}
	return error_set(err, SC_E_INVALID, "expected one of %s, found '%s'", option->choices,
			 text);
}

static enum sc_status set_choice(const struct option_info *option, void *field, const char *text,
				 struct error *err)
{
	enum sc_status status = check_choice(option, text, err);

	return status == SC_OK ? set_string(option, field, text, err) : status;
}

static enum sc_status set_list(const struct option_info *option, void *field, const char *text,
			       struct error *err)
{
	struct text_list *list = field;
	enum sc_status status = option->choices ? check_choice(option, text, err) : SC_OK;

	if (status != SC_OK)
		return status;
	if (list->n >= (uint32_t)option->max)
		return error_set(err, SC_E_INVALID, "may be given at most %.0f times", option->max);
	if (text_list_add(list, text) != SC_OK)
		return error_set(err, SC_E_NOMEM, "out of memory");
	return SC_OK;
}

enum sc_status text_list_add(struct text_list *list, const char *text)
{
	char **texts = realloc(list->texts, (list->n + 1) * sizeof texts[0]);

	if (!texts)
		return SC_E_NOMEM;
	list->texts = texts;
	texts[list->n] = strdup(text);
	if (!texts[list->n])
		return SC_E_NOMEM;
	list->n++;
	return SC_OK;
}

void text_list_deinit(struct text_list *list)
{
	for (uint32_t i = 0; i < list->n; i++)
		free(list->texts[i]);
	free(list->texts);
	*list = (struct text_list){ 0 };
}

typedef enum sc_status set_fn(const struct option_info *, void *, const char *, struct error *);

static const struct {
	set_fn *set;
	size_t size;
} types[] = {
	[OPTION_BOOL] = { set_bool, sizeof(bool) },
	[OPTION_U32] = { set_u32, sizeof(uint32_t) },
	[OPTION_I64] = { set_i64, sizeof(int64_t) },
	[OPTION_BYTES] = { set_bytes, sizeof(uint64_t) },
	[OPTION_FLOAT] = { set_float, sizeof(double) },
	[OPTION_STRING] = { set_string, sizeof(char *) },
	[OPTION_CHOICE] = { set_choice, sizeof(char *) },
	[OPTION_LIST] = { set_list, sizeof(struct text_list) },
};

enum sc_status option_set(const struct option_info *option, struct config *config,
			  const char *text, struct error *err)
{
	return types[option->type].set(option, field_of(option, config), text, err);
}

enum sc_status option_set_in(const struct option_info *option, struct config *config,
			     const char *text, const char *place, struct error *err)
{
	enum sc_status status = option_set(option, config, text, err);

	if (status == SC_E_INVALID)
		status = SC_E_CONFIG;
	if (status && err) {
		error_prefix(err, "%s", place);
		err->status = status;
	}
	return status;
}

static bool is_equal_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool is_equal_list(const struct text_list *a, const struct text_list *b)
{
	uint32_t i = 0;

	while (a->n == b->n && i < a->n && !strcmp(a->texts[i], b->texts[i]))
		i++;
	return a->n == b->n && i == a->n;
}

bool option_is_equal(const struct option_info *option, const struct config *a,
		     const struct config *b)
{
	const void *left = field_of(option, a), *right = field_of(option, b);

	if (option->type == OPTION_STRING || option->type == OPTION_CHOICE)
		return is_equal_text(*(char *const *)left, *(char *const *)right);
	if (option->type == OPTION_LIST)
		return is_equal_list(left, right);
	return !memcmp(left, right, types[option->type].size);
}

void option_swap(const struct option_info *option, struct config *a, struct config *b)
{
	const size_t size = types[option->type].size, row = (size_t)(option - options);
	const unsigned char source = a->sources[row];
	char *const place = a->places[row];
	char scratch[sizeof(struct text_list)];

	memcpy(scratch, field_of(option, a), size);
	memcpy(field_of(option, a), field_of(option, b), size);
	memcpy(field_of(option, b), scratch, size);
	a->sources[row] = b->sources[row];
	b->sources[row] = source;
	a->places[row] = b->places[row];
	b->places[row] = place;
}

void option_deinit(const struct option_info *option, struct config *config)
{
	if (option->type == OPTION_STRING || option->type == OPTION_CHOICE)
		free(*(char **)field_of(option, config));
	else if (option->type == OPTION_LIST)
		text_list_deinit(field_of(option, config));
	memset(field_of(option, config), 0, types[option->type].size);
}
