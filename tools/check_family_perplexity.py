#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compare `stagecoach perplexity` of the families' small models with transformers.

    check_family_perplexity.py PROGRAM FOLDERS TEXT [NAME ...]

PROGRAM is build/stagecoach, FOLDERS what make_family_vectors.py --folders has written, TEXT for
instance tests/data/perplexity.txt. Each folder is measured with F32 keys and values; the tokens are
those of the tokenizers package, the logits those of transformers in float32, and the rule is
stagecoach's: chunks of 256 tokens, of which those from 256/2 + 1 on are scored.
A relative difference of more than 1e-4 fails.

Development only: needs torch, transformers, tokenizers and numpy (PyPI).
"""
import json
import os
import subprocess
import sys

import numpy as np
from tokenizers import Tokenizer

from make_family_vectors import Model

CHUNK = 256
LIMIT = 1e-4


def expected(name, folder, text):
    tokens = Tokenizer.from_file(os.path.join(folder, "tokenizer.json")).encode(text).ids
    model, scores = Model(name), []
    for start in range(0, len(tokens) - CHUNK + 1, CHUNK):
        chunk = tokens[start:start + CHUNK]
        logits = model.logits(chunk).astype(np.float64)
        logits -= logits.max(-1, keepdims=True)
        logp = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        scores += [logp[i - 1, chunk[i]] for i in range(CHUNK // 2 + 1, CHUNK)]
    return float(np.exp(-np.mean(scores))), len(scores)


def measured(program, folder, path):
    result = subprocess.run([program, "perplexity", "-m", folder, "-f", path, "-c", str(CHUNK),
                             "--kv-type", "f32", "--json", "--quiet"],
                            capture_output=True, text=True)
    if result.returncode:
        return None, result.stderr.strip()
    value = json.loads(result.stdout)
    return value["ppl"], value["scored_tokens"]


def main():
    program, folders, path, *names = sys.argv[1:]
    with open(path) as f:
        text = f.read()
    n_wrong = 0
    for name in names or sorted(os.listdir(folders)):
        folder = os.path.join(folders, name)
        want, n_want = expected(name, folder, text)
        ours, n_ours = measured(program, folder, path)
        if ours is None:
            print(f"{name:20} {n_ours}")
            n_wrong += 1
            continue
        error = abs(ours / want - 1)
        is_right = n_want == n_ours and error <= LIMIT
        n_wrong += not is_right
        print(f"{name:20} transformers {want:12.4f}  stagecoach {ours:12.4f}  {error:.1e}"
              f"{'' if is_right else '  WRONG'}", flush=True)
    sys.exit(n_wrong > 0)


if __name__ == "__main__":
    main()
