/* SPDX-License-Identifier: Apache-2.0 */
/* stagecoach convert - a folder of Hugging Face into a GGUF file. */
#include "cli/rewrite.h"
#include "cli/verbs.h"

static const char usage[] =
	"usage: stagecoach convert [OPTION...] INPUT OUTPUT [TYPE]\n\n"
	"Write the model in a folder of Hugging Face (config.json, *.safetensors, tokenizer.json)\n"
	"as one GGUF file. INPUT is the folder, or a name in the cache (org/name). Without TYPE every\n"
	"matrix keeps its type; FP8 becomes BF16. TYPE is one of those of `stagecoach quantize`.\n"
	"The memory that this takes does not grow with the model.\n";

int cmd_convert(int argc, char **argv)
{
	const struct rewrite rewrite = {
		.program = PROGRAM_CONVERT, .usage = usage, .verb = "converting",
		.is_type_optional = true,
	};

	return rewrite_main(&rewrite, argc, argv);
}
