#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make small tokenizers with the structure of known families, and vectors of their ids and texts.

    make_tokenizer_vectors.py OUT_DIR [--count N] [--seed N] [--vocab N] [--corpus FILE...]
                              [--kinds NAME...]                      (tests/data/tokenizers)

For each kind: OUT_DIR/NAME/tokenizer.json, trained here by the tokenizers package with the
normalizers, pre-tokenizers, decoders and added tokens of its family, and OUT_DIR/NAME/vectors.txt.
A line of vectors has four columns between tabs: 1 if special tokens in the text count (0: they are
text), the text, its ids, and what the ids decode to without special tokens. Texts are written as
in make_pretokenizer_vectors.py. A line "# before: IDS" has what the template puts in front.

    make_tokenizer_vectors.py /tmp/vectors --count 100000 --vocab 8000 --corpus BOOK.txt
    TOKENIZER_VECTORS=/tmp/vectors tests/hf/test_hf_tokenizer

compares many more. Random characters are of Unicode 3.2, because the package's normalizers
and its Punctuation stand still at versions that differ. Development only: needs tokenizers (PyPI).
"""
import argparse
import json
import os
import random
import sys
import unicodedata

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers
from tokenizers import pre_tokenizers as pre
from tokenizers import processors, trainers

import make_pretokenizer_vectors as pretokenizers

PRE = {name: row[1] for name, row in pretokenizers.REFERENCES.items()}
QWEN2 = pretokenizers.QWEN2
LLAMA3 = (pretokenizers.CONTRACTION + "|" + pretokenizers.WORD + r"|\p{N}{1,3}" +
          pretokenizers.SYMBOLS + pretokenizers.TAIL)
SPACES = ["  ", "    ", "   ", "\t\t", "        "]


def byte_level(*steps, prefix=False, regex=False):
    return pre.Sequence(list(steps) + [pre.ByteLevel(add_prefix_space=prefix, use_regex=regex)])


def splits(*patterns, behavior="isolated", invert=False):
    return [pre.Split(Regex(p), behavior, invert) for p in patterns]


class Kind:
    """One tokenizer: everything that tokenizer.json says, but for the vocabulary."""

    def __init__(self, pre_tokenizer=None, normalizer=None, decoder=None, special=("<s>", "</s>"),
                 added=(), bos=None, is_bytes=True, model=None, late=()):
        self.pre_tokenizer, self.normalizer = pre_tokenizer, normalizer
        self.decoder = decoder or decoders.ByteLevel()
        self.special, self.added, self.bos, self.late = special, added, bos, late
        self.is_bytes, self.model = is_bytes, dict(model or {})

    def trainer(self, vocab_size):
        """Byte tokens come first, as in SentencePiece's vocabularies."""
        special = list(self.special)
        if self.model.get("byte_fallback"):
            special += ["<0x%02X>" % byte for byte in range(256)]
        alphabet = pre.ByteLevel.alphabet() if self.is_bytes else []
        return trainers.BpeTrainer(vocab_size=vocab_size + len(special) + len(alphabet),
                                   special_tokens=special, initial_alphabet=alphabet,
                                   limit_alphabet=256 if self.is_bytes else 220,
                                   show_progress=False)

    def make(self, corpus, vocab_size):
        tokenizer = Tokenizer(models.BPE(**self.model))
        if self.normalizer:
            tokenizer.normalizer = self.normalizer
        if self.pre_tokenizer:
            tokenizer.pre_tokenizer = self.pre_tokenizer
        tokenizer.decoder = self.decoder
        tokenizer.train_from_iterator(corpus, self.trainer(vocab_size))
        document = json.loads(tokenizer.to_str())
        # Byte tokens are in the vocabulary and are no added tokens.
        document["added_tokens"] = [token for token in document["added_tokens"]
                                    if not token["content"].startswith("<0x")]
        for name, value in self.late:
            document["model"][name] = value
        tokenizer = Tokenizer.from_str(json.dumps(document))
        tokenizer.add_tokens([token if isinstance(token, AddedToken)
                              else AddedToken(token, normalized=False) for token in self.added])
        if self.bos:
            tokenizer.post_processor = processors.TemplateProcessing(
                single=self.bos + " $A", pair=self.bos + " $A " + self.bos + " $B",
                special_tokens=[(self.bos, tokenizer.token_to_id(self.bos))])
        return tokenizer


