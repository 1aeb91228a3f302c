"""One side of `bench.py` in a process of its own: answers requests, one JSON line each, with what it cost and what it found.

    python -P benchmarks/side.py SIDE '{"family": "gpt2", ...}' THREADS

Sides: claimbench, hooks, nnsight, transformer_lens, matmuls, tasks, claims. All build the same random model from a shape.
Seconds are processor seconds of this process, which others on the machine disturb least; with one thread they are what it waits.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

THREADS = int(sys.argv[3]) if len(sys.argv) > 3 else 1
os.environ.update(OMP_NUM_THREADS=str(THREADS), MKL_NUM_THREADS=str(THREADS), HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")

import numpy as np  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402

Request = dict[str, Any]
Answer = dict[str, Any]
Head = tuple[int, int]


def model_of(shape: Request) -> Any:
    """A random model of a shape, the same in every process."""
    torch.manual_seed(0)
    common = {"vocab_size": shape["vocab"], "bos_token_id": 1, "eos_token_id": 1}
    if shape["family"] == "gpt2":
        config: Any = transformers.GPT2Config(n_layer=shape["layers"], n_head=shape["heads"], n_embd=shape["width"], **common)
        made: Any = transformers.GPT2LMHeadModel(config)
    else:
        config = transformers.LlamaConfig(
            num_hidden_layers=shape["layers"],
            num_attention_heads=shape["heads"],
            num_key_value_heads=shape["groups"],
            hidden_size=shape["width"],
            intermediate_size=int(shape["width"] * 8 / 3) // 32 * 32,
            max_position_embeddings=1024,
            **common,
        )
        made = transformers.LlamaForCausalLM(config)
    return made.eval().requires_grad_(False)


def ids_of(shape: Request, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(3, shape["vocab"], (shape["rows"], shape["length"])))


def targets_of(shape: Request) -> torch.Tensor:
    return torch.arange(shape["rows"]) + 5


@contextmanager
def clock(answer: Answer) -> Iterator[None]:
    began, started = time.process_time(), time.perf_counter()
    yield
    answer["seconds"] = time.process_time() - began
    answer["wall"] = time.perf_counter() - started


class Loop:
    """What every peer does: one whole forward pass for each head, which gets zeros; a peer overrides how."""

    def __init__(self, shape: Request) -> None:
        self.shape, self.model = shape, model_of(shape)
        self.ids = ids_of(shape)
        self.size = shape["width"] // shape["heads"]

    def without(self, heads: list[Head], options: dict[str, Any]) -> torch.Tensor:
        raise NotImplementedError

    def answer(self, request: Request) -> Answer:
        last, found = request.get("last", False), Answer()
        if request["do"] == "late":
            return self.late(request["sites"])
        options = {"logits_to_keep": 1} if last else {}  # a person who needs the last token would ask for no more
        values = []
        with torch.no_grad(), clock(found):
            for heads in request["sets"]:
                logits = self.without([(at, head) for at, head in heads], options)
                values.append(float(self.loss(logits, last)))
        return {**found, "values": values}

    def late(self, sites: list[tuple[int, int]]) -> Answer:
        raise NotImplementedError

    def loss(self, logits: torch.Tensor, last: bool) -> torch.Tensor:
        if last:
            return torch.nn.functional.cross_entropy(logits[:, -1], targets_of(self.shape))
        return torch.nn.functional.cross_entropy(logits[:, :-1].transpose(1, 2), self.ids[:, 1:])

    def projection(self, layer: int) -> str:
        return f"transformer.h.{layer}.attn.c_proj" if self.shape["family"] == "gpt2" else f"model.layers.{layer}.self_attn.o_proj"


class Hooks(Loop):
    """torch's own forward hooks on the model."""

    def without(self, heads: list[Head], options: dict[str, Any]) -> torch.Tensor:
        handles = []
        for layer, head in heads:

            def zero(_: Any, args: Any, head: int = head) -> Any:
                joined = args[0].clone()
                joined[..., head * self.size : (head + 1) * self.size] = 0
                return (joined,)

            handles.append(self.model.get_submodule(self.projection(layer)).register_forward_pre_hook(zero))
        logits: torch.Tensor = self.model(input_ids=self.ids, use_cache=False, **options).logits
        for handle in handles:
            handle.remove()
        return logits

    def late(self, sites: list[tuple[int, int]]) -> Answer:
        found, values = Answer(), []
        with torch.no_grad(), clock(found):
            for layer, position in sites:

                def zero(_: Any, __: Any, output: torch.Tensor, position: int = position) -> torch.Tensor:
                    output = output.clone()
                    output[:, position] = 0
                    return output

                handle = self.model.transformer.h[layer].mlp.register_forward_hook(zero)
                logits = self.model(input_ids=self.ids, use_cache=False, logits_to_keep=1).logits
                handle.remove()
                values.append(float(self.loss(logits, True)))
        return {**found, "values": values}


