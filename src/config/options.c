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
#define ASKING (PROMPT | PROGRAM_CHAT)
#define SAMPLING ASKING
#define TEXT (PROMPT | PROGRAM_TOKENIZE)
#define MODEL (PROGRAM_DAEMON | PROGRAM_RUN | PROGRAM_PERPLEXITY | PROGRAM_BENCH | \
	       PROGRAM_TOKENIZE | PROGRAM_INSPECT | PROGRAM_CHAT)
#define COMPUTE (MODEL & ~PROGRAM_TOKENIZE)
#define COMPUTE_NO_LIST (COMPUTE & ~PROGRAM_BENCH)
#define SERVING (PROGRAM_DAEMON | PROGRAM_RUN | PROGRAM_INSPECT | PROGRAM_CHAT)
#define CLIENT (PROGRAM_GENERATE | PROGRAM_SUBMIT | PROGRAM_JOBS | PROGRAM_WATCH | \
		PROGRAM_CANCEL | PROGRAM_STATUS | PROGRAM_WORKERS | PROGRAM_CHAT)
#define WRITING (PROGRAM_QUANTIZE | PROGRAM_CONVERT)
#define EVERY (MODEL | WRITING | CLIENT | PROGRAM_FAMILIES)
#define AT(field) .offset = offsetof(struct config, field)
#define U32_MAX 4294967295.0