SPM_DECODER = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(),
                                 decoders.Fuse(), decoders.Strip(" ", 1, 0)])
GEMMA_DECODER = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(),
                                   decoders.Fuse()])
SPM_MODEL = {"unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True}
SPM_SPECIAL = ("<unk>", "<s>", "</s>")
CHAT = [AddedToken("<|im_start|>", special=True, normalized=False),
        AddedToken("<|im_end|>", special=True, normalized=False)]


def strip(content, **flags):
    return AddedToken(content, **{"normalized": False, **flags})


def spm(normalizer, pre_tokenizer=None, decoder=SPM_DECODER, added=(), late=()):
    return Kind(pre_tokenizer, normalizer, decoder, SPM_SPECIAL, added, "<s>", False, SPM_MODEL,
                late)


LLAMA2_NORMALIZER = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])


def make_kinds():
    """A function, because a step that is used twice must be made twice."""
    kinds = {
        "gpt-2": Kind(pre.ByteLevel(add_prefix_space=False), special=("<|endoftext|>",)),
        "phi-2": Kind(pre.ByteLevel(add_prefix_space=False), special=("<|endoftext|>",),
                      added=[strip(text, normalized=True) for text in SPACES]),
        "gpt-neox": Kind(pre.ByteLevel(add_prefix_space=False), normalizers.NFC(),
                         special=("<|endoftext|>", "<|padding|>"),
                         added=[strip(text, normalized=True) for text in SPACES]),
        "roberta": Kind(pre.ByteLevel(add_prefix_space=True), special=("<s>", "</s>"),
                        added=[strip("<mask>", lstrip=True, special=True)]),
        "starcoder": Kind(byte_level(pre.Digits(individual_digits=True), regex=True),
                          special=("<|endoftext|>", "<fim_prefix>")),
        "command-r": Kind(byte_level(pre.Digits(individual_digits=True), regex=True),
                          normalizers.NFC(), special=("<PAD>", "<UNK>", "<BOS_TOKEN>"),
                          added=["<|START_OF_TURN_TOKEN|>"], bos="<BOS_TOKEN>"),
        "falcon": Kind(pre.Sequence([pre.Punctuation("contiguous"),
                                     pre.ByteLevel(add_prefix_space=False, use_regex=True),
                                     pre.Digits(individual_digits=False),
                                     pre.Split(Regex("[0-9][0-9][0-9]"), "isolated")]),
                       special=(">>TITLE<<", "<|endoftext|>")),
        "llama-3": Kind(byte_level(*splits(LLAMA3)), special=(), added=CHAT + [
            AddedToken("<|begin_of_text|>", special=True, normalized=False)],
            bos="<|begin_of_text|>", late=[("ignore_merges", True)]),
        "qwen2": Kind(byte_level(*splits(QWEN2)), normalizers.NFC(), special=(), added=CHAT +
                      ["<tool_call>", "</tool_call>"]),
        "llama-2": spm(LLAMA2_NORMALIZER),
        "llama-2-metaspace": spm(None, pre.Metaspace(prepend_scheme="first", split=False)),
        "mistral-metaspace": spm(None, pre.Metaspace(prepend_scheme="always", split=True)),
        "phi-3": spm(LLAMA2_NORMALIZER, added=[strip("<|user|>", rstrip=True, special=True),
                                               strip("<|end|>", rstrip=True, special=True)]),
        "gemma": spm(normalizers.Replace(" ", "▁"), pre.Split(" ", "merged_with_previous"),
                     GEMMA_DECODER, ["<start_of_turn>", "▁▁", "▁▁▁▁", "\n\n", "\n", "\t"]),
        "added-tokens": Kind(byte_level(*splits(LLAMA3)), normalizers.Sequence(
            [normalizers.NFKC(), normalizers.Lowercase()]), special=(), added=[
                strip("<l>", lstrip=True), strip("<r>", rstrip=True),
                strip("<lr>", lstrip=True, rstrip=True), strip("word", single_word=True),
                strip("Ångström", normalized=True), strip("<sp>", special=True, normalized=True),
                strip("1", single_word=True, normalized=True), strip("  ", normalized=True)]),
        "nfd": Kind(byte_level(*splits(QWEN2)), normalizers.Sequence(
            [normalizers.NFD(), normalizers.StripAccents()])),
        "nfkd": Kind(byte_level(*splits(QWEN2)), normalizers.Sequence(
            [normalizers.NFKD(), normalizers.Strip(), normalizers.Lowercase()])),
        "nmt": Kind(byte_level(*splits(QWEN2)), normalizers.Sequence(
            [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " "),
             normalizers.Replace(Regex(r"\d(?=\d)"), "#"), normalizers.Replace("a", "")])),
        "words": Kind(byte_level(pre.Whitespace())),
        "bert": Kind(byte_level(pre.BertPreTokenizer())),
        "spaces": Kind(byte_level(pre.WhitespaceSplit(), pre.Punctuation("merged_with_next"))),
    }
    for behavior in ("removed", "isolated", "merged_with_previous", "merged_with_next",
                     "contiguous"):
        kinds["split-" + behavior] = Kind(byte_level(
            pre.Split(" ", behavior), *splits(r"\p{Lu}|[0-9&&[^5-7]]|(?=\.)", behavior=behavior)))
        kinds["invert-" + behavior] = Kind(byte_level(
            *splits(r"[\p{L}\p{M}]+|\b\s", behavior=behavior, invert=True)))
    for name, reference in PRE.items():
        if name not in kinds and name not in ("default", "llama-bpe"):
            kinds[name] = Kind(byte_level(reference))
    return kinds


