/* SPDX-License-Identifier: Apache-2.0 */
/* stagecoach quantize - a model into a smaller one. */
#include "cli/rewrite.h"
#include "cli/verbs.h"

static const char usage[] =
	"usage: stagecoach quantize [OPTION...] INPUT OUTPUT TYPE\n\n"
	"Write a model again with smaller tensors, as a GGUF file. INPUT is a GGUF file or a folder\n"
	"of Hugging Face. TYPE is F16, BF16, Q8_0, Q6_K, Q5_K_M, Q5_K_S, Q5_1, Q5_0, Q4_K_M,\n"
	"Q4_K_S, Q4_1, Q4_0, IQ4_NL, IQ4_XS, MXFP4, Q3_K_L, Q3_K_M, Q3_K_S or Q2_K.\n";

int cmd_quantize(int argc, char **argv)
{
	const struct rewrite rewrite = {
		.program = PROGRAM_QUANTIZE, .usage = usage, .verb = "quantizing",
	};

	return rewrite_main(&rewrite, argc, argv);
}