class NNsight(Loop):
    """nnsight's trace around the model."""

    def __init__(self, shape: Request) -> None:
        import nnsight

        super().__init__(shape)
        self.wrapped = nnsight.NNsight(self.model)

    def without(self, heads: list[Head], options: dict[str, Any]) -> torch.Tensor:
        wrapped, size = self.wrapped, self.size
        with wrapped.trace(input_ids=self.ids, use_cache=False, **options):
            for layer, head in sorted(heads):
                block = wrapped.transformer.h[layer].attn.c_proj if self.shape["family"] == "gpt2" else None
                block = block if block is not None else wrapped.model.layers[layer].self_attn.o_proj
                block.input[:, :, head * size : (head + 1) * size] = 0
            logits = wrapped.lm_head.output.save()
        return logits  # type: ignore[no-any-return]


class TransformerLens(Loop):
    """TransformerLens's bridge around the model."""

    def __init__(self, shape: Request) -> None:
        from tokenizers import Tokenizer, models
        from transformer_lens.model_bridge import TransformerBridge

        super().__init__(shape)
        words = {"<s>": 1, **{str(number): number for number in range(2, shape["vocab"])}, "0": 0}
        tokenizer = transformers.PreTrainedTokenizerFast(
            tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="0")), bos_token="<s>", eos_token="<s>", pad_token="<s>"
        )
        with tempfile.TemporaryDirectory() as folder:
            self.model.config.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
            self.model.config.architectures = [type(self.model).__name__]
            self.model.config.save_pretrained(folder)
            self.bridge = TransformerBridge.boot_transformers(folder, hf_model=self.model, tokenizer=tokenizer)

    def without(self, heads: list[Head], options: dict[str, Any]) -> torch.Tensor:
        def zero(head: int) -> Callable[[torch.Tensor, Any], torch.Tensor]:
            def hook(values: torch.Tensor, hook: Any) -> torch.Tensor:
                values = values.clone()
                values[:, :, head] = 0
                return values

            return hook

        hooks = [(f"blocks.{layer}.attn.hook_z", zero(head)) for layer, head in heads]
        found: torch.Tensor = self.bridge.run_with_hooks(self.ids, fwd_hooks=hooks, **options)
        return found


