#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Train the bundled demo model: a small Llama that writes like Shakespeare's plays.

    train_demo.py TEXT RUN_DIR [--minutes 45]

makes RUN_DIR/tokenizer.json (byte-level BPE) and RUN_DIR/best.pt, the checkpoint with the
lowest loss on the held-out end of TEXT. A run that was interrupted continues from
RUN_DIR/last.pt when the same command is given again. `export_gguf.py RUN_DIR FILE` turns
either checkpoint into a GGUF file.

The learning rate follows the wall clock or the step count, whichever is further along, so
that a run ends when it was told to end on a machine of any speed.

Development only: needs torch and tokenizers (PyPI); nothing that is built or tested does.
"""
import argparse
import dataclasses
import json
import math
import os
import time

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn

BOS = "<|endoftext|>"


@dataclasses.dataclass
class Shape:
    """What export_gguf.py needs to know about a checkpoint."""
    vocab: int = 1024
    layers: int = 8
    dim: int = 256
    heads: int = 8
    kv_heads: int = 4
    ffn: int = 256
    context: int = 512
    rope_base: float = 10000.0
    norm_eps: float = 1e-5

    @property
    def head_dim(self):
        return self.dim // self.heads


class Norm(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(shape.dim))
        self.eps = shape.norm_eps

    def forward(self, x):
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


class Dropout(nn.Module):
    """nn.Dropout with eight masks from each random number: on a CPU, drawing them is slow."""

    def __init__(self, p):
        super().__init__()
        self.drop = round(256 * p)

    def forward(self, x):
        if not self.training or not self.drop:
            return x
        draw = torch.randint(-2 ** 63, 2 ** 63 - 1, ((x.numel() + 7) // 8,))
        keep = draw.view(torch.uint8)[:x.numel()].view(x.shape) >= self.drop
        return x * (keep * (256 / (256 - self.drop)))


def rope_table(shape):
    """cos and sin of position * frequency: [context, head_dim / 2] each."""
    exponent = torch.arange(0, shape.head_dim, 2).float() / shape.head_dim
    angle = torch.outer(torch.arange(shape.context).float(), shape.rope_base ** -exponent)
    return angle.cos(), angle.sin()


def rotate(x, cos, sin):
    """Rotate neighbouring pairs (0,1), (2,3), ...: the layout GGUF's `llama` files use, so
    that the weights need no permutation on export. x: [batch, heads, n, head_dim]."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


class Layer(nn.Module):
    def __init__(self, shape, dropout):
        super().__init__()
        self.shape = shape
        kv_dim = shape.kv_heads * shape.head_dim
        self.attn_norm, self.ffn_norm = Norm(shape), Norm(shape)
        self.attn_q = nn.Linear(shape.dim, shape.dim, bias=False)
        self.attn_k = nn.Linear(shape.dim, kv_dim, bias=False)
        self.attn_v = nn.Linear(shape.dim, kv_dim, bias=False)
        self.attn_output = nn.Linear(shape.dim, shape.dim, bias=False)
        self.ffn_gate = nn.Linear(shape.dim, shape.ffn, bias=False)
        self.ffn_up = nn.Linear(shape.dim, shape.ffn, bias=False)
        self.ffn_down = nn.Linear(shape.ffn, shape.dim, bias=False)
        self.dropout = Dropout(dropout)

    def attention(self, x, cos, sin):
        batch, n, _ = x.shape
        split = lambda t: t.view(batch, n, -1, self.shape.head_dim).transpose(1, 2)
        q = rotate(split(self.attn_q(x)), cos, sin)
        k = rotate(split(self.attn_k(x)), cos, sin)
        v = split(self.attn_v(x))
        group = self.shape.heads // self.shape.kv_heads
        k, v = (t.repeat_interleave(group, 1) for t in (k, v))
        # Plain products: on a CPU, in bfloat16, this is faster than torch's fused attention.
        q, k = q.to(v.dtype), k.to(v.dtype)
        future = torch.full((n, n), -math.inf, dtype=v.dtype).triu(1)
        score = torch.baddbmm(future.expand(batch * self.shape.heads, n, n), q.flatten(0, 1),
                              k.flatten(0, 1).transpose(1, 2), alpha=self.shape.head_dim ** -0.5)
        out = torch.bmm(torch.softmax(score, -1, dtype=v.dtype), v.flatten(0, 1))
        return self.attn_output(out.view(q.shape).transpose(1, 2).reshape(batch, n, -1))

    def forward(self, x, cos, sin):
        x = x + self.dropout(self.attention(self.attn_norm(x), cos, sin))
        h = self.ffn_norm(x)
        h = self.ffn_down(F.silu(self.ffn_gate(h)) * self.ffn_up(h))
        return x + self.dropout(h)


