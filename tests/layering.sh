#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every #include "dir/file.h" under src/ names its layer: check it against what each layer may use.
# The same table stands in ARCHITECTURE.md.
cd "${SRCDIR:-$(dirname "$0")/..}" || exit 99

find src -name '*.[ch]' -o -name '*.cu' | sort | xargs awk '
function allow(layer, list,    i, n, parts) {
	n = split(list " " layer, parts, " ")
	for (i = 1; i <= n; i++)
		may[layer, parts[i]] = 1
	known[layer] = 1
}
BEGIN {
	allow("base", "")
	allow("config", "base")
	allow("event", "base")
	allow("wire", "base stagecoach")
	allow("net", "base")
	allow("transport", "base event net wire")
	allow("model", "base")
	allow("measure", "base model")
	allow("backend", "base model")
	allow("quant", "base model")
	allow("hf", "base model")
	allow("stage", "base model backend wire")
	allow("worker", "base model backend stage transport wire event config")
	allow("coordinator", "base model transport wire event config stagecoach")
	allow("engine", "base config event wire transport model hf backend quant stage worker " \
	      "coordinator")
	allow("http", "base config")
	allow("jinja", "base")
	allow("chat", "base jinja model")
	allow("openai", "base config event http chat engine model")
	allow("gateway", "base engine event net config model http chat openai stagecoach grpc")
	allow("cli", "base config event net wire transport model hf measure backend quant stage " \
	      "worker coordinator engine http jinja chat openai gateway stagecoach")
}
/^[ \t]*#[ \t]*include[ \t]*"/ {
	split(FILENAME, path, "/")
	layer = path[2]
	split($0, quoted, "\"")
	n_parts = split(quoted[2], target, "/")
	n_includes++
	if (!(layer in known))
		bad = bad FILENAME ":" FNR ": unknown layer " layer "\n"
	else if (n_parts < 2)
		bad = bad FILENAME ":" FNR ": \"" quoted[2] "\" is not rooted at src/\n"
	else if (!((layer, target[1]) in may))
		bad = bad FILENAME ":" FNR ": " layer " may not use " target[1] "\n"
	# The boundary of the engine is one header. Programs that are a stage of another engine or ask
	# whether a model would fit know a little more.
	else if ((layer == "gateway" || layer == "openai") && target[1] == "engine" &&
		 quoted[2] != "engine/engine.h")
		bad = bad FILENAME ":" FNR ": " layer " may use only engine/engine.h of engine\n"
	else if (layer == "cli" && target[1] == "engine" &&
		 quoted[2] !~ /^engine\/(engine|wiring)\.h$/)
		bad = bad FILENAME ":" FNR ": cli may not use " quoted[2] "\n"
	else if (layer == "cli" && target[1] == "coordinator" &&
		 quoted[2] !~ /^coordinator\/(allowance|fit|pool)\.h$/)
		bad = bad FILENAME ":" FNR ": cli uses the coordinator through engine/engine.h\n"
	# The stage reads step records; frames and control messages are not its business.
	else if (layer == "stage" && target[1] == "wire" && quoted[2] != "wire/step.h")
		bad = bad FILENAME ":" FNR ": stage may use only wire/step.h of wire\n"
}
END {
	printf "%s", bad
	printf "layering: %d includes checked, %s\n", n_includes,
	       bad == "" ? "all downward" : "violations above"
	exit bad != "" || n_includes == 0
}'