class Claimbench:
    """This package."""

    def __init__(self, shape: Request) -> None:
        from claimbench.subjects.lm import LM
        from claimbench.subjects.tokens import Tokens

        self.shape = shape
        self.lm = LM(model_of(shape), tokens=Tokens(np.arange(3, shape["vocab"]), bos=1))
        _ = self.lm.instrument

    def answer(self, request: Request) -> Answer:
        from claimbench import sweeps

        found, lm = Answer(), self.lm
        ids = ids_of(self.shape, request.get("seed", 0))
        measure = sweeps.last_token_loss(targets_of(self.shape)) if request.get("last") else sweeps.loss()
        if request["do"] == "screen":
            rng = np.random.default_rng(request.get("seed", 0))
            with clock(found):
                made = sweeps.screened(lm, sweeps.heads(lm), ids, measure, request["top"], rng)
            names = [made.names[number] for number in made.top]
            return {**found, "top": sorted(names), "confirmed": len(made.confirmed), "missed": made.missed, "sampled": made.sampled}
        if request["do"] == "late":
            sites = [f"L{at}.mlp@{position}" for at, position in request["sites"]]
            with clock(found):
                swept = sweeps.sweep(lm, sites, ids, sweeps.last_token_loss(targets_of(self.shape)))
            return {**found, "values": swept.values.mean(1).tolist()}
        variants: list[Any] = [[(at, head) for at, head in one] for one in request["sets"]]
        lm.batch_size = request.get("batch")
        before, peak = _memory(), [0]
        stop = threading.Event()
        watcher = threading.Thread(target=_watch, args=(stop, peak))
        if request.get("memory"):
            watcher.start()
        with clock(found):
            swept = sweeps.sweep(lm, variants, ids, measure)
        stop.set()
        values = swept.values.mean(1)
        best = sorted(swept.names[number] for number in swept.top(request.get("top", 1)))
        best = [name.removeprefix("ablated ").removesuffix(" (zero)") for name in best]
        grown = max(0, peak[0] - before) / 2**20
        return {**found, "values": values.tolist(), "top": best, "batch": swept.batch, "naive": len(swept.naive), "grown_mb": grown}


