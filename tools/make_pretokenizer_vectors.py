#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make the pre-tokenizer vectors: texts and the words that the models' own patterns cut them in.

    make_pretokenizer_vectors.py OUT_DIR [--count N] [--seed N]    (tests/data/pretokenizers)

The patterns below are those of the models' tokenizer.json files, run by the tokenizers package
(Oniguruma): an implementation that shares nothing with ours. Where a model has none, they follow
llama.cpp. The texts are made to be nasty: every category of character, contractions in either
case, runs of every white space, digits, punctuation, scripts without spaces, emoji, controls.

NAME.txt, one text per line, its words with | between them. Printable ASCII stands for itself,
but for backslash and |; everything else is \\xNN, byte by byte. Lines with # are comments; the
first one names every pre-tokenizer that the file holds for.

Only characters that Python's unicodedata knows are used, so that no newer version of Unicode can
change a word: Python 3.11 has Unicode 14. The same seed gives the same texts everywhere.

    make_pretokenizer_vectors.py /tmp/vectors --count 5000 --seed 7
    PRETOKENIZER_VECTORS=/tmp/vectors tests/model/test_pretokenizer

compares many more. Development only: needs tokenizers (PyPI).
"""
import argparse
import os
import random
import sys
import unicodedata

from tokenizers import Regex
from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence, Split

CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
WORD = r"[^\r\n\p{L}\p{N}]?\p{L}+"
TAIL = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
SYMBOLS = r"| ?[^\s\p{L}\p{N}]+[\r\n]*"
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
QWEN2 = CONTRACTION + "|" + WORD + r"|\p{N}" + SYMBOLS + TAIL
UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
LEAD = r"[^\r\n\p{L}\p{N}]?"
CASED = LEAD + UPPER + "*" + LOWER + "+%s|" + LEAD + UPPER + "+" + LOWER + "*%s"
UPPER_KIMI = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"
LOWER_KIMI = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"
KIMI = (r"[\p{Han}]+|" + LEAD + UPPER_KIMI + "*" + LOWER_KIMI + "+" + CONTRACTION + "?|" + LEAD +
        UPPER_KIMI + "+" + LOWER_KIMI + "*" + CONTRACTION + r"?|\p{N}{1,3}" + SYMBOLS + TAIL)
CJK = "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"
DEEPSEEK_CJK = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
PUNCTUATED = r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|"""
DEEPSEEK_V3 = (PUNCTUATED + r"[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*" + TAIL)
DEEPSEEK_LLM_WORD = (
    "\\s?[A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293"
    "\u0295-\u02af\u0370-\u0373\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c"
    "\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556\u10a0-\u10c5"
    "\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77"
    "\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59"
    "\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc"
    "\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107"
    "\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139"
    "\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee"
    "\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e"
    "\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a"
    "\U00010400-\U0001044f\U000104b0-\U000104d3\U000104d8-\U000104fb\U00010c80-\U00010cb2"
    "\U00010cc0-\U00010cf2\U000118a0-\U000118df\U0001e900-\U0001e943]+")
BLOOM = r" ?[^(\s|.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c)]+".encode().decode(
    "raw_unicode_escape")
JAIS2_SPACES = "".join(r"|\s{%d}(?!\S)" % n for n in (512, 256, 128, 64, 32, 16, 8, 4))


def split(*patterns):
    return Sequence([Split(Regex(p), "isolated") for p in patterns])


