/* SPDX-License-Identifier: Apache-2.0 */
/* The names that other files give to pre-tokenizers (model/pretokenizer_table.c), found by what a
 * tokenizer.json says they do. A name is not invented: what is not here has none. */
#include "hf/tokenizer_parts.h"

#include <string.h>

#define S "\x1F"	/* between the strings of the steps */
#define REGEX(pattern) "split.regex" S pattern S "isolated" S "0" S
#define BYTES "split.byte_level" S "0" S "0" S
#define GPT2_BYTES "split.byte_level" S "0" S "1" S
#define DIGITS(individual) "split.digits" S individual S

#define CONTRACTION "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define WORD "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define SYMBOLS " ?[^\\s\\p{L}\\p{N}]+"
#define TAIL "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+|" SYMBOLS "|\\s+(?!\\S)|\\s+"
#define LLAMA3 CONTRACTION "|" WORD "|\\p{N}{1,3}|" SYMBOLS "[\\r\\n]*" TAIL
#define QWEN2 CONTRACTION "|" WORD "|\\p{N}|" SYMBOLS "[\\r\\n]*" TAIL
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED(tail) "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" tail \
	"|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER "*" tail
#define O200K CASED(CONTRACTION "?") "|\\p{N}{1,3}|" SYMBOLS "[\\r\\n/]*" TAIL
#define HAN(set) "[" set "&&[^\\p{Han}]]"
#define UPPER_KIMI HAN("\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}")
#define LOWER_KIMI HAN("\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}")
#define CJK "[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+"
#define DEEPSEEK_CJK "[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+"
#define PUNCTUATED "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|"
#define BLOOM " ?[^(\\s|.,!?\u2026\u3002\uFF0C\u3001\u0964\u06D4\u060C)]+"
#define BLOOM_NESTED " ?[^(\\s|[.,!?\u2026\u3002\uFF0C\u3001\u0964\u06D4\u060C])]+"

/* Equal lists may have several names in llama.cpp; the one here is the best known. */
static const struct {
	const char *name, *steps;
} rows[] = {
	{ "gpt-2", GPT2_BYTES },
	{ "gpt-2", REGEX(GPT2) BYTES },
	{ "starcoder", DIGITS("1") GPT2_BYTES },
	{ "starcoder", DIGITS("1") REGEX(GPT2) BYTES },
	{ "falcon", "split.punctuation" S "contiguous" S GPT2_BYTES DIGITS("0")
		    REGEX("[0-9][0-9][0-9]") },
	{ "qwen2", REGEX(QWEN2) BYTES },
	{ "qwen35", REGEX(CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}"
			  "| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*" TAIL) BYTES },
	{ "minicpm5", REGEX("\\p{N}{1,3}") REGEX(CONTRACTION "|" WORD "|\\p{N}+|" SYMBOLS
						 "[\\r\\n]*" TAIL) BYTES },
	{ "seed-coder", REGEX(CONTRACTION "|" WORD "|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+" TAIL)
			BYTES },
	{ "bailingmoe", REGEX("'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}"
			      "| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+")
			BYTES },
	{ "exaone-moe", REGEX(CONTRACTION
			      "|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+"
			      "|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]"
			      "|\\s+(?!\\S)|\\s+") BYTES },
	{ "deepseek-coder", REGEX("[\\r\\n]") REGEX("\\s?\\p{L}+") REGEX("\\s?\\p{P}+")
			    REGEX(DEEPSEEK_CJK) DIGITS("1") BYTES },
	{ "deepseek-v3", REGEX("\\p{N}{1,3}") REGEX(CJK)
			 REGEX(PUNCTUATED "[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
			       "| ?[\\p{P}\\p{S}]+[\\r\\n]*" TAIL) BYTES },
	{ "gpt-4o", REGEX(O200K) BYTES },
	{ "tiny_aya", REGEX("\\d{1,3}(?=(?:\\d{3})*\\b)") REGEX(O200K) BYTES },
	{ "tekken", REGEX(CASED("") "|\\p{N}|" SYMBOLS "[\\r\\n/]*" TAIL) BYTES },
	{ "kimi-k2", REGEX("[\\p{Han}]+|[^\\r\\n\\p{L}\\p{N}]?" UPPER_KIMI "*" LOWER_KIMI "+"
			   CONTRACTION "?|[^\\r\\n\\p{L}\\p{N}]?" UPPER_KIMI "+" LOWER_KIMI "*"
			   CONTRACTION "?|\\p{N}{1,3}|" SYMBOLS "[\\r\\n]*" TAIL) BYTES },
	{ "bloom", REGEX(BLOOM) BYTES },
	{ "bloom", REGEX(BLOOM_NESTED) BYTES },
};

/* Whether the strings from number `at` on are the list, and nothing else. */
static bool is_list(const struct hf_steps *steps, const char *list)
{
	for (size_t i = steps->split_begin; i < steps->split_end; i++) {
		const struct gguf_string string = string_list_get(&steps->strings, i);

		if (strncmp(list, string.data, string.length) != 0 ||
		    list[string.length] != S[0])
			return false;
		list += string.length + 1;
	}
	return !*list;
}

/* The same patterns; llama.cpp tells them apart by whether merges count and a BOS is added. */
static const char *name_llama3(const struct hf_steps *steps)
{
	return !steps->ignores_merges ? "dbrx" : steps->n_before ? "llama-bpe" : "glm4";
}

const char *hf_pre_name(const struct hf_steps *steps)
{
	if (!steps->is_byte_level)
		return "default";
	if (is_list(steps, REGEX(LLAMA3) BYTES))
		return name_llama3(steps);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (is_list(steps, rows[i].steps))
			return rows[i].name;
	return NULL;
}
