#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make the tensor vectors: blocks of every quantised type and the floats that they stand for.

    make_tensor_vectors.py OUT_DIR [--count N] [--seed N]    (tests/data/tensors)

The floats are what the gguf package (PyPI) makes of the blocks: an implementation that shares
nothing with ours. The bytes are random, so that every bit of every field is used; the scales in
f16 are finite, of both signs, and between 2^-14 and 1. The first two blocks have all other bits
zero, and all of them one.

NAME.bin: the blocks, then block_length little-endian floats for each of them, so that the size of
the file tells the number of blocks.

    make_tensor_vectors.py /tmp/vectors --count 5000 --seed 7
    TENSOR_VECTORS=/tmp/vectors tests/model/test_tensor

compares many more. Development only: needs gguf and numpy (PyPI).
"""
import argparse
import os
import sys

import gguf
import numpy

# Where a block has its f16 scales.
SCALES = {
    "Q4_0": (0,), "Q4_1": (0, 2), "Q5_0": (0,), "Q5_1": (0, 2), "Q8_0": (0,),
    "Q2_K": (80, 82), "Q3_K": (108,), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,),
    "IQ4_NL": (0,), "IQ4_XS": (0,), "MXFP4": (),
}


def make_blocks(rng, name, n_bytes, count):
    blocks = rng.integers(0, 256, (count, n_bytes), dtype=numpy.uint8)
    blocks[0] = 0
    blocks[1] = 255
    for at in SCALES[name]:
        scales = numpy.exp2(rng.uniform(-14, 0, count)) * rng.choice((-1, 1), count)
        blocks[:, at:at + 2] = scales.astype("<f2").view(numpy.uint8).reshape(count, 2)
    return blocks


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("out_dir")
    parser.add_argument("--count", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    os.makedirs(arguments.out_dir, exist_ok=True)
    for name in SCALES:
        kind = gguf.GGMLQuantizationType[name]
        n_bytes = gguf.GGML_QUANT_SIZES[kind][1]
        rng = numpy.random.default_rng(arguments.seed)
        blocks = make_blocks(rng, name, n_bytes, arguments.count)
        with numpy.errstate(over="ignore"):     # MXFP4's largest scales give infinity
            floats = gguf.dequantize(blocks, kind)
        assert not numpy.isnan(floats).any()
        with open(os.path.join(arguments.out_dir, name + ".bin"), "wb") as file:
            file.write(blocks.tobytes())
            file.write(floats.astype("<f4").tobytes())
    return 0


if __name__ == "__main__":
    sys.exit(main())
