/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CONFIG_CONFIG_H
#define STAGECOACH_CONFIG_CONFIG_H
/*
 * config - every flag of stagecoachd and of all verbs, from one table (options.c): a flag
 * --ctx-size, a key ctx_size in the file and a variable STAGECOACH_CTX_SIZE are the same option.
 * A flag that several programs take has one row there, so it means the same everywhere.
 * Flags override the environment, which overrides the file, which overrides the defaults.
 * Thread: one at a time. Strings are owned by the config; only prompt may be NULL.
 */
#include "base/error.h"

#include <stdbool.h>
#include <stdio.h>

/* Texts in the order in which they were given. */
struct text_list {
	char **texts;			/* [n] */
	uint32_t n;
};

/* Where the value of an option comes from; the later one wins. */
enum config_source {
	CONFIG_DEFAULT,
	CONFIG_FILE,
	CONFIG_ENVIRONMENT,
	CONFIG_FLAG,
};

#define CONFIG_MAX_OPTIONS 192

struct config {
	/* model */
	char *model;
	char *ignored_keys;		/* "": none */
	char *weight_type;		/* "": as stored */

	/* prompt and sampling */
	char *prompt;			/* NULL: none was given */
	char *prompt_file;		/* "": none */
	int64_t n_predict;		/* negative: until the end */
	double temperature;
	uint32_t top_k;
	double top_p;
	double min_p;
	double typical;			/* 1: off */
	double top_nsigma;		/* 0 or less: off */
	double xtc_probability;		/* 0: off */
	double xtc_threshold;
	double dynatemp_range;		/* 0: off */
	double dynatemp_exp;
	double repeat_penalty;		/* 1: off */
	double presence_penalty;
	double frequency_penalty;
	int64_t repeat_last_n;		/* 0: no penalties; -1: all tokens */
	double dry_multiplier;		/* 0: off */
	double dry_base;
	uint32_t dry_allowed_length;
	int64_t dry_penalty_last_n;	/* 0: off; -1: all tokens */
	struct text_list dry_sequence_breakers;	/* none: the usual ones */
	char *samplers;			/* "": the usual ones; not with sampler_seq */
	char *sampler_seq;
	struct text_list logit_biases;
	uint32_t min_tokens;
	struct text_list stop_tokens;
	int64_t seed;			/* -1: random */
	bool ignore_eos;
	bool special;			/* both ways: in the prompt, and of what is drawn */
	bool parse_special;		/* in the prompt alone */
	struct text_list stops;
	uint32_t n_sequences;
	bool wants_logprobs;
	uint32_t n_top_logprobs;	/* above 0: wants_logprobs, too */
	double job_timeout;		/* seconds; 0: none */

	/* chat */
	char *system_text;		/* "": none */
	bool hides_reasoning;

	/* perplexity */
	char *text_file;
	uint32_t chunk_length;
	int64_t n_chunks;		/* -1: all */

	/* bench; lists are as typed, "1,2,4" */
	char *bench_tests;
	char *bench_prompts;
	char *bench_generated;
	char *bench_batches;
	char *bench_depths;
	char *bench_threads;
	char *bench_stages;
	char *bench_output;
	uint32_t repetitions;

	/* quantize */
	bool allows_requantize;

	/* tokenize */
	bool ids_only;
	bool leaves_out_bos;

	/* inspect */
	bool shows_keys;
	bool shows_tensors;
	bool shows_template;

	/* jobs, watch, status */
	uint32_t list_limit;
	struct text_list states;
	bool from_now;
	bool waits;
	double wait_timeout;		/* seconds; 0: none */

	/* all clients */
	double silence;			/* seconds; 0: any */
	bool uses_tls;
	char *ca;			/* "": what this machine trusts */
	char *client_cert;		/* "": none */
	char *client_cert_key;

	/* compute */
	char *backend;
	char *cpu;			/* an instruction set, as base/cpu.h names it */
	bool allows_mixed_backends;
	uint32_t device;
	uint32_t threads;		/* 0: share the processors */
	char *pin;
	uint64_t memory;		/* of each worker, bytes; 0: what is free */

	/* pipeline */
	uint32_t stages;		/* in one process */
	char *transport;
	uint32_t context;		/* 0: the model's */
	uint32_t batch;			/* rows of a step */
	uint32_t prompt_chunk;
	uint32_t max_gap_ms;		/* 0: a small multiple of a decode step */
	uint32_t max_sequences;
	uint32_t kv_positions;		/* 0: chosen by memory */
	uint32_t block_length;
	char *kv_type;
	uint32_t window;		/* 0: stages + 1 */
	uint32_t spin_us;
	uint32_t heartbeat_ms;
	uint32_t deadline_ms;
	uint32_t start_ms;

	/* cluster */
	char *role;
	char *coordinator_address;	/* "": none */
	uint32_t n_workers;
	char *cluster_listen;
	char *cluster_key_file;		/* "": none */
	char *worker_id;		/* "": from the host, and the rank */
	uint32_t rejoin_ms;
	bool are_spares_warm;

