/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns of known tokenizer.json files for which the table has one of linear time. */
#include "model/pretokenizer.h"

#include <string.h>

#define CONTRACTION "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define LEAD "[^\\r\\n\\p{L}\\p{N}]?"
#define TAIL "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]"
#define KIMI_TAIL LEAD UPPER "*" LOWER "+" CONTRACTION "?|" LEAD UPPER "+" LOWER "*" CONTRACTION \
	"?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" TAIL

static const struct {
	const char *text;	/* Oniguruma's */
	const char *name;	/* a row of the table, */
	unsigned pattern;	/* and which of its patterns */
	bool needs_cut_lines;
} rows[] = {
	{ CONTRACTION "|" LEAD "(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}"
	  "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+", "exaone-moe", 0, false },
	{ "[\\p{Han}]+|" KIMI_TAIL, "kimi-k2", 0, false },
	{ "\\p{Han}+|" KIMI_TAIL, "kimi-k2", 0, false },
	{ "\\d{1,3}(?=(?:\\d{3})*\\b)", "tiny_aya", 0, false },
	{ CONTRACTION "|" LEAD "\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+"
	  "|\\s{512}(?!\\S)|\\s{256}(?!\\S)|\\s{128}(?!\\S)|\\s{64}(?!\\S)|\\s{32}(?!\\S)"
	  "|\\s{16}(?!\\S)|\\s{8}(?!\\S)|\\s{4}(?!\\S)|\\s{1,2}(?!\\S)|\\s{1}", "jais-2", 0,
	  false },
	{ "\\s+$", "deepseek-llm", 3, true },
};

const char *pretokenizer_fast_pattern(const char *text, size_t length, bool cuts_lines)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (strlen(rows[i].text) == length && !memcmp(rows[i].text, text, length) &&
		    (cuts_lines || !rows[i].needs_cut_lines))
			return pretokenizer_find(rows[i].name, strlen(rows[i].name))
				->patterns[rows[i].pattern];
	return NULL;
}
