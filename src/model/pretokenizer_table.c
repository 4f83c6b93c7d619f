/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names that files use in tokenizer.ggml.pre, and the patterns behind them.
 * Names are llama.cpp's; the patterns are those of the models' own tokenizer.json where it has
 * any, since that is what they were trained with. They differ from the originals in this:
 * - \s and \S are written out (Unicode's White_Space): PCRE2's \s also takes U+180E;
 * - what the original does in a separate step (punctuation, digits) is one more pattern;
 * - \p{Han} is \p{sc:Han}: alone, PCRE2 takes it as the script's extensions too;
 * - class intersection (&&), which PCRE2 does not have, is written as one negated class: the
 *   general categories leave nothing else over;
 * - quantifiers that could only ever give back in vain are possessive, so that no text takes
 *   quadratic time.
 */
#include "model/pretokenizer.h"

#define WS "\\p{Z}\\t-\\r\\x{85}"
#define SPACE "[" WS "]"
#define NOT_SPACE "[^" WS "]"

/* White space: a run keeps its last character for the word behind it. */
#define SPACES SPACE "+(?!" NOT_SPACE ")|" SPACE "+"
#define LINES SPACE "*[\\r\\n]+"

/* LINES for patterns that cut a run of spaces into many matches: without the look behind, each of
 * them would look through the rest of the run for a line's end. A match that ends in a space came
 * from an alternative behind this one, so the rest of the run has no line's end. */
#define NEW_LINES "(?<![\\p{Z}\\t\\x0B\\x0C\\x{85}])" LINES

#define CONTRACTION "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define WORD "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define SYMBOLS " ?[^" WS "\\p{L}\\p{N}]+"

#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+|" SYMBOLS "|" SPACES
#define LLAMA3 CONTRACTION "|" WORD "|\\p{N}{1,3}|" SYMBOLS "[\\r\\n]*|" LINES "|" SPACES
#define QWEN2 CONTRACTION "|" WORD "|\\p{N}|" SYMBOLS "[\\r\\n]*|" LINES "|" SPACES

/* Words that change case inside are cut before the capital: fooBar is foo and Bar. */
#define UPPER "\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}"
#define LOWER "\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}"
#define CASED(upper, lower, tail) \
	"[^\\r\\n\\p{L}\\p{N}]?" upper "*" lower "+" tail \
	"|[^\\r\\n\\p{L}\\p{N}]?" upper "+" lower "*" tail
#define O200K CASED("[" UPPER "]", "[" LOWER "]", CONTRACTION "?") \
	"|\\p{N}{1,3}|" SYMBOLS "[\\r\\n/]*|" LINES "|" SPACES

#define CJK "[\\x{4E00}-\\x{9FA5}\\x{3040}-\\x{309F}\\x{30A0}-\\x{30FF}]+"
#define DEEPSEEK_CJK "[\\x{4E00}-\\x{9FA5}\\x{800}-\\x{4E00}\\x{AC00}-\\x{D7FF}]+"
#define ASCII_PUNCTUATION "[!-/:-@\\[-`{-~]"
#define DEEPSEEK_WORD ASCII_PUNCTUATION "[A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
#define DEEPSEEK_V3 DEEPSEEK_WORD "| ?[\\p{P}\\p{S}]+[\\r\\n]*|" LINES "|" SPACES

/* Letters of scripts with case, as Unicode 12 had them. */
#define DEEPSEEK_LETTERS \
	"A-Za-z\u00B5\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u01BA\u01BC-\u01BF\u01C4-\u0293" \
	"\u0295-\u02AF\u0370-\u0373\u0376\u0377\u037B-\u037D\u037F\u0386\u0388-\u038A\u038C" \
	"\u038E-\u03A1\u03A3-\u03F5\u03F7-\u0481\u048A-\u052F\u0531-\u0556\u10A0-\u10C5" \
	"\u13A0-\u13F5\u13F8-\u13FD\u1C90-\u1CBA\u1CBD-\u1CBF\u1D00-\u1D2B\u1D6B-\u1D77" \
	"\u1D79-\u1D9A\u1E00-\u1F15\u1F18-\u1F1D\u1F20-\u1F45\u1F48-\u1F4D\u1F50-\u1F57\u1F59" \
	"\u1F5B\u1F5D\u1F5F-\u1F7D\u1F80-\u1FB4\u1FB6-\u1FBC\u1FBE\u1FC2-\u1FC4\u1FC6-\u1FCC" \
	"\u1FD0-\u1FD3\u1FD6-\u1FDB\u1FE0-\u1FEC\u1FF2-\u1FF4\u1FF6-\u1FFC\u2102\u2107" \
	"\u210A-\u2113\u2115\u2119-\u211D\u2124\u2126\u2128\u212A-\u212D\u212F-\u2134\u2139" \
	"\u213C-\u213F\u2145-\u2149\u214E\u2183\u2184\u2C00-\u2C7B\u2C7E-\u2CE4\u2CEB-\u2CEE" \
	"\u2CF2\u2CF3\uA640-\uA66D\uA680-\uA69B\uA722-\uA76F\uA771-\uA787\uA78B-\uA78E" \
	"\uAB70-\uABBF\uFB00-\uFB06\uFB13-\uFB17\uFF21-\uFF3A\uFF41-\uFF5A\U00010400-\U0001044F" \
	"\U000104B0-\U000104D3\U000104D8-\U000104FB\U00010C80-\U00010CB2\U00010CC0-\U00010CF2" \
	"\U000118A0-\U000118DF\U0001E900-\U0001E943"

/* Behind a digit: what Oniguruma's \b is there. It takes Latin-1's fractions and powers for
 * letters. */
#define WORD_END \
	"(?![\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}])"

#define PATTERNS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* Sentences end a word; white space but the space is left over. */
#define BLOOM " ?[^(" WS "|.,!?\u2026\u3002\uFF0C\u3001\u0964\u06D4\u060C)]+"

const struct pretokenizer_row pretokenizer_rows[] = {
	{ "default", 0, PATTERNS("[\\p{P}$+<=>^~|]+", GPT2, "\\p{N}+", "[0-9]{3}") },
	{ "falcon", 0, PATTERNS("[\\p{P}$+<=>^~|`]+", GPT2, "[0-9]{3}") },
	{ "gpt-2 gpt2 phi-2 mpt olmo jais gigachat a.x-4.0 mellum exaone4 trillion granite-docling "
	  "roberta-bpe modern-bert jina-v1-en jina-v2-code jina-v2-de jina-v2-es jina-de jina-es",
	  0, PATTERNS(GPT2) },
	/* Every digit is a word of its own. */
	{ "starcoder refact command-r smollm codeshell exaone minerva-7b mellum2", 0,
	  PATTERNS("\\p{N}", GPT2) },

	{ "llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano",
	  PRE_ADDS_BOS | PRE_IGNORES_MERGES, PATTERNS(LLAMA3) },
	{ "glm4 glm5", PRE_IGNORES_MERGES, PATTERNS(LLAMA3) },
	{ "dbrx smaug-bpe chatglm-bpe", 0, PATTERNS(LLAMA3) },
	{ "minicpm5", PRE_IGNORES_MERGES,
	  PATTERNS("\\p{N}{1,3}", CONTRACTION "|" WORD "|\\p{N}+|" SYMBOLS "[\\r\\n]*|" LINES "|"
		   SPACES) },
	{ "jais-2", 0,
	  PATTERNS(CONTRACTION "|" WORD "|\\p{N}{1,3}|" SYMBOLS "[\\r\\n]*|" NEW_LINES "|"
		   "(?:" SPACE "{512}|" SPACE "{256}|" SPACE "{128}|" SPACE "{64}|" SPACE "{32}|"
		   SPACE "{16}|" SPACE "{8}|" SPACE "{4}|" SPACE "{1,2})(?!" NOT_SPACE ")|"
		   SPACE) },

	{ "qwen2 deepseek-r1-qwen stablelm2 hunyuan megrez grok-2 kormo solar-open f2llmv2", 0,
	  PATTERNS(QWEN2) },
	{ "qwen35", 0,
	  PATTERNS(CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^" WS
		   "\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" LINES "|" SPACES) },
	{ "ufakzeka", 0, PATTERNS(WORD "|\\p{N}|" SYMBOLS "[\\r\\n]*|" LINES "|" SPACES) },
	{ "laguna", 0, PATTERNS("[^\\n]+|\\n+", QWEN2) },
	{ "seed-coder", 0,
	  PATTERNS(CONTRACTION "|" WORD "|\\p{N}| ?[^" WS "\\p{L}\\p{N}]+|" LINES "|" SPACES) },
	{ "bailingmoe bailingmoe2 llada-moe", 0,
	  PATTERNS("'(?i:[sdmt]|ll|ve|re)|" WORD "|\\p{N}|" SYMBOLS "[\\r\\n]*|" SPACE
		   "*[\\r\\n]|" SPACES) },
	{ "exaone-moe", 0,
	  PATTERNS(CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*+(?: \\p{L}\\p{M}*+)*+)++"
		   "|\\p{N}|" SYMBOLS "[\\r\\n/]?|" SPACE "*[\\r\\n]|" SPACES) },

	{ "deepseek-llm", 0,
	  PATTERNS("[\\r\\n]", SPACE "?[" DEEPSEEK_LETTERS "]+",
		   SPACE "?[!-/:-~\uFF01-\uFF0F\uFF1A-\uFF5E\u2018-\u201F\u3000-\u3002]+",
		   "(?<!" SPACE ")" SPACE "++\\z", DEEPSEEK_CJK, "\\p{N}") },
	{ "deepseek-coder", 0,
	  PATTERNS("[\\r\\n]", SPACE "?\\p{L}+", SPACE "?\\p{P}+", DEEPSEEK_CJK, "\\p{N}") },
	{ "deepseek-v3 hunyuan-dense joyai-llm hy_v4", 0,
	  PATTERNS("\\p{N}{1,3}", CJK, DEEPSEEK_V3) },
	{ "spark2_5", 0,
	  PATTERNS("\\p{N}{1,3}", CJK,
		   DEEPSEEK_WORD "| ?[\\p{P}\\p{S}]+|[\\r\\n]|" SPACES, "\\p{N}") },
	{ "youtu", PRE_IGNORES_MERGES,
	  PATTERNS("[\uAC00-\uD7A3\u3131-\u318E]+|"
		   "[\uFF01\u2026\u201C\u201D\u2018\u2019\u2014\uFF1A\uFF1B\uFF0C\u3001-\u303F"
		   "\uFE30-\uFE4F]+|[\u3105-\u312F]+|" CJK,
		   CASED("[" UPPER "]", "[" LOWER "]", CONTRACTION "?") "|\\p{N}|" SYMBOLS
		   "[\\r\\n/]*|" LINES "|" SPACES) },

	{ "gpt-4o llama4 kanana2 minimax-m2 talkie", 0, PATTERNS(O200K) },
	/* Digits are counted from the right: 1234567 is 1, 234 and 567. One look ahead finds where
	 * a number that ends a word must begin; from there on every three digits are a match. */
	{ "tiny_aya cohere2moe", 0,
	  PATTERNS("(?<!\\p{Nd})\\p{Nd}{1,3}(?=(?:\\p{Nd}{3})*+" WORD_END ")"
		   "|\\G(?<=\\p{Nd})\\p{Nd}{3}", O200K) },
	{ "tekken", PRE_ADDS_BOS | PRE_IGNORES_MERGES,
	  PATTERNS(CASED("[" UPPER "]", "[" LOWER "]", "") "|\\p{N}|" SYMBOLS "[\\r\\n/]*|" LINES
		   "|" SPACES) },
	{ "kimi-k2", 0,
	  PATTERNS("\\p{sc:Han}+|"
		   CASED("[^\\p{sc:Han}\\p{Ll}\\p{N}\\p{P}\\p{S}\\p{Z}\\p{C}]",
			 "[^\\p{sc:Han}\\p{Lu}\\p{Lt}\\p{N}\\p{P}\\p{S}\\p{Z}\\p{C}]",
			 CONTRACTION "?")
		   "|\\p{N}{1,3}|" SYMBOLS "[\\r\\n]*|" LINES "|" SPACES) },

	{ "bloom poro-chat gpt3-finnish", 0, PATTERNS(BLOOM) },
	{ "viking", 0, PATTERNS(BLOOM, "\\p{N}") },
	{ "chameleon", PRE_ADDS_BOS,
	  PATTERNS("<sentinel:[0-9]+>", "IMGIMG[A-I]{1,4}Z", "[\\t\\n]|    |  ", "\\p{N}",
		   "[\\p{P}!-/:-@\\[-`{-~]", GPT2) },
	{ NULL, 0, NULL },
};