def use_old_characters():
    """Random characters of make_pretokenizer_vectors then come from Unicode 3.2."""
    newest = pretokenizers.random_character

    def random_character(rng):
        while True:
            character = newest(rng)
            if unicodedata.ucd_3_2_0.category(character) != "Cn":
                return character
    pretokenizers.random_character = random_character


def make_corpus(paths):
    rng = random.Random(5)
    corpus = [pretokenizers.make_text(rng) for _ in range(400)]
    for path in paths:
        with open(path, encoding="utf-8") as file:
            corpus += file.read().split("\n\n")
    return corpus


def make_text(rng, special, corpus):
    parts = []
    for _ in range(rng.randint(1, 3)):
        kind = rng.random()
        if kind < 0.6:
            parts.append(pretokenizers.make_text(rng))
        elif kind < 0.8:
            text = rng.choice(corpus)
            at = rng.randrange(len(text) + 1)
            parts.append(text[at:at + rng.randint(1, 60)])
        elif special:
            parts.append(rng.choice(["", " ", "  ", "\n", "a"]) + rng.choice(special) +
                         rng.choice(["", " ", "\n ", "b", ">"]))
    return "".join(parts)


def write_vectors(tokenizer, path, count, seed, corpus):
    rng = random.Random(seed)
    special = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    with open(path, "w", encoding="ascii") as file:
        file.write("# Made by tools/make_tokenizer_vectors.py.\n")
        before = tokenizer.encode("").ids
        file.write("# before: %s\n" % " ".join(map(str, before)))
        for i in range(count):
            text = make_text(rng, special, corpus)
            parses = i % 4 != 3
            tokenizer.encode_special_tokens = not parses
            ids = tokenizer.encode(text, add_special_tokens=False).ids
            decoded = tokenizer.decode(ids, skip_special_tokens=True)
            file.write("%d\t%s\t%s\t%s\n" % (parses, pretokenizers.escape(text),
                                             " ".join(map(str, ids)),
                                             pretokenizers.escape(decoded)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("out_dir")
    parser.add_argument("--count", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--vocab", type=int, default=60, help="tokens made by merges")
    parser.add_argument("--corpus", nargs="*", default=["tests/data/perplexity.txt"])
    parser.add_argument("--kinds", nargs="*")
    arguments = parser.parse_args()
    use_old_characters()
    corpus = make_corpus(arguments.corpus)
    for name, kind in make_kinds().items():
        if arguments.kinds and name not in arguments.kinds:
            continue
        folder = os.path.join(arguments.out_dir, name)
        os.makedirs(folder, exist_ok=True)
        tokenizer = kind.make(corpus, arguments.vocab)
        document = json.loads(tokenizer.to_str())
        with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8") as file:
            json.dump(document, file, ensure_ascii=False, separators=(",", ":"))
            file.write("\n")
        tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
        write_vectors(tokenizer, os.path.join(folder, "vectors.txt"), arguments.count,
                      arguments.seed, corpus)
    return 0


if __name__ == "__main__":
    sys.exit(main())