	/* serving */
	char *host;
	uint32_t port;
	char *listen;			/* "": host:port; "none": no TCP; "keys": host:port with keys */
	char *socket;			/* "": none */
	uint32_t max_queue;
	uint32_t keep_jobs;
	uint64_t job_memory;
	uint32_t max_connections;
	uint32_t max_peer_connections;	/* 0: half of max_connections */
	char *alias;			/* "": none */
	char *chat_template;		/* "": that of the model file */
	uint32_t sse_ping_ms;
	uint32_t idle_ms;
	uint32_t max_streams;
	uint64_t max_message;
	uint32_t request_ms;
	uint32_t stall_ms;
	uint32_t drain_ms;
	char *api_key;			/* "": none; also of clients */
	char *api_key_file;		/* "": none */
	char *tls_cert;			/* "": none */
	char *tls_key;
	char *tls_client_ca;		/* "": clients need no certificate */
	char *allowed_hosts;		/* with commas between them */
	char *cors_origins;		/* with commas between them; "*": all */

	/* operation */
	bool is_json;
	bool is_quiet;
	char *config_file;
	char *log_level;
	char *log_format;
	bool access_log;
	bool check_config;
	bool is_help;
	bool is_version;
	bool is_print_config;
	bool is_print_defaults;
	bool is_print_options;
	bool is_print_flags;
	bool is_print_limits;

	struct text_list arguments;	/* what is no flag: ids, files */
	/* By row of the table. */
	unsigned char sources[CONFIG_MAX_OPTIONS];	/* enum config_source */
	char *places[CONFIG_MAX_OPTIONS];	/* "FILE:LINE" of CONFIG_FILE; else NULL */
	char *file_read;		/* the configuration file; NULL: none */
	struct text_list warnings;	/* for whoever loads this to tell: nothing stops for them */
	struct text_list notes;		/* of interest when something is looked for: debug */
};

/* Which program's flags: an option may belong to several. The groups of options.c say which
 * program takes what. */
enum program {
	PROGRAM_DAEMON = 1,
	PROGRAM_RUN = 2,
	PROGRAM_PERPLEXITY = 4,
	PROGRAM_BENCH = 8,
	PROGRAM_QUANTIZE = 16,
	PROGRAM_GENERATE = 32,
	PROGRAM_SUBMIT = 64,
	PROGRAM_JOBS = 128,
	PROGRAM_WATCH = 256,
	PROGRAM_CANCEL = 512,
	PROGRAM_STATUS = 1024,
	PROGRAM_TOKENIZE = 2048,
	PROGRAM_INSPECT = 4096,
	PROGRAM_WORKERS = 8192,
	PROGRAM_CHAT = 16384,
	PROGRAM_CONVERT = 32768,
	PROGRAM_FAMILIES = 65536,
};
#define PROGRAM_VERBS (2 * PROGRAM_FAMILIES - 1 - PROGRAM_DAEMON)

/* Defaults, then the file (--config, or STAGECOACH_CONFIG, or default_file when it exists), then
 * the environment, then argv. SC_E_INVALID: a bad flag (exit 64). SC_E_CONFIG: file or environment
 * (exit 78); err names file and line, or variable, what was expected and found.
 * On failure config holds nothing. */
must_check enum sc_status config_load(struct config *config, enum program program,
				      const char *default_file, int argc, char **argv,
				      struct error *err);
void config_deinit(struct config *config);

/* Where the option of that name ("ctx-size") got its value. */
enum config_source config_source_of(const struct config *config, const char *name);

/* The status of an error in the value of the option of that name: SC_E_CONFIG (exit 78) where file
 * or environment gave it, else SC_E_INVALID (exit 64). */
enum sc_status config_fault(const struct config *config, const char *name);

/* Of stagecoachd: each option that differs and may change while running is copied from fresh to
 * config, and fn(arg, name, true) is called; for those that need a restart,
 * fn(arg, name, false). */
void config_reload(struct config *config, struct config *fresh,
		   void (*fn)(void *arg, const char *name, bool is_applied), void *arg);

/* Is listen "none" or "keys", and no address? */
bool config_listen_is_word(const struct config *config);

/* "HOST:PORT" by listen, or by host and port; "" for none, also if listen is "keys" and there are
 * none. */
void config_listen_address(const struct config *config, char *out, size_t size);

/* --prompt or --file was given: there is one text to continue. */
bool config_has_prompt(const struct config *config);

/* --special or --parse-special: control tokens written out in a text count as such. */
bool config_parses_special(const struct config *config);

/* The value of log_level as enum log_level. */
int config_log_level(const struct config *config);
bool config_logs_json(const struct config *config);

/* What is in effect, in the form of a configuration file that would set the same; behind each
 * setting, where it came from. */
void config_print_effective(FILE *file, enum program program, const struct config *config);

/* From the table: --help's text, a commented configuration file with the defaults, and the options
 * as man page source: those of all these programs, each with the verbs that take it. */
void config_print_help(FILE *file, enum program program, const char *usage);
void config_print_example(FILE *file);
void config_print_man(FILE *file, unsigned programs);
/* For the completion of shells: a line for each spelling of each flag, "--ctx-size N", "-c N",
 * "--cpu auto|scalar", "--special". */
void config_print_flags(FILE *file, enum program program);
/* The table of limits (limits.h) as man page source. */
void config_print_limits(FILE *file);

#endif
