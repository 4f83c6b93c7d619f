/* SPDX-License-Identifier: Apache-2.0 */
#include "config/foreign.h"

#include <stdbool.h>
#include <string.h>

#define LLAMA "llama.cpp"
#define VLLM "vLLM"
#define BOTH "llama.cpp and vLLM"

/* Advice that several rows give. */
#define USE_CHAT "`stagecoach chat -m FILE` holds conversations, with the model's chat template"
#define NO_DOWNLOAD "Stagecoach downloads nothing: fetch the model, convert it to GGUF, and give " \
	"-m FILE"
#define NO_SAMPLER "--samplers lists the samplers that there are"
#define NO_GRAMMAR "Stagecoach cannot constrain the output"
#define NO_DRAFT "Stagecoach has no speculative decoding: leave it out"
#define NO_LORA "Merge the adapter into the model first"
#define LEAVE_OUT "Leave it out"
#define NO_GPU "Whole models run on CPUs only, so far: leave it out"
#define USE_STAGES "Layers are split over processes: start them with mpirun -n N, or give " \
	"--stages N"
#define ALWAYS_ON "It is always on: leave it out"
#define USE_LOG_LEVEL "Use --log-level error|warning|info|debug"
#define NEW_TEXT_ONLY "Only the new text is printed: leave it out"