class Matmuls:
    """The floor: the matrix products of a head that a sweep cannot avoid, mean over all, at the rate at which torch does them."""

    def __init__(self, shape: Request) -> None:
        self.shape = shape

    def answer(self, request: Request) -> Answer:
        s, last = self.shape, request.get("last", False)
        width, tokens = s["width"], s["rows"] * s["length"]
        if s["family"] == "gpt2":
            inner = {"q": width, "kv": 2 * width, "o": width}
            mlp = [(width, 4 * width), (4 * width, width)]
        else:
            inner = {"q": width, "kv": 2 * width * s["groups"] // s["heads"], "o": width}
            hidden = int(width * 8 / 3) // 32 * 32
            mlp = [(width, hidden), (width, hidden), (hidden, width)]
        attention = {name: _product(tokens, width, out) for name, out in inner.items()}
        after = sum(_product(tokens, *pair) for pair in mlp)
        layer = sum(attention.values()) + after
        unembed = _product(s["rows"] if last else tokens, width, s["vocab"])
        total = 0.0
        for at in range(s["layers"]):
            behind = s["layers"] - 1 - at
            if not last:
                total += s["heads"] * (after + behind * layer + unembed)
            else:  # of the last layer only keys and values are needed at all positions
                total += s["heads"] * ((after + (behind - 1) * layer + attention["kv"] if behind else 0.0) + unembed)
        return {"seconds": total / (s["layers"] * s["heads"]), "layer": layer, "unembed": unembed}


class Tasks:
    """lm-eval's own model around a random one, and this package's `evaluate`, on a task that ships."""

    SHIPPED, FILES = "claimbench_word_pairs", ("word_pairs.yaml", "word_pairs.jsonl", "items.py")

    def __init__(self, shape: Request) -> None:
        from claimbench.subjects.loading import live_model, tokenizer_of

        import lm_eval  # noqa: F401

        tokenizer = tokenizer_of("stories260K")
        self.model = model_of({**shape, "vocab": len(tokenizer)})
        self.lm = live_model(self.model, tokenizer)
        self.folder = tempfile.TemporaryDirectory()

    def _task(self, times: int) -> str:
        """The shipped task with its lines so many times, each time begun otherwise: lm-eval runs equal ones once."""
        from claimbench.subjects.shipped import shipped_root

        name = f"{self.SHIPPED}_{times}"
        for file in self.FILES:
            text = (shipped_root() / "fixtures" / "tasks" / file).read_text()
            if file.endswith("jsonl"):
                text = "".join(text.replace('"prompt": "', f'"prompt": "{"so " * time}') for time in range(times))
            text = text.replace(self.SHIPPED, name)
            (Path(self.folder.name) / file).write_text(text)
        return name

    def answer(self, request: Request) -> Answer:
        found, task = Answer(), self._task(request["times"])
        heads = [(at, head) for at, head in request.get("heads", ())]
        views = {"own": self.lm, "zero": self.lm.without(heads, "zero"), "mean": self.lm.without(heads, "mean")}
        with clock(found):
            if request["do"] == "stock":
                self._stock(task)
            else:
                from claimbench.lm_eval import evaluate

                evaluate(views[request["do"]], task, include=self.folder.name)
        return found

    def _stock(self, task: str) -> None:
        import copy

        from lm_eval.models.huggingface import HFLM
        from lm_eval.tasks import TaskManager

        import lm_eval

        lm_eval.simple_evaluate(
            model=HFLM(pretrained=self.model, tokenizer=copy.deepcopy(self.lm.tokenizer), batch_size=8, max_length=self.lm.context),
            tasks=[task],
            task_manager=TaskManager(include_path=self.folder.name, include_defaults=False),
            bootstrap_iters=0,
        )


class Claims:
    """A claim on a random model from its prompts to its verdict, and its forward passes with nothing around them."""

    def __init__(self, shape: Request) -> None:
        from claimbench.subjects.loading import tokenizer_of

        self.tokenizer = tokenizer_of("stories260K")
        self.model = model_of({**shape, "vocab": len(self.tokenizer)})

    def answer(self, request: Request) -> Answer:
        found, passes = Answer(), list[torch.Tensor]()
        note = self.model.register_forward_pre_hook(lambda _, args, kwargs: passes.append(kwargs["input_ids"]), with_kwargs=True)
        with clock(found):
            verdict, replicates = self._run(request["seed"])
        note.remove()
        bare = Answer()
        with torch.no_grad(), clock(bare):
            for ids in passes:
                self.model(input_ids=ids, use_cache=False)
        sequences, asked = sum(len(ids) for ids in passes), 2 * beside("overhead").ROWS * replicates
        told = {"verdict": verdict, "replicates": replicates, "sequences": sequences, "asked": asked}
        return {**found, "bare": bare["seconds"], **told}

    def _run(self, seed: int) -> tuple[str, int]:
        import claimbench

        overhead = beside("overhead")
        with tempfile.TemporaryDirectory() as store:
            (found, *_) = claimbench.run(self.model, self.tokenizer, claims=[overhead.rises], store=store, seed=seed)
        if found.verdict == "ERROR":
            raise RuntimeError(found.reason)
        return str(found.verdict), len(found.replicates)


def beside(name: str) -> Any:
    """A module of this folder, which stands behind the standard library: a file here has the name of a part of it."""
    if os.path.dirname(__file__) not in sys.path:
        sys.path.append(os.path.dirname(__file__))
    return importlib.import_module(name)


def _product(rows: int, inputs: int, outputs: int) -> float:
    """Processor seconds of one product, the median of three."""
    x, weight = torch.randn(rows, inputs), torch.randn(outputs, inputs)
    times = []
    for _ in range(4):
        began = time.process_time()
        torch.nn.functional.linear(x, weight)
        times.append(time.process_time() - began)
    return sorted(times[1:])[1]


def _memory() -> int:
    """Bytes that this process has asked for as data: what of it is in memory comes and goes as the system reclaims pages."""
    import psutil

    found = psutil.Process().memory_info()
    return int(getattr(found, "data", found.rss))


def _watch(stop: threading.Event, peak: list[int]) -> None:
    while not stop.wait(0.005):
        peak[0] = max(peak[0], _memory())


SIDES: dict[str, Callable[[Request], Any]] = {
    "claimbench": Claimbench,
    "hooks": Hooks,
    "nnsight": NNsight,
    "transformer_lens": TransformerLens,
    "matmuls": Matmuls,
    "tasks": Tasks,
    "claims": Claims,
}


def main() -> None:
    torch.set_num_threads(THREADS)
    out, sys.stdout = sys.stdout, sys.stderr
    try:
        side = SIDES[sys.argv[1]](json.loads(sys.argv[2]))
    except ImportError as error:
        print(json.dumps({"missing": str(error)}), file=out, flush=True)
        return
    print(json.dumps({"ready": sys.argv[1]}), file=out, flush=True)
    for line in sys.stdin:
        print(json.dumps(side.answer(json.loads(line))), file=out, flush=True)


if __name__ == "__main__":
    main()