# File name: (pre-tokenizers that it holds for, reference).
REFERENCES = {
    "gpt-2": ("gpt-2 gpt2 phi-2 mpt olmo jais gigachat a.x-4.0 mellum exaone4 trillion "
              "granite-docling roberta-bpe modern-bert jina-v1-en jina-v2-code jina-v2-de "
              "jina-v2-es jina-de jina-es", ByteLevel(add_prefix_space=False, use_regex=True)),
    "starcoder": ("starcoder refact command-r smollm codeshell exaone minerva-7b mellum2",
                  Sequence([Digits(individual_digits=True), split(GPT2)])),
    "default": ("default", split(r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]")),
    # Its own Punctuation step stands still at Unicode 8; the regular expression is llama.cpp's.
    "falcon": ("falcon", split(r"[\p{P}\$\+<=>\^~\|`]+", GPT2, "[0-9][0-9][0-9]")),
    "llama-bpe": ("llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 dbrx jina-v5-nano "
                  "smaug-bpe glm4 glm5 chatglm-bpe",
                  split(CONTRACTION + "|" + WORD + r"|\p{N}{1,3}" + SYMBOLS + TAIL)),
    "minicpm5": ("minicpm5", split(r"\p{N}{1,3}",
                                   CONTRACTION + "|" + WORD + r"|\p{N}+" + SYMBOLS + TAIL)),
    "jais-2": ("jais-2", split(CONTRACTION + "|" + WORD + r"|\p{N}{1,3}" + SYMBOLS +
                               r"|\s*[\r\n]+" + JAIS2_SPACES + r"|\s{1,2}(?!\S)|\s{1}")),
    "qwen2": ("qwen2 deepseek-r1-qwen stablelm2 hunyuan megrez grok-2 kormo solar-open "
              "f2llmv2",
              split(QWEN2)),
    "qwen35": ("qwen35", split(CONTRACTION + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}"
                               r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*" + TAIL)),
    "ufakzeka": ("ufakzeka", split(WORD + r"|\p{N}" + SYMBOLS + TAIL)),
    "laguna": ("laguna", split(r"[^\n]+|[\n]+", QWEN2)),
    "seed-coder": ("seed-coder", split(CONTRACTION + "|" + WORD +
                                       r"|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+" + TAIL)),
    "bailingmoe": ("bailingmoe bailingmoe2 llada-moe",
                   split(r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}"
                         r"| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+")),
    "exaone-moe": ("exaone-moe",
                   split(CONTRACTION + r"|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+"
                         r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+")),
    "deepseek-llm": ("deepseek-llm", Sequence([
        split(r"[\r\n]", DEEPSEEK_LLM_WORD,
              "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+", r"\s+$",
              DEEPSEEK_CJK), Digits(individual_digits=True)])),
    "deepseek-coder": ("deepseek-coder", Sequence([
        split(r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", DEEPSEEK_CJK),
        Digits(individual_digits=True)])),
    "deepseek-v3": ("deepseek-v3 hunyuan-dense joyai-llm hy_v4",
                    split(r"\p{N}{1,3}", CJK, DEEPSEEK_V3)),
    "spark2_5": ("spark2_5", split(r"\p{N}{1,3}", CJK, PUNCTUATED +
                                   r"[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+"
                                   r"|[\r\n]|\s+(?!\S)|\s+", r"\p{N}")),
    "youtu": ("youtu", split("[\uac00-\ud7a3\u3131-\u318e]+"
                             "|[\uff01\u2026\u201c\u201d\u2018\u2019\u2014\uff1a\uff1b\uff0c"
                             "\u3001-\u303f\ufe30-\ufe4f]+|[\u3105-\u312f]+|" + CJK,
                             CASED % ((CONTRACTION + "?",) * 2) +
                             r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*" + TAIL)),
    "gpt-4o": ("gpt-4o llama4 kanana2 minimax-m2 talkie",
               split(CASED % ((CONTRACTION + "?",) * 2) +
                     r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*" + TAIL)),
    "tiny_aya": ("tiny_aya cohere2moe",
                 split(r"\d{1,3}(?=(?:\d{3})*\b)", CASED % ((CONTRACTION + "?",) * 2) +
                       r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*" + TAIL)),
    "tekken": ("tekken", split(CASED % ("", "") + r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*" + TAIL)),
    "kimi-k2": ("kimi-k2", split(KIMI)),
    "bloom": ("bloom poro-chat gpt3-finnish", split(BLOOM)),
    "viking": ("viking", split(BLOOM, r"\p{N}")),
    "chameleon": ("chameleon", split(r"<sentinel:[0-9]+>", r"(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z",
                                     r"([\t\n]|    |  )", r"\p{N}", r"[\p{P}!-/:-@\[-`{-~]",
                                     GPT2)),
}

SAMPLES = [
    "Hello", "world", "HELLO", "fooBarBaz", "XMLHttpRequest", "naïve", "straße", "ΑΒΓαβγ", "Привет",
    "мир", "ПрИвЕт", "ǅ", "ǈabc", "ʰa", "ﬁ", "ſ", "K", "İ", "ı", "שָׁלוֹם", "مرحبا", "हिन्दी", "বাংলা",
    "ไทยคำ", "កានតែ", "நன்றி", "한국어", "ㅋㅋ", "ひらがな", "カタカナー", "漢字仮名", "々〻", "〇", "⺀⻳", "㐀䶵",
    "𠀀𪛖", "中文，标点。", "「引用」", "ㄅㄆㄇ", "𝔘𝔫𝔦", "e\u0301", "a\u0308\u0323", "\u0301", "\u302a",
    "'s", "'S", "'t", "'re", "'RE", "'Ve", "'m", "'LL", "'d", "'D", "’s", "''", "'ſ", "'x", "n't",
    "0", "1", "12", "123", "1234", "1234567890", "3.14", "1,000", "½", "²³", "Ⅻ", "٣٤", "१२३", "１２",
    "①", "㊿", "𝟘𝟙", "〡",
    " ", "  ", "   ", "    ", "        ", "\t", "\t\t", "\n", "\n\n", "\r\n", "\r", " \n", "\n ",
    "\x0b", "\x0c", "\x1c", "\x1f", "\x85", "\xa0", "\u1680", "\u180e", "\u2003", "\u200a", "\u2028",
    "\u2029", "\u202f", "\u205f", "\u3000", "\u200b", "\u200d", "\ufeff", "\u2060", "\xad",
    "!", "?!", "...", "…", "--", "—", "/", "//", "\\", "@#$%", "^&*", "()", "[]{}", "<|", "|>", "_",
    "__init__", "+=", "<=>", "`code`", "~", "$5", "€", "£9", "¬", "×", "÷", "•", "™", "°C", "§",
    "🚀", "😶‍🌫️", "👍🏽", "🇩🇪", "✅", "♥️", "☃", "\x00", "\x01", "\x7f", "\x80", "\ue000", "\ufffd",
    "\U000e0001", "https://example.org/a?b=c&d=1", "foo_bar-baz", "a b c d", "I'm you'll HE'S",
    "<sentinel:12>", "IMGIMGABZ", "IMGIMGABCDEZ", "।", "۔", "،",
]


def random_character(rng):
    while True:
        code = rng.choice((rng.randrange(0x80), rng.randrange(0x800), rng.randrange(0x10000),
                           rng.randrange(0x20000), rng.randrange(0x110000)))
        if unicodedata.category(chr(code)) not in ("Cs", "Cn"):
            return chr(code)


def make_text(rng):
    parts = []
    for _ in range(rng.randint(1, 12)):
        kind = rng.random()
        if kind < 0.75:
            parts.append(rng.choice(SAMPLES))
        elif kind < 0.9:
            parts.append(random_character(rng))
        else:
            parts.append(rng.choice((" ", "\n", "a", "A", "1", ".", "'", "中", "\t")) *
                         rng.randint(2, 20))
    return "".join(parts)


def words(reference, text):
    """The pieces of text itself: offsets, since some pre-tokenizers rewrite what they return."""
    spans = [span for _, span in reference.pre_tokenize_str(text)]
    assert [a for a, _ in spans] == [0] + [b for _, b in spans[:-1]] and spans[-1][1] == len(text)
    return [text[a:b] for a, b in spans]


def escape(word):
    return "".join(chr(byte) if 0x20 <= byte < 0x7F and byte not in b"\\|#" else "\\x%02x" % byte
                   for byte in word.encode())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("out_dir")
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    os.makedirs(arguments.out_dir, exist_ok=True)
    for name, (names, reference) in REFERENCES.items():
        rng = random.Random(arguments.seed)
        texts = [text for text in SAMPLES if len(text) > 3]
        texts += [make_text(rng) for _ in range(arguments.count)]
        with open(os.path.join(arguments.out_dir, name + ".txt"), "w", encoding="ascii") as file:
            file.write("# " + names + "\n")
            file.write("# Made by tools/make_pretokenizer_vectors.py.\n")
            for text in texts:
                file.write("|".join(escape(word) for word in words(reference, text)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
