# SPDX-License-Identifier: Apache-2.0
"""lm-evaluation-harness, model "local-completions": log-likelihoods and generation of tasks that
are made here from Shakespeare's lines."""
import json
import math
import os
import subprocess
import sys
import urllib.request

from server import BUILD, DEMO, ROOT, Server, check, run

LIKELIHOOD = """\
task: pairs
dataset_path: json
dataset_kwargs: {data_files: {test: DIR/pairs.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: "{{choices}}"
doc_to_target: "{{answer}}"
metric_list: [{metric: acc}, {metric: acc_norm}]
"""
ROLLING = """\
task: rolling
dataset_path: json
dataset_kwargs: {data_files: {test: DIR/texts.jsonl}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{text}}"
metric_list: [{metric: word_perplexity}, {metric: byte_perplexity}]
"""
GENERATE = """\
task: lines
dataset_path: json
dataset_kwargs: {data_files: {test: DIR/pairs.jsonl}}
test_split: test
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{choices[answer]}}"
generation_kwargs: {until: ["\\n"], max_gen_toks: 24, do_sample: false}
metric_list: [{metric: exact_match}]
"""
TASKS = {"pairs": LIKELIHOOD, "rolling": ROLLING, "lines": GENERATE}


def text_of_shakespeare():
    with open(os.path.join(ROOT, "tests", "data", "perplexity.txt")) as file:
        return file.read()


def write_tasks(folder):
    text = text_of_shakespeare()
    lines = [line for line in text.splitlines() if len(line) > 30][:64]
    with open(os.path.join(folder, "pairs.jsonl"), "w") as file:
        for i in range(0, len(lines) - 1, 2):
            right = " ".join(lines[i].split()[3:])
            wrong = " ".join(reversed(lines[i].split()[3:]))
            answer = i // 2 % 2
            file.write(json.dumps({"question": " ".join(lines[i].split()[:3]), "answer": answer,
                                   "choices": [wrong, right] if answer else [right, wrong]})
                       + "\n")
    with open(os.path.join(folder, "texts.jsonl"), "w") as file:
        for i in range(0, 6000, 1500):
            file.write(json.dumps({"text": text[i:i + 1500]}) + "\n")
    for name, task in TASKS.items():
        with open(os.path.join(folder, name + ".yaml"), "w") as file:
            file.write(task.replace("DIR", folder))


