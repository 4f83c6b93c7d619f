#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make small models of SentencePiece and small Unigram tokenizers, and vectors of their ids and
texts.

    make_sentencepiece_vectors.py OUT_DIR [--count N] [--seed N] [--vocab N] [--corpus FILE...]
                                                                   (tests/data/tokenizers)

OUT_DIR/spm-NAME/tokenizer.model is trained by SentencePiece: BPE and Unigram, with rules of
normalization, byte fallback, user-defined and unused pieces. OUT_DIR/unigram-NAME/tokenizer.json
has pieces of such a model and the steps of a family whose tokenizer is Unigram. vectors.txt beside
them has the lines that make_tokenizer_vectors.py describes; SentencePiece and the tokenizers package
computed them.

    make_sentencepiece_vectors.py /tmp/vectors --count 100000 --vocab 8000 --corpus BOOK.txt
    TOKENIZER_VECTORS=/tmp/vectors tests/hf/test_hf_tokenizer

compares many more. Development only: needs sentencepiece and tokenizers (PyPI).
"""
import argparse
import os
import random
import tempfile

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers
from tokenizers import pre_tokenizers as pre

import make_pretokenizer_vectors as pretokenizers
import make_tokenizer_vectors as tokenizers

# Full-width letters, ligatures, marks, spaces, characters that are dropped, and letters that become
# small: parts of the rules nmt_nfkc_cf, which are 240 KB as a whole.
RULES = {"\uFF21": "A", "\uFF22": "B", "\uFF11": "1", "\uFB01": "fi", "\uFB03": "ffi",
         "e\u0301": "\u00E9", "\u30CF\u309A": "\u30D1", "\uFF8A\uFF9F": "\u30D1", "\u3000": " ",
         "\u00A0": " ", "\t": " ", "\n": " ", "\u2122": "TM", "\u00BD": "1\u20442", "\u200B": "",
         "\u00AD": "", "\x7F": "", "A": "a", "K": "k", "\u00C9": "\u00E9", "\u00C5": "\u00E5",
         "\uFDFA": "\u0635\u0644\u0649 \u0627\u0644\u0644\u0647", "\u2460": "1", "...": "\u2026"}
SYMBOLS = ["<foo>", "abc", "\u2581\u2581", "  ", "\u00E9", "ab"]
SAMPLES = list(RULES) + SYMBOLS + ["<unk>", "<s>", "</s>", "<0x41>", "\u2581", "A\u0300", "K\u030A",
                                   "e\u0301\u0300", "\r\n", "\u00A9\u200D", "\u0600A"]

MODELS = {
    "bpe": {"model_type": "bpe", "byte_fallback": True, "split_digits": True,
            "allow_whitespace_only_pieces": True, "remove_extra_whitespaces": False},
    "bpe-rules": {"model_type": "bpe", "rules": True},
    "bpe-symbols": {"model_type": "bpe", "byte_fallback": True, "user_defined_symbols": SYMBOLS,
                    "remove_extra_whitespaces": False, "unused": True},
    "bpe-suffix": {"model_type": "bpe", "treat_whitespace_as_suffix": True, "rules": True},
    "unigram": {"model_type": "unigram", "byte_fallback": True, "split_by_whitespace": False,
                "remove_extra_whitespaces": False},
    "unigram-rules": {"model_type": "unigram", "rules": True},
    "unigram-symbols": {"model_type": "unigram", "user_defined_symbols": SYMBOLS, "rules": True,
                        "add_dummy_prefix": False, "unused": True},
}


def train(corpus, vocab_size, unused=False, rules=False, **options):
    """Returns the model as a message."""
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "corpus"), "w", encoding="utf-8") as file:
            file.write("\n".join(corpus))
        if rules:
            path = os.path.join(folder, "rules.tsv")
            with open(path, "w", encoding="utf-8") as file:
                for key, value in RULES.items():
                    file.write("\t".join(" ".join("%04X" % ord(c) for c in text)
                                         for text in (key, value)) + "\n")
            options["normalization_rule_tsv"] = path
        else:
            options["normalization_rule_name"] = "identity"
        prefix = os.path.join(folder, "model")
        sentencepiece.SentencePieceTrainer.train(
            input=os.path.join(folder, "corpus"), model_prefix=prefix, vocab_size=vocab_size,
            hard_vocab_limit=False, character_coverage=0.98, num_threads=1, minloglevel=2,
            **options)
        model = sentencepiece_model_pb2.ModelProto()
        with open(prefix + ".model", "rb") as file:
            model.ParseFromString(file.read())
    model.trainer_spec.ClearField("input")
    model.trainer_spec.ClearField("model_prefix")
    model.normalizer_spec.ClearField("normalization_rule_tsv")
    normal = [piece for piece in model.pieces if piece.type == piece.NORMAL]
    for piece in normal[3::5] if unused else ():
        piece.type = piece.UNUSED
    return model


def make_texts(count, seed, corpus):
    rng = random.Random(seed)
    for _ in range(count):
        yield tokenizers.make_text(rng, SAMPLES, corpus).replace("\0", "")


def write_lines(path, before, texts, encode, decode):
    with open(path, "w", encoding="ascii") as file:
        file.write("# Made by tools/make_sentencepiece_vectors.py.\n")
        file.write("# before: %s\n" % before)
        for text in texts:
            ids = encode(text)
            file.write("0\t%s\t%s\t%s\n" % (pretokenizers.escape(text), " ".join(map(str, ids)),
                                            pretokenizers.escape(decode(ids))))


def write_model(folder, model, texts):
    os.makedirs(folder, exist_ok=True)
    data = model.SerializeToString(deterministic=True)
    with open(os.path.join(folder, "tokenizer.model"), "wb") as file:
        file.write(data)
    processor = sentencepiece.SentencePieceProcessor(model_proto=data)
    is_bpe = model.trainer_spec.model_type == model.trainer_spec.BPE
    write_lines(os.path.join(folder, "vectors.txt"), "1" if is_bpe else "", texts,
                processor.encode,
                lambda ids: processor.decode([i for i in ids if i != processor.unk_id()]))


def unigram(model, byte_fallback, normalizer, pre_tokenizer):
    pieces = [(piece.piece, piece.score) for piece in model.pieces]
    tokenizer = Tokenizer(models.Unigram(pieces, 0, byte_fallback))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre_tokenizer
    decoder = [decoders.Metaspace()]
    if byte_fallback:
        decoder = [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(),
                   decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence(decoder) if len(decoder) > 1 else decoder[0]
    tokenizer.add_special_tokens([AddedToken(name, normalized=False)
                                  for name in ("<unk>", "<s>", "</s>")])
    return tokenizer


def write_unigram(folder, tokenizer, texts):
    os.makedirs(folder, exist_ok=True)
    tokenizer.save(os.path.join(folder, "tokenizer.json"), pretty=False)
    special = ("<unk>", "<s>", "</s>")
    texts = [text for text in texts if not any(name in text for name in special)]
    write_lines(os.path.join(folder, "vectors.txt"), "", texts,
                lambda text: tokenizer.encode(text, add_special_tokens=False).ids,
                lambda ids: tokenizer.decode(ids, skip_special_tokens=True))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("out_dir")
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--vocab", type=int, default=400)
    parser.add_argument("--corpus", nargs="*", default=[])
    arguments = parser.parse_args()
    corpus = tokenizers.make_corpus(arguments.corpus)
    made = {}
    for name, options in MODELS.items():
        size = arguments.vocab + (256 if options.get("byte_fallback") else 0)
        made[name] = train(corpus, size, **options)
        write_model(os.path.join(arguments.out_dir, "spm-" + name), made[name],
                    make_texts(arguments.count, arguments.seed, corpus))
    rules = normalizers.Precompiled(made["unigram-rules"].normalizer_spec.precompiled_charsmap)
    squeeze = normalizers.Replace(Regex(" {2,}"), " ")
    for name, tokenizer in {
            "t5": unigram(made["unigram-rules"], False, rules,
                          pre.Sequence([pre.WhitespaceSplit(), pre.Metaspace()])),
            "xlm-r": unigram(made["unigram-rules"], False, normalizers.Sequence([rules, squeeze]),
                             pre.Metaspace()),
            "bytes": unigram(made["unigram"], True, normalizers.Replace(" ", "\u2581"),
                             pre.Metaspace(prepend_scheme="first", split=False))}.items():
        write_unigram(os.path.join(arguments.out_dir, "unigram-" + name), tokenizer,
                      make_texts(arguments.count, arguments.seed, corpus))


if __name__ == "__main__":
    main()