/* Flags take llama.cpp's names where it has them. */
const struct option_info options[] = {
	{ "model", 'm', NULL, OPTION_STRING, MODEL, 0, "Model", "MODEL", "",
	  AT(model),
	  .help = "model: a GGUF file (of a sharded model the first), a folder of Hugging Face with "
	  "config.json and safetensors, or the name of a model in its cache (org/name)" },
	{ "ignore-key", 0, NULL, OPTION_STRING, MODEL, 0, "Model", "LIST", "",
	  AT(ignored_keys),
	  .help = "open the model file as if these metadata keys were absent (names with commas "
	  "between them). Use this for a model that is refused because of an unknown key. The "
	  "output may then be wrong" },
	{ "weight-type", 0, NULL, OPTION_STRING, COMPUTE, 0, "Model", "TYPE", "", AT(weight_type),
	  .help = "round the matrices to TYPE while they are loaded: q8_0, q4_k and the other types "
	  "of `stagecoach quantize`. All workers need the same. Default: the types of the model" },
	{ "prompt", 'p', NULL, OPTION_STRING, TEXT, OPTION_FLAG_ONLY, "Prompt", "TEXT", NULL,
	  AT(prompt), .help = "prompt text to continue; '-' reads standard input" },
	{ "file", 'f', NULL, OPTION_STRING, TEXT, OPTION_FLAG_ONLY, "Prompt", "FILE", "",
	  AT(prompt_file), .help = "read the prompt from FILE; '-' reads standard input" },
	{ "n-predict", 'n', "predict", OPTION_I64, ASKING, 0, "Prompt", "N", "-1", -2, 1e9, NULL,
	  AT(n_predict),
	  "maximum number of new tokens. 0: only read the prompt. -1: continue until the text "
	  "ends or the context is full" },
	{ "sequences", 0, NULL, OPTION_U32, PROMPT, OPTION_FLAG_ONLY,
	  "Prompt", "N", "1", 1, 64, NULL, AT(n_sequences),
	  "number of continuations of the prompt. With more than one, each line starts with the "
	  "number of its sequence: [0], [1]" },
	{ "stop", 0, NULL, OPTION_LIST, ASKING, OPTION_FLAG_ONLY, "Prompt", "TEXT", NULL, 1, 16,
	  NULL, AT(stops),
	  "end the text before TEXT appears. TEXT may be the name of a control token. Repeat "
	  "the flag for several texts" },
	{ "special", 0, NULL, OPTION_BOOL, TEXT, 0, "Prompt", NULL, "off", AT(special),
	  .help = "parse the names of control tokens in the prompt as control tokens, and print "
	  "the names of the control tokens that the model generates" },
	{ "parse-special", 0, NULL, OPTION_BOOL, TEXT, 0, "Prompt", NULL, "off",
	  AT(parse_special),
	  .help = "parse the names of control tokens in the prompt as control tokens" },
	{ "ignore-eos", 0, NULL, OPTION_BOOL, ASKING, 0, "Prompt", NULL, "off", AT(ignore_eos),
	  .help = "continue after an end-of-text token" },
	{ "logprobs", 0, NULL, OPTION_BOOL, PROMPT, OPTION_FLAG_ONLY,
	  "Prompt", NULL, "off", AT(wants_logprobs),
	  .help = "compute log-probabilities of the new tokens. --json prints them" },
	{ "top-logprobs", 0, NULL, OPTION_U32, PROGRAM_GENERATE | PROGRAM_SUBMIT,
	  OPTION_FLAG_ONLY, "Prompt", "N", "0", 0, 20, NULL, AT(n_top_logprobs),
	  "tell the N likeliest tokens in the place of every new one, with their "
	  "log-probabilities; with --json" },
	{ "timeout", 0, NULL, OPTION_FLOAT, ASKING, OPTION_FLAG_ONLY,
	  "Prompt", "SECONDS", "0", 0, 1e9, NULL, AT(job_timeout),
	  "cancel the job after this time; 0: no limit" },

	{ "temp", 0, "temperature", OPTION_FLOAT, SAMPLING, 0, "Sampling", "X", "0.8", 0, 100,
	  NULL, AT(temperature), "sampling temperature. 0: always choose the most likely token" },
	{ "top-k", 0, NULL, OPTION_U32, SAMPLING, 0, "Sampling", "N", "40", 0, U32_MAX,
	  NULL, AT(top_k), "sample only from the N most likely tokens. 0: from all tokens" },
	{ "top-p", 0, NULL, OPTION_FLOAT, SAMPLING, 0, "Sampling", "X", "0.95", 1e-6, 1,
	  NULL, AT(top_p),
	  "sample only from the most likely tokens whose probabilities add up to X. 1: from all "
	  "tokens" },
	{ "min-p", 0, NULL, OPTION_FLOAT, SAMPLING, 0, "Sampling", "X", "0.05", 0, 1, NULL,
	  AT(min_p), "drop tokens that are less likely than X times the most likely token" },
	{ "typical", 0, "typical-p", OPTION_FLOAT, SAMPLING, 0, "Sampling", "X", "1", 0, 1,
	  NULL, AT(typical),
	  "sample only from tokens that are about as surprising as expected (locally typical), "
	  "whose probabilities add up to X. 1: off" },
	{ "top-nsigma", 0, "top-n-sigma", OPTION_FLOAT, SAMPLING, 0, "Sampling", "X", "-1",
	  -1, 1000, NULL, AT(top_nsigma),
	  "drop tokens whose logit is more than X standard deviations below the largest. 0 or "
	  "less: off" },
	{ "xtc-probability", 0, NULL, OPTION_FLOAT, SAMPLING, 0, "Sampling", "X", "0", 0, 1,
	  NULL, AT(xtc_probability),
	  "with this probability, drop all tokens that reach --xtc-threshold but the least "
	  "likely of them (XTC). 0: off" },
	{ "xtc-threshold", 0, NULL, OPTION_FLOAT, SAMPLING, 0, "Sampling", "X", "0.1", 0, 1,
	  NULL, AT(xtc_threshold), "probability that counts for XTC. Above 0.5: off" },
	{ "dynatemp-range", 0, NULL, OPTION_FLOAT, SAMPLING, 0, "Sampling", "X", "0", 0, 100,
	  NULL, AT(dynatemp_range),
	  "let the temperature vary by X around --temp, with the entropy of the probabilities. "
	  "0: off" },
	{ "dynatemp-exp", 0, NULL, OPTION_FLOAT, SAMPLING, 0, "Sampling", "X", "1", 0, 1000,
	  NULL, AT(dynatemp_exp), "exponent of the entropy for --dynatemp-range" },
	{ "repeat-penalty", 0, "repetition-penalty", OPTION_FLOAT, SAMPLING, 0, "Sampling",
	  "X", "1", 0, 1000, NULL, AT(repeat_penalty),
	  "make tokens that are already there less likely: positive logits are divided by X, "
	  "negative ones multiplied. 0 or 1: off" },
	{ "presence-penalty", 0, NULL, OPTION_FLOAT, SAMPLING, 0, "Sampling", "X", "0",
	  -1000, 1000, NULL, AT(presence_penalty),
	  "subtract X from the logit of each token that was generated before. 0: off" },
	{ "frequency-penalty", 0, NULL, OPTION_FLOAT, SAMPLING, 0, "Sampling", "X", "0",
	  -1000, 1000, NULL, AT(frequency_penalty),
	  "subtract X from the logit of a token for each time that it was generated before. 0: "
	  "off" },
	{ "repeat-last-n", 0, NULL, OPTION_I64, SAMPLING, 0, "Sampling", "N", "64", -1, 1e9,
	  NULL, AT(repeat_last_n),
	  "tokens that the three penalties look back on. 0: no penalties. -1: all tokens" },
	{ "dry-multiplier", 0, NULL, OPTION_FLOAT, SAMPLING, 0, "Sampling", "X", "0", 0,
	  1000, NULL, AT(dry_multiplier),
	  "make tokens that would continue a repetition less likely (DRY). The penalty is X times "
	  "--dry-base to the power of the tokens by which the repetition exceeds "
	  "--dry-allowed-length. 0: off" },
	{ "dry-base", 0, NULL, OPTION_FLOAT, SAMPLING, 0, "Sampling", "X", "1.75", 1, 1000,
	  NULL, AT(dry_base), "base of the penalty of DRY" },
	{ "dry-allowed-length", 0, NULL, OPTION_U32, SAMPLING, 0, "Sampling", "N", "2", 0,
	  U32_MAX, NULL, AT(dry_allowed_length),
	  "repetitions of fewer tokens than N have no penalty of DRY" },
	{ "dry-penalty-last-n", 0, NULL, OPTION_I64, SAMPLING, 0, "Sampling", "N", "64", -1,
	  1e9, NULL, AT(dry_penalty_last_n),
	  "tokens in which DRY looks for repetitions. 0: off. -1: all tokens" },
	{ "dry-sequence-breaker", 0, NULL, OPTION_LIST, SAMPLING, OPTION_FLAG_ONLY,
	  "Sampling", "TEXT", NULL, 1, 16, NULL, AT(dry_sequence_breakers),
	  "a token with TEXT in it ends a repetition for DRY. Repeat the flag for several texts. "
	  "The first one replaces the usual ones: a new line, ':', '\"' and '*'. 'none': no such "
	  "texts" },
	{ "samplers", 0, NULL, OPTION_STRING, SAMPLING, 0, "Sampling", "LIST", "",
	  AT(samplers),
	  .help = "samplers in their order, with semicolons between them. What is left out is off. "
	  "Default: penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature" },
	{ "sampler-seq", 0, "sampling-seq", OPTION_STRING, SAMPLING, 0, "Sampling",
	  "LETTERS", "", AT(sampler_seq),
	  .help = "the same as letters. The default would be edskypmxt" },
	{ "logit-bias", 'l', NULL, OPTION_LIST, SAMPLING, OPTION_FLAG_ONLY, "Sampling",
	  "TOKEN(+/-)BIAS", NULL, 1, 512, NULL, AT(logit_biases),
	  "add BIAS to the logit of the token with the id TOKEN, as in 15043+1 or 15043-0.5. "
	  "15043-inf: never generate it. Repeat the flag for several tokens" },
	{ "min-tokens", 0, NULL, OPTION_U32, SAMPLING, 0, "Sampling", "N", "0", 0, 1e9, NULL,
	  AT(min_tokens),
	  "generate at least N tokens: until then no end-of-text token, no --stop-token and no "
	  "--stop text ends the text" },
	{ "stop-token", 0, NULL, OPTION_LIST, SAMPLING, OPTION_FLAG_ONLY, "Prompt", "ID",
	  NULL, 1, 64, NULL, AT(stop_tokens),
	  "end the text at the token with this id. Repeat the flag for several tokens" },
	{ "seed", 's', NULL, OPTION_I64, SAMPLING, 0, "Sampling", "N", "-1", -1, 9e18,
	  NULL, AT(seed),
	  "random seed. The same seed gives the same text. -1: a new seed each time" },

	{ "prompt", 'p', NULL, OPTION_STRING, PROGRAM_CHAT, OPTION_FLAG_ONLY, "Chat", "TEXT", NULL,
	  AT(prompt), .help = "send this message, print the answer and end" },
	{ "system", 0, "system-prompt", OPTION_STRING, PROGRAM_CHAT, OPTION_FLAG_ONLY, "Chat",
	  "TEXT", "", AT(system_text), .help = "system message of the conversation" },
	{ "hide-reasoning", 0, NULL, OPTION_BOOL, PROGRAM_CHAT, 0, "Chat", NULL, "off",
	  AT(hides_reasoning),
	  .help = "do not show what the model thinks before it answers. It is shown on terminals "
	  "alone, dimmed" },
	{ "chat-template", 0, "chat-template-file", OPTION_STRING, PROGRAM_CHAT, 0, "Chat", "FILE",
	  "",
	  AT(chat_template),
	  .help = "with -m: chat template (Jinja) to use instead of that of the model file: the "
	  "name of a file, or the text of a template, which contains a brace" },

	{ "file", 'f', NULL, OPTION_STRING, PROGRAM_PERPLEXITY, OPTION_FLAG_ONLY, "Perplexity",
	  "FILE", "", AT(text_file), .help = "text to measure; '-' reads standard input" },
	{ "ctx-size", 'c', "chunk-length", OPTION_U32, PROGRAM_PERPLEXITY, OPTION_FLAG_ONLY,
	  "Perplexity", "N", "512", 4, 16777216, NULL, AT(chunk_length),
	  "tokens per chunk. The second half of each chunk is scored" },
	{ "chunks", 0, NULL, OPTION_I64, PROGRAM_PERPLEXITY, OPTION_FLAG_ONLY, "Perplexity", "N",
	  "-1", -1, 1e9, NULL, AT(n_chunks), "maximum number of chunks. -1: the whole text" },

	{ "tests", 0, NULL, OPTION_STRING, PROGRAM_BENCH, OPTION_FLAG_ONLY, "Benchmark", "LIST",
	  "prompt,queue,decode,mixed,batch,depth", AT(bench_tests),
	  .help = "tests to run, with commas between them" },
	{ "n-prompt", 'p', NULL, OPTION_STRING, PROGRAM_BENCH, OPTION_FLAG_ONLY, "Benchmark",
	  "LIST", "512", AT(bench_prompts), .help = "prompt tokens" },
	{ "n-gen", 'n', NULL, OPTION_STRING, PROGRAM_BENCH, OPTION_FLAG_ONLY, "Benchmark", "LIST",
	  "64", AT(bench_generated), .help = "tokens to generate" },
	{ "sequences", 0, NULL, OPTION_STRING, PROGRAM_BENCH, OPTION_FLAG_ONLY, "Benchmark",
	  "LIST", "1,2,4,8,16,32,64", AT(bench_batches),
	  .help = "number of sequences that decode at the same time, for the test batch" },
	{ "n-depth", 'd', NULL, OPTION_STRING, PROGRAM_BENCH, OPTION_FLAG_ONLY, "Benchmark", "LIST",
	  "", AT(bench_depths),
	  .help = "tokens in the context before the test starts, for the test depth. Default: "
	  "2048,8192,32768, up to the context that the model was trained for" },
	{ "threads", 't', NULL, OPTION_STRING, PROGRAM_BENCH, OPTION_FLAG_ONLY, "Benchmark", "LIST",
	  "0", AT(bench_threads),
	  .help = "threads per stage. 0: the stages share the processors of this machine" },
	{ "stages", 0, NULL, OPTION_STRING, PROGRAM_BENCH, OPTION_FLAG_ONLY, "Benchmark", "LIST",
	  "1", AT(bench_stages), .help = "pipeline stages" },
	{ "repetitions", 'r', NULL, OPTION_U32, PROGRAM_BENCH, OPTION_FLAG_ONLY, "Benchmark", "N",
	  "5", 1, 1000, NULL, AT(repetitions),
	  "measurements per row. One more run before them warms up" },
	{ "output", 'o', NULL, OPTION_CHOICE, PROGRAM_BENCH, OPTION_FLAG_ONLY, "Benchmark",
	  "FORMAT", "md", .choices = "md|csv|json", AT(bench_output),
	  .help = "format of the results" },

	{ "allow-requantize", 0, NULL, OPTION_BOOL, WRITING, OPTION_FLAG_ONLY, "Quantize",
	  NULL, "off", AT(allows_requantize),
	  .help = "also accept tensors that are already quantized. The result is less accurate "
	  "than one made from 16-bit tensors" },

	{ "ids", 0, NULL, OPTION_BOOL, PROGRAM_TOKENIZE, OPTION_FLAG_ONLY, "Tokenize", NULL, "off",
	  AT(ids_only), .help = "print only the token ids, on one line" },
	{ "no-bos", 0, NULL, OPTION_BOOL, PROGRAM_TOKENIZE, OPTION_FLAG_ONLY, "Tokenize", NULL,
	  "off", AT(leaves_out_bos),
	  .help = "leave out tokens that the vocabulary adds around a prompt, such as BOS" },

	{ "keys", 0, NULL, OPTION_BOOL, PROGRAM_INSPECT, OPTION_FLAG_ONLY, "Inspect", NULL, "off",
	  AT(shows_keys), .help = "also print all metadata. Long values are shortened" },
	{ "tensors", 0, NULL, OPTION_BOOL, PROGRAM_INSPECT, OPTION_FLAG_ONLY, "Inspect", NULL,
	  "off", AT(shows_tensors),
	  .help = "also print the name, type, shape and size of each tensor" },
	{ "template", 0, NULL, OPTION_BOOL, PROGRAM_INSPECT, OPTION_FLAG_ONLY, "Inspect", NULL,
	  "off", AT(shows_template),
	  .help = "print only the chat template. With --json, print all templates of the file" },

	{ "limit", 0, NULL, OPTION_U32, PROGRAM_JOBS, OPTION_FLAG_ONLY, "Jobs", "N", "100", 1, 1000,
	  NULL, AT(list_limit), "show the N newest jobs" },
	{ "state", 0, NULL, OPTION_LIST, PROGRAM_JOBS, OPTION_FLAG_ONLY, "Jobs", "STATE", NULL, 1,
	  5, "queued|running|done|cancelled|failed", AT(states),
	  "show only jobs in this state. Repeat the flag for several states" },
	{ "from-now", 0, NULL, OPTION_BOOL, PROGRAM_WATCH, OPTION_FLAG_ONLY, "Watch", NULL, "off",
	  AT(from_now), .help = "skip the text that exists already" },
	{ "wait", 0, NULL, OPTION_BOOL, PROGRAM_STATUS, OPTION_FLAG_ONLY, "Status", NULL, "off",
	  AT(waits), .help = "wait until the server is ready. The server need not be running yet" },
	{ "timeout", 0, NULL, OPTION_FLOAT, PROGRAM_STATUS, OPTION_FLAG_ONLY, "Status", "SECONDS",
	  "0", 0, 1e9, NULL, AT(wait_timeout), "stop waiting after this time; 0: no limit" },

	{ "backend", 0, NULL, OPTION_CHOICE, COMPUTE, 0, "Compute", "NAME", "cpu",
	  .choices = "cpu|cuda", AT(backend), .help = "backend that computes the stages" },
	{ "cpu", 0, NULL, OPTION_CHOICE, COMPUTE, 0, "Compute", "SET", "auto",
	  .choices = "auto|scalar|avx2|avx512|avx512-bf16", AT(cpu),
	  .help = "best instruction set that a CPU stage may use. auto: the best one of the "
	  "processor. All stages use the best set that every stage has, so that the output does "
	  "not depend on where a layer runs" },
	{ "allow-mixed-backends", 0, NULL, OPTION_BOOL, PROGRAM_DAEMON, 0, "Compute", NULL, "off",
	  AT(allows_mixed_backends),
	  .help = "allow stages with different backends, kernel versions or C libraries in one "
	  "pipeline. The same request may then give different tokens when layers move to "
	  "another stage" },
	{ "device", 0, NULL, OPTION_U32, COMPUTE, 0, "Compute", "N", "0", 0, 63, NULL, AT(device),
	  "number of the device that the backend uses" },
	{ "threads", 't', NULL, OPTION_U32, COMPUTE_NO_LIST | WRITING, 0, "Compute", "N",
	  "0", 0, 1024, NULL, AT(threads),
	  "threads per stage. 0: the stages on a machine share its processors" },
	{ "pin", 0, NULL, OPTION_CHOICE, COMPUTE, 0, "Compute", "WHEN", "auto",
	  .choices = "auto|on|off", AT(pin),
	  .help = "bind each thread to a CPU core. on: always. off: never. auto: only on machines "
	  "with several memory nodes (NUMA), and only if no cores are left for one more stage" },
	{ "memory", 0, NULL, OPTION_BYTES, COMPUTE, 0, "Compute", "BYTES", "0", 0, 1e18, NULL,
	  AT(memory),
	  "maximum memory of a stage, with a suffix K, M, G or T. 0: automatic. The stages on a "
	  "machine then share 90 % of its free memory, or of the free memory of their control "
	  "group if that is less" },

	{ "stages", 0, "pipeline-parallel-size", OPTION_U32, COMPUTE_NO_LIST, 0, "Pipeline", "N",
	  "1", 1, 1024, NULL, AT(stages),
	  "pipeline stages to run in this process. Under a launcher such as mpirun, every "
	  "process after the first is one stage" },
	{ "transport", 0, NULL, OPTION_CHOICE, PROGRAM_DAEMON, 0, "Pipeline", "NAME", "ucx",
	  .choices = "ucx|mpi|loopback", AT(transport),
	  .help = "transport between processes. loopback runs all stages in this process" },
	{ "ctx-size", 'c', "max-model-len", OPTION_U32, SERVING, 0, "Pipeline", "N", "0", 0,
	  16777216, NULL, AT(context),
	  "maximum tokens of one sequence: its prompt and its new tokens. 0: the context that "
	  "the model was trained for, or less if the memory or kv-positions is too small for "
	  "that" },
	{ "batch-size", 'b', NULL, OPTION_U32, COMPUTE, 0, "Pipeline", "N", "512", 1, 65536, NULL,
	  AT(batch),
	  "maximum rows of one step. A step has one row per prompt token and one per decoding "
	  "sequence" },
	{ "ubatch-size", 0, NULL, OPTION_U32, COMPUTE, 0, "Pipeline", "N", "0", 0, 65536, NULL,
	  AT(prompt_chunk),
	  "maximum prompt tokens in one step. Longer prompts are split into chunks. 0: "
	  "automatic, which is 256 with one stage and 128 with several" },
	{ "max-gap-ms", 0, NULL, OPTION_U32, SERVING, 0, "Pipeline", "N", "0", 0, 3600000, NULL,
	  AT(max_gap_ms),
	  "maximum time in milliseconds between two tokens of a stream while other prompts are "
	  "processed. A smaller value makes streams smoother and those prompts slower. 0: "
	  "automatic, which is 2.9 times the usual gap and at least 10 ms. With several "
	  "prompts, multiply that by the square root of their number, but by 4 at most" },
	{ "parallel", 0, "max-num-seqs", OPTION_U32, SERVING, 0, "Pipeline", "N", "32", 1, 4096,
	  NULL, AT(max_sequences),
	  "maximum sequences that run at the same time. One eighth more slots are reserved for "
	  "clients that use less than their share" },
	{ "kv-positions", 0, NULL, OPTION_U32, SERVING, 0, "Pipeline", "N", "0", 0, 1e9, NULL,
	  AT(kv_positions),
	  "size of the KV pool in tokens. All sequences share this pool. A larger pool holds "
	  "more long sequences at once. The memory is allocated before serving starts. 0: "
	  "automatic, which is room for --parallel full contexts. Beyond one context, the pool "
	  "takes no more bytes than the weights or 512 MiB, and at most half of the memory that "
	  "the weights leave" },
	{ "block-length", 0, NULL, OPTION_U32, COMPUTE, 0, "Pipeline", "N", "32", 1, 1024, NULL,
	  AT(block_length),
	  "tokens per block of the KV pool. Multiples of 16 are the fastest. The output does "
	  "not depend on this setting" },
	{ "kv-type", 0, "kv-cache-dtype", OPTION_CHOICE, COMPUTE, 0, "Pipeline", "TYPE", "auto",
	  .choices = "auto|f32|f16|bf16|q8_0", AT(kv_type),
	  .help = "type in which keys and values are stored. auto: bf16 for a model with BF16 "
	  "matrices, otherwise f16. f16 cuts values above 65504 to 65504. The status counts "
	  "such values, and a warning reports them" },
	{ "window", 0, NULL, OPTION_U32, COMPUTE, 0, "Pipeline", "N", "0", 0, 1025, NULL,
	  AT(window), "maximum steps in flight; 0: stages + 1" },
	{ "spin-us", 0, NULL, OPTION_U32, COMPUTE, 0, "Pipeline", "N", "50", 0, 1000000, NULL,
	  AT(spin_us),
	  "microseconds that an idle thread spins before it sleeps. Higher values reduce "
	  "latency and use more processor time" },
	{ "heartbeat-ms", 0, NULL, OPTION_U32, PROGRAM_DAEMON, 0, "Pipeline", "N", "500", 10, 60000,
	  NULL, AT(heartbeat_ms), "milliseconds between two heartbeats of a process" },
	{ "deadline-ms", 0, NULL, OPTION_U32, PROGRAM_DAEMON, 0, "Pipeline", "N", "5000", 50,
	  3600000, NULL, AT(deadline_ms),
	  "milliseconds without a heartbeat after which a process counts as lost" },
	{ "start-ms", 0, NULL, OPTION_U32, PROGRAM_DAEMON, 0, "Pipeline", "N", "30000", 100,
	  3600000, NULL, AT(start_ms),
	  "milliseconds in which all workers must report after the start" },

	{ "role", 0, NULL, OPTION_CHOICE, PROGRAM_DAEMON, 0, "Cluster", "ROLE", "auto",
	  .choices = "auto|coordinator|worker", AT(role),
	  .help = "what this process does in a cluster without a launcher. coordinator: serves "
	  "clients, and waits for --workers to connect. worker: connects to --coordinator and "
	  "computes a stage. auto: under a launcher the rank decides; otherwise all stages run in "
	  "this process" },
	{ "coordinator", 0, NULL, OPTION_STRING, PROGRAM_DAEMON, 0, "Cluster", "HOST[:PORT]", "",
	  AT(coordinator_address),
	  .help = "for --role worker: the coordinator's address. The worker connects again after "
	  "each loss, for as long as it lives. The default port is 7080" },
	{ "workers", 0, NULL, OPTION_U32, PROGRAM_DAEMON, 0, "Cluster", "N", "1", 1, 1024, NULL,
	  AT(n_workers),
	  "for --role coordinator: number of workers, and of pipeline stages, to start with. "
	  "Further workers are spares: each replaces a worker that is lost" },
	{ "cluster-listen", 0, NULL, OPTION_STRING, PROGRAM_DAEMON, 0, "Cluster",
	  "ADDRESS[:PORT]", "127.0.0.1:7080", AT(cluster_listen),
	  .help = "for the coordinator: address, or name of a network interface, at which workers "
	  "connect. The port 0 means any free port. Under a launcher rank 0 listens there. If this "
	  "is not set, rank 0 listens on any port of loopback if all ranks are on one host, else of "
	  "all addresses" },
	{ "cluster-key-file", 0, NULL, OPTION_STRING, PROGRAM_DAEMON, 0, "Cluster", "FILE", "",
	  AT(cluster_key_file),
	  .help = "file with the secret that all processes of the cluster share, one key a line. "
	  "Make one with `openssl rand -hex 32`. With two lines, both keys are valid, so that the "
	  "key can be changed without a stop. Only its owner and group may use the file (mode 600 or "
	  "640). Under a launcher, rank 0 makes a key if no file is given" },
	{ "worker-id", 0, NULL, OPTION_STRING, PROGRAM_DAEMON, 0, "Cluster", "NAME", "",
	  AT(worker_id),
	  .help = "name of this worker in the cluster. It must stay the same after a restart. "
	  "Default: the name of the host, and under a launcher also the rank" },
	{ "rejoin-ms", 0, NULL, OPTION_U32, PROGRAM_DAEMON, 0, "Cluster", "N", "60000", 0,
	  86400000, NULL, AT(rejoin_ms),
	  "milliseconds for which a worker keeps its weights after it has lost the coordinator. "
	  "Under a launcher the worker then ends" },
	{ "spares-warm", 0, NULL, OPTION_BOOL, PROGRAM_DAEMON, 0, "Cluster", NULL, "off",
	  AT(are_spares_warm),
	  .help = "let spare workers load layers beforehand, so that a lost worker is replaced "
	  "sooner" },

	{ "host", 0, NULL, OPTION_STRING, PROGRAM_DAEMON, 0, "Serving", "ADDRESS", "127.0.0.1",
	  AT(host),
	  .help = "address to listen on. 0.0.0.0, :: and * mean all addresses of this machine, "
	  "IPv4 and IPv6. To serve other machines, set --api-key-file, --tls-cert and --tls-key, "
	  "too: see stagecoachd(8), SECURITY" },
	{ "port", 0, NULL, OPTION_U32, PROGRAM_DAEMON, 0, "Serving", "N", "8080", 0, 65535, NULL,
	  AT(port), "TCP port to listen on. 0: any free port" },
	{ "listen", 0, NULL, OPTION_STRING, PROGRAM_DAEMON, 0, "Serving", "HOST:PORT", "",
	  AT(listen),
	  .help = "address and port to listen on, instead of --host and --port; 'none': no TCP; "
	  "'keys': --host and --port if there are API keys, else no TCP" },
	{ "socket", 0, "uds", OPTION_STRING, PROGRAM_DAEMON, 0, "Serving", "PATH", "",
	  AT(socket), .help = "Unix socket to listen on, in addition to TCP" },
	{ "alias", 'a', "served-model-name", OPTION_STRING, PROGRAM_DAEMON, 0, "Serving", "LIST", "",
	  AT(alias),
	  .help = "names of the model for OpenAI clients, with commas between them. Answers "
	  "carry the first. Default: the model's own name" },
	{ "chat-template", 0, "chat-template-file", OPTION_STRING, PROGRAM_DAEMON, 0, "Serving",
	  "FILE", "",
	  AT(chat_template),
	  .help = "chat template (Jinja) to use instead of that of the model file: the name of a "
	  "file, or the text of a template, which contains a brace" },
	{ "sse-ping-ms", 0, NULL, OPTION_U32, PROGRAM_DAEMON, 0, "Serving", "N", "15000", 0,
	  86400000, NULL, AT(sse_ping_ms),
	  "milliseconds without an event after which a comment is sent to the reader of a stream "
	  "of server-sent events, so that nobody takes the connection for dead. 0: none" },
	{ "max-queue", 0, NULL, OPTION_U32, PROGRAM_DAEMON, OPTION_RELOADS, "Serving", "N", "256",
	  0, 1000000, NULL, AT(max_queue),
	  "maximum jobs that wait. One quarter more places are reserved for clients with few "
	  "jobs. Further jobs are refused" },
	{ "keep-jobs", 0, NULL, OPTION_U32, PROGRAM_DAEMON, OPTION_RELOADS, "Serving", "N", "1000",
	  0, 1000000, NULL, AT(keep_jobs), "number of ended jobs that the server remembers" },
	{ "job-memory", 0, NULL, OPTION_BYTES, PROGRAM_DAEMON, 0, "Serving", "BYTES", "1G",
	  1 << 20, 1e18, NULL, AT(job_memory),
	  "memory of the coordinator for the tokens and texts of all jobs. At most one eighth "
	  "of the free memory is used. One client may use three quarters. Further jobs are "
	  "refused" },
	{ "max-connections", 0, NULL, OPTION_U32, PROGRAM_DAEMON, 0, "Serving", "N", "256", 1,
	  65536, NULL, AT(max_connections), "maximum client connections" },
	{ "max-peer-connections", 0, NULL, OPTION_U32, PROGRAM_DAEMON, 0, "Serving", "N", "0", 0,
	  65536, NULL, AT(max_peer_connections),
	  "maximum connections from one address. Loopback counts as one address, and so does "
	  "the Unix socket. 0: half of max-connections" },
	{ "idle-ms", 0, NULL, OPTION_U32, PROGRAM_DAEMON, 0, "Serving", "N", "300000", 1000,
	  86400000, NULL, AT(idle_ms),
	  "milliseconds without a call after which a connection is closed. Clients with a "
	  "connection pool need at least two minutes" },
	{ "max-streams", 0, NULL, OPTION_U32, PROGRAM_DAEMON, 0, "Serving", "N", "100", 1, 65536,
	  NULL, AT(max_streams), "maximum concurrent requests on one connection" },
	{ "max-message", 0, NULL, OPTION_BYTES, PROGRAM_DAEMON, 0, "Serving", "BYTES", "4M", 1024,
	  1073741824, NULL, AT(max_message), "maximum size of one request" },
	{ "request-ms", 0, NULL, OPTION_U32, PROGRAM_DAEMON, 0, "Serving", "N", "60000", 100,
	  86400000, NULL, AT(request_ms),
	  "milliseconds in which a request must arrive, from its first byte to its last" },
	{ "stall-ms", 0, NULL, OPTION_U32, PROGRAM_DAEMON, 0, "Serving", "N", "120000", 1000,
	  86400000, NULL, AT(stall_ms),
	  "milliseconds after which a request is cancelled if its client reads nothing of the "
	  "answer" },
	{ "drain-ms", 0, NULL, OPTION_U32, PROGRAM_DAEMON, OPTION_RELOADS, "Serving", "N", "30000",
	  0, 86400000, NULL, AT(drain_ms),
	  "milliseconds that running jobs get to finish after SIGTERM" },

	{ "api-key-file", 0, NULL, OPTION_STRING, PROGRAM_DAEMON, OPTION_RELOADS |
	  OPTION_GUARDS, "Serving", "FILE", "", AT(api_key_file),
	  .help = "file with the API keys that may use the server over TCP, one a line: NAME KEY "
	  "[rate=N/s] [concurrent=N]. NAME stands for the key in logs. The rate may also be N/min "
	  "or N/h; concurrent limits the requests at the same time. A line may also be a KEY alone. "
	  "SIGHUP reads the file again. See SECURITY" },
	{ "api-key", 0, NULL, OPTION_STRING, PROGRAM_DAEMON, OPTION_RELOADS | OPTION_SECRET |
	  OPTION_GUARDS, "Serving", "KEY", "", AT(api_key),
	  .help = "API key that may use the server over TCP, or several with commas between them. "
	  "All users of this machine can read a process's flags: prefer --api-key-file or the "
	  "variable" },
	{ "tls-cert", 0, "ssl-cert-file", OPTION_STRING, PROGRAM_DAEMON, OPTION_RELOADS |
	  OPTION_GUARDS, "Serving", "FILE", "", AT(tls_cert),
	  .help = "certificate of the server (PEM), followed by those between it and its authority. "
	  "With it, TCP is served with TLS only. The Unix socket stays without. SIGHUP reads it and "
	  "its key again" },
	{ "tls-key", 0, "ssl-key-file", OPTION_STRING, PROGRAM_DAEMON, OPTION_RELOADS |
	  OPTION_GUARDS, "Serving", "FILE", "", AT(tls_key),
	  .help = "private key (PEM, no password) of --tls-cert" },
	{ "tls-client-ca", 0, NULL, OPTION_STRING, PROGRAM_DAEMON, OPTION_RELOADS |
	  OPTION_GUARDS, "Serving", "FILE", "", AT(tls_client_ca),
	  .help = "authorities (PEM) of client certificates. With it, each client over TCP must show "
	  "a certificate that one of them signed" },
	{ "allowed-hosts", 0, NULL, OPTION_STRING, PROGRAM_DAEMON, OPTION_RELOADS, "Serving",
	  "LIST", "", AT(allowed_hosts),
	  .help = "host names that HTTP requests may name when the server listens on loopback, in "
	  "addition to localhost and loopback addresses, with commas between them; '*': all. A web "
	  "page could otherwise reach the server under a name of its own (DNS rebinding)" },
	{ "cors-origins", 0, NULL, OPTION_STRING, PROGRAM_DAEMON, OPTION_RELOADS, "Serving",
	  "LIST", "", AT(cors_origins),
	  .help = "origins whose web pages may use the server from a browser, as in "
	  "https://chat.example, with commas between them; '*': all. Default: none but the server's "
	  "own" },

	{ "socket", 0, "uds", OPTION_STRING, CLIENT, 0, "Server", "PATH", "", AT(socket),
	  .help = "Unix socket of the server" },
	{ "listen", 0, NULL, OPTION_STRING, CLIENT, 0, "Server", "HOST:PORT", "", AT(listen),
	  .help = "address and port of the server" },
	{ "host", 0, NULL, OPTION_STRING, CLIENT, 0, "Server", "ADDRESS", "127.0.0.1", AT(host),
	  .help = "address of the server" },
	{ "port", 0, NULL, OPTION_U32, CLIENT, 0, "Server", "N", "8080", 1, 65535, NULL, AT(port),
	  "TCP port of the server" },
	{ "silence", 0, NULL, OPTION_FLOAT, CLIENT, 0, "Server", "SECONDS", "20", 0, 1e6, NULL,
	  AT(silence), "give up if the server sends no sign of life for this time; 0: never" },
	{ "api-key", 0, NULL, OPTION_STRING, CLIENT, OPTION_SECRET, "Server", "KEY", "",
	  AT(api_key),
	  .help = "API key for the server. All users of this machine can read a process's flags: "
	  "prefer the variable STAGECOACH_API_KEY" },
	{ "tls", 0, NULL, OPTION_BOOL, CLIENT, 0, "Server", NULL, "off", AT(uses_tls),
	  .help = "use TLS, and check the server's certificate. A Unix socket has no TLS" },
	{ "ca", 0, "cacert", OPTION_STRING, CLIENT, 0, "Server", "FILE", "", AT(ca),
	  .help = "authorities (PEM) that may have signed the server's certificate, instead of "
	  "those that this machine trusts, or the certificate itself. Implies --tls" },
	{ "cert", 0, NULL, OPTION_STRING, CLIENT, 0, "Server", "FILE", "", AT(client_cert),
	  .help = "certificate (PEM) for a server that demands one. Implies --tls" },
	{ "cert-key", 0, NULL, OPTION_STRING, CLIENT, 0, "Server", "FILE", "",
	  AT(client_cert_key), .help = "private key (PEM, no password) of --cert" },

	{ "json", 0, NULL, OPTION_BOOL, EVERY, OPTION_FLAG_ONLY, "Operation", NULL, "off",
	  AT(is_json), .help = "print results as JSON Lines on standard output" },
	{ "quiet", 'q', NULL, OPTION_BOOL, EVERY, OPTION_FLAG_ONLY, "Operation", NULL, "off",
	  AT(is_quiet),
	  .help = "print only warnings and errors on standard error: no plan, no progress and "
	  "no speed" },
	{ "config", 'C', NULL, OPTION_STRING, EVERY, OPTION_FLAG_ONLY, "Operation", "FILE", "",
	  AT(config_file), .help = "read settings from FILE" },
	{ "check-config", 0, NULL, OPTION_BOOL, PROGRAM_DAEMON, OPTION_FLAG_ONLY, "Operation", NULL,
	  "off", AT(check_config),
	  .help = "check the flags, environment, configuration file, model and addresses as a "
	  "start does; then exit" },
	{ "log-level", 0, NULL, OPTION_CHOICE, EVERY, OPTION_RELOADS, "Operation", "LEVEL", "info",
	  .choices = "error|warning|info|debug", AT(log_level),
	  .help = "least severe messages to log" },
	{ "log-format", 0, NULL, OPTION_CHOICE, PROGRAM_DAEMON, OPTION_RELOADS, "Operation",
	  "FORMAT", "text", .choices = "text|json", AT(log_format),
	  .help = "how lines of the log look: text for people, or one JSON object per line for "
	  "programs" },
	{ "access-log", 0, NULL, OPTION_BOOL, PROGRAM_DAEMON, OPTION_RELOADS, "Operation", NULL,
	  "off", AT(access_log),
	  .help = "a line in the log for each request when it is over: who, what, status, bytes, "
	  "seconds. Never texts of prompts or answers" },
	{ "help", 'h', NULL, OPTION_BOOL, EVERY, OPTION_FLAG_ONLY, "Operation", NULL, "off",
	  AT(is_help), .help = "show this help" },
	{ "version", 'V', NULL, OPTION_BOOL, EVERY, OPTION_FLAG_ONLY, "Operation", NULL, "off",
	  AT(is_version), .help = "show the version" },
	{ "print-config", 0, NULL, OPTION_BOOL, EVERY, OPTION_FLAG_ONLY, "Operation", NULL, "off",
	  AT(is_print_config),
	  .help = "print the effective settings, and where each one comes from, as a "
	  "configuration file" },
	{ "print-defaults", 0, NULL, OPTION_BOOL, PROGRAM_DAEMON, OPTION_FLAG_ONLY, "Operation",
	  NULL, "off", AT(is_print_defaults),
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