def evaluate(server, tasks, batch_size=1, **options):
    """The results and samples that lm_eval writes."""
    out = server.path("out")
    write_tasks(server.dir.name)
    arguments = {"model": "demo", "base_url": server.url + "/completions", "max_length": 512,
                 "tokenizer_backend": "remote", **options}
    environment = dict(os.environ, HF_HUB_OFFLINE="1", HF_DATASETS_CACHE=server.path("cache"),
                       HF_HOME=server.path("home"), OPENAI_API_KEY="none")
    done = subprocess.run(
        [sys.executable, "-m", "lm_eval", "--model", "local-completions", "--model_args",
         ",".join("%s=%s" % pair for pair in arguments.items()), "--tasks", ",".join(tasks),
         "--batch_size", str(batch_size), "--include_path", server.dir.name, "--output_path", out,
         "--log_samples"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    check(done.returncode == 0, "lm_eval:", done.stdout[-3000:])
    results, samples = None, {}
    for folder, _, names in os.walk(out):
        for name in names:
            with open(os.path.join(folder, name)) as file:
                if name.startswith("results_"):
                    results = json.load(file)["results"]
                else:
                    task = name.split("_")[1]
                    samples[task] = sorted(map(json.loads, file), key=lambda s: s["doc_id"])
    subprocess.run(["rm", "-r", out], check=True)
    return results, samples


def likelihoods(samples):
    return [(float(pair[0]), str(pair[1])) for sample in samples
            for pair in sample["filtered_resps"]]


def ask(server, path, body):
    request = urllib.request.Request(server.root + path, json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def forced_likelihood(server, context, text):
    """The sum over TEXT's tokens of the log-probability that each has as a generated token: a bias
    makes it the only choice, and log-probabilities are those before the bias."""
    whole = ask(server, "/tokenize", {"content": context + text})["tokens"]
    start = len(ask(server, "/tokenize", {"content": context})["tokens"])
    scores = []
    for i in range(start, len(whole)):
        choice = ask(server, "/v1/completions", {
            "prompt": whole[:i], "max_tokens": 1, "logprobs": 0, "temperature": 0,
            "ignore_eos": True, "logit_bias": {str(whole[i]): 100}})["choices"][0]
        scores += choice["logprobs"]["token_logprobs"]
    return math.fsum(scores)


def test_likelihood():
    """The same numbers one by one, many at once, in batches and over two stages, and as generated.

    Requests as text are not compared: a text begins with this model's BOS, of which lm_eval, which
    counts tokens to find the scored part, knows nothing."""
    with Server("demo") as server:
        results, samples = evaluate(server, ["pairs"], num_concurrent=1)
        first = likelihoods(samples["pairs"])
        check(results["pairs"]["acc,none"] > 0.8, results)
        check(all(math.isfinite(score) and score < 0 for score, _ in first), first)
        apart = 0
        for sample in samples["pairs"][:8]:
            for (score, _), text in zip(sample["filtered_resps"], sample["doc"]["choices"]):
                own = forced_likelihood(server, sample["doc"]["question"], " " + text)
                apart = max(apart, abs(own - float(score)))
                check(apart < 1e-2, own, score)
        worst = 0
        for options in ({"num_concurrent": 8}, {"batch_size": 8}):
            other = likelihoods(evaluate(server, ["pairs"], **options)[1]["pairs"])
            worst = max(worst, *(abs(a - b) for (a, _), (b, _) in zip(first, other)))
            check(worst < 1e-2 and len(other) == len(first), options, worst)
    with Server("demo", "--stages", "2") as server:
        other = likelihoods(evaluate(server, ["pairs"], num_concurrent=8)[1]["pairs"])
        check(max(abs(a - b) for (a, _), (b, _) in zip(first, other)) < 1e-2, "two stages")
    return "acc %.3f of %d; at most %.1g apart, and %.1g from those of generated tokens" % (
        results["pairs"]["acc,none"], len(samples["pairs"]), worst, apart)


def test_rolling():
    """Perplexity, beside that of `stagecoach perplexity` for the same text."""
    with Server("demo") as server:
        results, _ = evaluate(server, ["rolling"], num_concurrent=4)
        check(1 < results["rolling"]["byte_perplexity,none"] < 8, results)
        with open(server.path("text"), "w") as file:
            file.write(text_of_shakespeare()[:6000])
        own = subprocess.run([os.path.join(BUILD, "stagecoach"), "perplexity", "-m", DEMO, "-f",
                              server.path("text"), "--json"], stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, text=True).stdout.strip().splitlines()
        return "lm_eval per byte: %.4f; stagecoach: %s" % (
            results["rolling"]["byte_perplexity,none"], own[-1] if own else "")


def test_generate():
    with Server("demo") as server:
        texts = []
        # Texts begin with BOS, and token ids as they are.
        for options in ({}, {"num_concurrent": 8}, {"tokenized_requests": False},
                        {"tokenizer_backend": "none", "tokenized_requests": False}):
            samples = evaluate(server, ["lines"], **options)[1]["lines"]
            texts.append([sample["filtered_resps"][0] for sample in samples])
            check(all("\n" not in text for text in texts[-1]), texts[-1])
        check(texts[0] == texts[1] and texts[2] == texts[3], "answers differ")
        return repr(texts[0][0])


if __name__ == "__main__":
    run(globals(), "lm_eval", "datasets", "requests", "aiohttp")