const struct foreign_flag foreign_flags[] = {
	/* devices and memory */
	{ "-ngl --gpu-layers --n-gpu-layers", LLAMA, "layers on the GPU",
	  NO_GPU },
	{ "-dev -mg --main-gpu", LLAMA, "the GPU to use", NO_GPU },
	{ "--rpc", LLAMA, "stages on other machines",
	  "Start the stages with mpirun --host A,B -n N stagecoachd ..." },
	{ "-sm --split-mode -ts --tensor-split", LLAMA, "how to split a model over GPUs",
	  USE_STAGES },
	{ "-ot --override-tensor -cmoe --cpu-moe -ncmoe --n-cpu-moe", LLAMA,
	  "placement of single tensors", "A stage keeps all its tensors in one place: " LEAVE_OUT },
	{ "-nkvo --no-kv-offload", LLAMA, "the KV cache in host memory",
	  "Each stage keeps its KV cache and its weights in the same memory: leave it out" },
	{ "-tp --tensor-parallel-size", VLLM, "GPUs that share each layer",
	  "Layers are not shared: use --stages N, which gives each stage whole layers" },
	{ "-pp", VLLM, "pipeline stages", "Use --stages N" },
	{ "-dp --data-parallel-size", VLLM, "copies of the model",
	  "Start one stagecoachd for each copy, and a proxy that shares out the requests" },
	{ "--distributed-executor-backend", VLLM, "how workers are started",
	  "Start them with mpirun or srun, and choose how they communicate with --transport" },
	{ "--gpu-memory-utilization", VLLM, "share of the GPU's memory", "Use --memory BYTES" },
	{ "--swap-space --cpu-offload-gb", VLLM, "host memory besides the GPU's",
	  "Use --memory BYTES, and more stages for a larger model" },
	{ "--num-gpu-blocks-override", VLLM, "blocks of the KV pool",
	  "Use --kv-positions N, in positions" },
	{ "--block-size", VLLM, "positions of one KV block", "Use --block-length N" },
	{ "--mlock --no-mmap --mmap", LLAMA, "how the file is held in memory",
	  "Weights are copied from the file when a stage loads: leave it out" },
	{ "--numa", LLAMA, "memory nodes", "Use --pin auto|on|off" },
	{ "-Cr --cpu-mask --cpu-range --cpu-strict", LLAMA, "processors to use",
	  "Start the program under taskset or numactl, or use --pin" },
	{ "--prio --poll", LLAMA, "how threads wait", "Use --spin-us N" },
	{ "-tb --threads-batch", LLAMA, "threads for prompts",
	  "Use --threads N, for prompts and new tokens alike" },
	{ "--threads-http", LLAMA, "threads of the server", LEAVE_OUT },

	/* context and batches */
	{ "-ub", LLAMA, "prompt tokens of one step", "Use --ubatch-size N" },
	{ "-np", LLAMA, "sequences at once", "Use --parallel N of stagecoachd" },
	{ "--max-num-batched-tokens", VLLM, "rows of one step", "Use --batch-size N" },
	{ "-fa --flash-attn", LLAMA, "attention in tiles", ALWAYS_ON },
	{ "-cb --cont-batching -nocb --no-cont-batching", LLAMA, "jobs that join while others run",
	  ALWAYS_ON },
	{ "--enable-chunked-prefill --no-enable-chunked-prefill", VLLM,
	  "prompts that enter in chunks", "It is always on; --ubatch-size N is the chunk" },
	{ "--enable-prefix-caching --no-enable-prefix-caching --cache-reuse --cache-prompt",
	  BOTH, "prompts that share their beginning", "Prefixes are not cached: leave it out" },
	{ "-ctk -ctv --cache-type-k --cache-type-v", LLAMA, "types of keys and values",
	  "Use --kv-type TYPE, for both" },
	{ "--keep --context-shift --no-context-shift -gan -gaw --grp-attn-n --grp-attn-w", LLAMA,
	  "what happens when the context is full", "Generation ends there: raise --ctx-size" },
	{ "--rope-scaling --rope-scale --rope-freq-base --rope-freq-scale --yarn-orig-ctx "
	  "--yarn-ext-factor --yarn-attn-factor --yarn-beta-slow --yarn-beta-fast", LLAMA,
	  "positions beyond the trained context", "The model file defines this: leave it out" },
	{ "--swa-full", LLAMA, "the whole KV cache of sliding windows", LEAVE_OUT },

	/* the model */
	{ "-hf -hfr -hff --hf-repo --hf-file -mu --model-url -dr --docker-repo --download-dir "
	  "--revision", BOTH, "a model to download", NO_DOWNLOAD },
	{ "--dtype --quantization --load-format", VLLM, "types of the weights",
	  "The model file defines them. `stagecoach quantize` writes a file with others" },
	{ "--tokenizer --trust-remote-code --hf-config-path --tokenizer-mode", VLLM,
	  "parts of the model outside the file", "All that is needed is in the GGUF file: leave it "
	  "out" },
	{ "--override-kv", LLAMA, "other metadata", "Use --ignore-key KEY to leave a key out" },
	{ "--lora --lora-scaled --lora-modules --enable-lora --control-vector", BOTH, "adapters",
	  NO_LORA },
	{ "-md --model-draft --draft --draft-max --draft-min --speculative-config "
	  "--speculative-model", BOTH, "speculative decoding", NO_DRAFT },
	{ "--mmproj --limit-mm-per-prompt", BOTH, "images", "Stagecoach reads only text" },
	{ "--no-warmup --warmup --enforce-eager --check-tensors", BOTH, "how the start is prepared",
	  LEAVE_OUT },

	/* prompts and text */
	{ "-cnv --conversation -no-cnv --no-conversation -st --single-turn -i --interactive -if "
	  "--interactive-first", LLAMA, "a conversation on the terminal", USE_CHAT },
	{ "-sys --jinja --no-jinja --in-prefix --in-suffix "
	  "--reasoning-format --reasoning-parser --tool-call-parser "
	  "--enable-auto-tool-choice", BOTH, "chat templates", USE_CHAT },
	{ "-sp", LLAMA, "control tokens in the text", "Use --special" },
	{ "-e --escape --no-escape", LLAMA, "\\n and \\t in prompts",
	  "Use -f FILE, or -p $'...' of the shell" },
	{ "-bf --binary-file", LLAMA, "a prompt from a file", "Use -f FILE" },
	{ "-r --reverse-prompt", LLAMA, "where to end", "Use --stop TEXT" },
	{ "--max-tokens --max-new-tokens --max-length --num-predict", VLLM " and others",
	  "maximum of new tokens", "Use -n N" },
	{ "--num-ctx", "Ollama", "positions of one sequence", "Use --ctx-size N" },
	{ "--no-display-prompt --color --simple-io --no-perf --perf", LLAMA,
	  "what is shown", NEW_TEXT_ONLY },
	{ "--list-devices", LLAMA, "a list of devices",
	  "`stagecoach status` names the device of each stage" },

	/* sampling */
	{ "--mirostat --mirostat-lr --mirostat-ent --adaptive-target --adaptive-decay", LLAMA,
	  "how tokens are drawn", NO_SAMPLER },
	{ "--grammar --grammar-file -j --json-schema -jf --json-schema-file "
	  "--guided-decoding-backend", BOTH, "a grammar for the output", NO_GRAMMAR },

	/* the server */
	{ "--ssl-keyfile --ssl-certfile", VLLM, "TLS", "Use --tls-cert and --tls-key" },
	{ "--allowed-origins", VLLM, "origins of web pages", "Use --cors-origins" },
	{ "--metrics", LLAMA, "metrics", "Leave it out: GET /metrics is always there" },
	{ "--slots --no-slots --props --path --no-webui --webui --root-path "
	  "--slot-save-path -sps --slot-prompt-similarity", BOTH, "HTTP pages of the server",
	  "The server speaks only gRPC: use `stagecoach status --json`" },
	{ "-to", LLAMA, "how long a client may take", "Use --request-ms N and --stall-ms N" },
	{ "--embedding --embeddings --rerank --reranking --pooling --task", BOTH,
	  "embeddings", "Stagecoach only generates text" },
	{ "-v --verbose -lv --verbosity --log-verbosity --log-disable --log-file --log-colors "
	  "--log-prefix --log-timestamps --uvicorn-log-level --disable-log-stats", BOTH,
	  "what is logged", USE_LOG_LEVEL },
	{ "--disable-log-requests --disable-uvicorn-access-log", VLLM, "lines of requests",
	  "Leave it out: requests are logged only with --access-log" },
};
const unsigned n_foreign_flags = sizeof foreign_flags / sizeof foreign_flags[0];

static bool is_same_name(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (a[i] != b[i] && !(a[i] == '-' && b[i] == '_'))
			return false;
	return true;
}

const struct foreign_flag *foreign_flag_find(const char *name, size_t n)
{
	for (unsigned i = 0; i < n_foreign_flags; i++) {
		const char *known = foreign_flags[i].names;

		while (*known) {
			size_t n_known = strcspn(known, " ");

			if (n == n_known && is_same_name(known, name, n))
				return &foreign_flags[i];
			known += n_known + (known[n_known] == ' ');
		}
	}
	return NULL;
}