class Model(nn.Module):
    """Names of modules are GGUF's names of tensors; the head is the embedding, transposed."""

    def __init__(self, shape, dropout=0.0):
        super().__init__()
        self.token_embd = nn.Embedding(shape.vocab, shape.dim)
        self.blk = nn.ModuleList(Layer(shape, dropout) for _ in range(shape.layers))
        self.output_norm = Norm(shape)
        self.dropout = Dropout(dropout)
        cos, sin = rope_table(shape)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                into_residual = name.endswith(("attn_output.weight", "ffn_down.weight"))
                std = p.shape[1] ** -0.5 if name != "token_embd.weight" else 0.02
                nn.init.normal_(p, std=std / (math.sqrt(2 * shape.layers) if into_residual else 1))

    def forward(self, tokens, targets=None):
        n = tokens.shape[1]
        x = self.dropout(self.token_embd(tokens))
        for layer in self.blk:
            x = layer(x, self.cos[:n], self.sin[:n])
        logits = F.linear(self.output_norm(x), self.token_embd.weight)
        if targets is None:
            return logits
        return F.cross_entropy(logits.float().flatten(0, 1), targets.flatten())


def make_tokenizer(text, n_vocab, path):
    """Byte-level BPE with the pattern that GGUF calls `gpt-2`. All 256 bytes are tokens."""
    if not os.path.exists(path):
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.train_from_iterator([text], trainers.BpeTrainer(
            vocab_size=n_vocab, special_tokens=[BOS], show_progress=False,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
        tokenizer.save(path)
    return Tokenizer.from_file(path)


class Corpus:
    """Tokens of the training part and of the held-out end of a text.

    Half of the training windows are `BOS, start of a speech, ...`, as a prompt will be; the
    other half start anywhere, without BOS. Words are split in many ways during training (BPE
    dropout): a text this small is learnt by heart otherwise.
    """

    def __init__(self, text, tokenizer, held_out):
        self.bos = tokenizer.token_to_id(BOS)
        self.tokenizer = tokenizer
        # The cut is at a speech, so that neither side begins in the middle of one.
        cut = text.index("\n\n", int(len(text) * (1 - held_out))) + 2
        self.n_held_out_bytes = len(text[cut:].encode())
        self.speeches = [s + "\n\n" for s in text[:cut].rstrip("\n").split("\n\n")]
        self.held_out = torch.tensor(tokenizer.encode(text[cut:]).ids)
        self.encode(0.0)

    def encode(self, merge_dropout):
        """Tokenise the training part again, skipping each merge with this probability."""
        model = self.tokenizer.model
        model.dropout = merge_dropout or None
        encoded = [e.ids for e in self.tokenizer.encode_batch(self.speeches)]
        model.dropout = None
        starts, at = [], 0
        for ids in encoded:
            starts.append(at)
            at += len(ids)
        self.train = torch.tensor([t for ids in encoded for t in ids])
        self.starts = torch.tensor(starts)

    def batch(self, n_rows, n, generator):
        last = len(self.train) - n - 1
        starts = self.starts[self.starts <= last]
        rows = []
        for i in range(n_rows):
            if i % 2:
                at = torch.randint(last, (), generator=generator)
                rows.append(self.train[at:at + n + 1])
            else:
                at = starts[torch.randint(len(starts), (), generator=generator)]
                rows.append(torch.cat((torch.tensor([self.bos]), self.train[at:at + n])))
        window = torch.stack(rows)
        return window[:, :-1], window[:, 1:]

    def held_out_windows(self, n):
        """Every token of the held-out end is predicted once; each window starts with BOS."""
        for at in range(0, len(self.held_out), n):
            target = self.held_out[at:at + n]
            tokens = torch.cat((torch.tensor([self.bos]), target[:-1]))
            yield tokens[None], target[None]


@torch.no_grad()
def held_out_loss(model, corpus, n):
    model.eval()
    total = count = 0
    for tokens, targets in corpus.held_out_windows(n):
        total += model(tokens, targets).item() * targets.numel()
        count += targets.numel()
    model.train()
    return total / count


@torch.no_grad()
def sample(model, tokenizer, prompt, n, temperature=0.8, top_p=0.95, seed=1):
    generator = torch.Generator().manual_seed(seed)
    model.eval()
    tokens = [tokenizer.token_to_id(BOS)] + tokenizer.encode(prompt).ids
    for _ in range(n):
        logits = model(torch.tensor([tokens]))[0, -1].float()
        if temperature == 0:
            tokens.append(int(logits.argmax()))
            continue
        p, order = torch.softmax(logits / temperature, 0).sort(descending=True)
        p[p.cumsum(0) - p > top_p] = 0
        tokens.append(int(order[torch.multinomial(p, 1, generator=generator)]))
    model.train()
    return tokenizer.decode(tokens[1:])


def make_optimizer(model, a):
    matrices = [p for p in model.parameters() if p.dim() == 2]
    vectors = [p for p in model.parameters() if p.dim() != 2]
    groups = [{"params": matrices, "weight_decay": a.weight_decay},
              {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=a.rate, betas=(0.9, 0.98), fused=True)


def learning_rate(a, step, progress):
    """Linear warm-up over steps, then a cosine over progress (0..1) down to 2 %."""
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    return a.rate * min(1.0, (step + 1) / a.warm_up) * (0.02 + 0.98 * cosine)


def window_size(shape, progress):
    """Short windows are cheaper; the long ones at the end teach the distant positions. The
    held-out loss, over whole contexts, therefore falls steeply where the window grows."""
    return shape.context // (4 if progress < 0.35 else 2 if progress < 0.7 else 1)


class Run:
    """A training run and what it keeps in its directory."""

    def __init__(self, a):
        self.a = a
        os.makedirs(a.run_dir, exist_ok=True)
        torch.manual_seed(a.seed)
        torch.set_num_threads(a.threads)
        with open(a.text, encoding="utf-8") as f:
            text = f.read()
        self.tokenizer = make_tokenizer(text, a.vocab, self.path("tokenizer.json"))
        self.shape = Shape(vocab=self.tokenizer.get_vocab_size())
        self.corpus = Corpus(text, self.tokenizer, a.held_out)
        self.model = Model(self.shape, a.dropout)
        self.optimizer = make_optimizer(self.model, a)
        self.generator = torch.Generator().manual_seed(a.seed)
        self.state = {"step": 0, "elapsed_s": 0.0, "tokens_seen": 0, "loss": math.inf}
        self.best = math.inf
        self.train_loss = None
        self.encode_at = 0
        self.resume()
        self.begun = time.monotonic() - self.state["elapsed_s"]
        self.checked = time.monotonic()

    def path(self, name):
        return os.path.join(self.a.run_dir, name)

    def resume(self):
        if not os.path.exists(self.path("last.pt")):
            return
        saved = torch.load(self.path("last.pt"), weights_only=True)
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.state, self.best = saved["state"], saved["best"]
        self.generator.manual_seed(self.a.seed + self.state["step"])

    def progress(self):
        elapsed_s = time.monotonic() - self.begun
        return min(1.0, max(self.state["step"] / self.a.steps, elapsed_s / (60 * self.a.minutes)))

    def step(self, progress):
        a, state, n = self.a, self.state, window_size(self.shape, progress)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(a, state["step"], progress)
        if state["tokens_seen"] >= self.encode_at:
            self.corpus.encode(a.merge_dropout * (1 - progress))
            self.encode_at = state["tokens_seen"] + len(self.corpus.train)
        tokens, targets = self.corpus.batch(a.batch_tokens // n, n, self.generator)
        with torch.autocast("cpu", torch.bfloat16, enabled=a.bf16):
            loss = self.model(tokens, targets)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.train_loss = 0.98 * (self.train_loss or loss.item()) + 0.02 * loss.item()
        state["step"] += 1
        state["tokens_seen"] += tokens.numel()

    def is_check_due(self):
        return self.state["step"] % self.a.check_every == 0 or \
            time.monotonic() - self.checked > 60 * self.a.check_minutes

    def check(self, progress):
        """Measure the held-out loss, log it, and save."""
        state = self.state
        state["elapsed_s"] = time.monotonic() - self.begun
        state["loss"] = held_out_loss(self.model, self.corpus, self.shape.context)
        with open(self.path("log.jsonl"), "a") as f:
            record = {**state, "train_loss": self.train_loss, "progress": progress}
            f.write(json.dumps(record) + "\n")
        print(f"step {state['step']} {100 * progress:.1f} %: train {self.train_loss:.3f}, held out "
              f"{state['loss']:.3f}, {state['tokens_seen'] / state['elapsed_s']:.0f} tokens/s",
              flush=True)
        if state["loss"] < self.best:
            self.best = state["loss"]
            self.save("best.pt", {})
        self.save("last.pt", {"best": self.best, "optimizer": self.optimizer.state_dict()})
        self.checked = time.monotonic()

    def save(self, name, extra):
        tmp = self.path(name + ".tmp")
        torch.save({"shape": dataclasses.asdict(self.shape), "model": self.model.state_dict(),
                    "state": dict(self.state), **extra}, tmp)
        os.replace(tmp, self.path(name))


def train(a):
    run = Run(a)
    n_params = sum(p.numel() for p in run.model.parameters())
    print(f"{n_params} parameters, vocabulary {run.shape.vocab}, {len(run.corpus.train)} tokens to "
          f"train on, {len(run.corpus.held_out)} held out ({run.corpus.n_held_out_bytes} bytes)",
          flush=True)
    progress = run.progress()
    while progress < 1:
        run.step(progress)
        if run.is_check_due():
            run.check(progress)
        progress = run.progress()
    run.check(progress)
    print(sample(run.model, run.tokenizer, "ROMEO:\n", 200))


def main():
    ap = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("text", help="text to learn, UTF-8")
    ap.add_argument("run_dir", help="where the tokenizer, checkpoints and log go")
    ap.add_argument("--minutes", type=float, default=45, help="wall time to train for")
    ap.add_argument("--steps", type=int, default=8000, help="steps to train for at most")
    ap.add_argument("--vocab", type=int, default=1024)
    ap.add_argument("--batch-tokens", type=int, default=2048, help="tokens per step")
    ap.add_argument("--rate", type=float, default=1.5e-3, help="highest learning rate")
    ap.add_argument("--warm-up", type=int, default=100, help="steps")
    ap.add_argument("--weight-decay", type=float, default=0.5)
    ap.add_argument("--dropout", type=float, default=0.15)
    ap.add_argument("--merge-dropout", type=float, default=0.1,
                    help="probability of skipping a merge, at first; falls to 0 with progress")
    ap.add_argument("--held-out", type=float, default=0.05, help="part of the text, its end")
    ap.add_argument("--check-every", type=int, default=200, help="steps between checkpoints")
    ap.add_argument("--check-minutes", type=float, default=5, help="time between them, at most")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=True,
                    help="matrix products in bfloat16")
    train(ap.parse_args())


if __name__ == "__main__":
    main()
