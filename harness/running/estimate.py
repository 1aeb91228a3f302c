"""What a replicate on a given model costs, from a short probe of that model, or from its configuration where it is too large."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import LoadError
from ..subjects.files import check_path

if TYPE_CHECKING:
    import torch

    from ..subjects import LM
    from .item import Subject
    from .subjects import Subjects
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

#: Tokens of a typical prompt of a shipped claim: a beginning, and 20 to 50 tokens twice.
LENGTH = 80
#: A longer sequence that is probed too, so that a plan says how seconds grow with the length.
LONGER = 4 * LENGTH
#: Rows of the probe, and how often it is repeated; the fastest counts, since others use the machine too.
ROWS, REPEATS = 8, 7
#: A process with torch and transformers before it holds a model, MB.
LIBRARIES = 600.0
#: A model is probed when its weights take at most this share of the free memory; loading may hold some of them twice.
SHARE = 0.5


@dataclass(frozen=True)
class Pace:
    """What one sequence of `LENGTH` tokens takes on a model: seconds, and the memory of the process.

    loaded: from a probe, else from the configuration alone. longer: tokens and seconds of a longer sequence, `LONGER` or
    what the context holds; None where that is no longer.
    """

    seconds: float
    megabytes: float
    loaded: bool
    longer: tuple[int, float] | None = None


def pace_of(subject: Subject, subjects: Subjects, most_mb: float | None = None) -> Pace:
    """The pace of a given model, probed where its weights fit in memory (and in `most_mb`), else computed.

    Raises:
        UsageError, LoadError: the model cannot be read.
    """
    if subject.path is None:
        return _probed(subjects.get(subject, 0))
    from .measure import peak_memory_mb

    shape = _Shape.of(subject.path, subjects.dtype)
    computed = LIBRARIES + shape.megabytes
    room = SHARE * free_memory_mb() if subjects.device == "cpu" else computed
    if not shape.complete or computed > room or (most_mb is not None and computed > most_mb):
        rate = matmul_rate(shape.width, shape.dtype, subjects.device)
        return Pace(shape.flops(LENGTH) / rate, computed, False, (LONGER, shape.flops(LONGER) / rate))
    found = _probed(subjects.get(subject, 0))
    return replace(found, megabytes=max(found.megabytes, peak_memory_mb()))


def _probed(lm: LM | None) -> Pace:
    """Seconds of one sequence in a batch, and the largest memory of this process so far."""
    from .measure import peak_memory_mb

    assert lm is not None
    length, rng = min(LENGTH, lm.context), np.random.default_rng(0)

    def seconds(tokens: int, rows: int) -> float:
        ids = rng.integers(lm.vocab, size=(rows, tokens))
        lm.logits(ids)  # the first pass sets things up
        return _fastest(lambda: lm.logits(ids), lm.device.type) / rows

    one = seconds(length, ROWS) * LENGTH / length
    more = min(LONGER, lm.context)
    longer = (more, seconds(more, max(1, ROWS * LENGTH // more))) if more > LENGTH else None
    lm.recorder.reset()
    return Pace(one, peak_memory_mb(), True, longer)


@dataclass(frozen=True)
class _Shape:
    """What a configuration says: weights, those that multiply, width, layers, and the dtype that they would be held in."""

    weights: int
    multiplied: int
    width: int
    inner: int
    layers: int
    vocab: int
    dtype: str
    complete: bool  # whether the weights are there too: a plan may come before a download

    @classmethod
    def of(cls, path: str, dtype: str) -> _Shape:
        """Read it from a folder or name; the network is built without memory for its weights."""
        folder = Path(path).expanduser()
        complete = not folder.is_dir() or any(folder.glob("*.safetensors"))
        folder = check_path(path) if complete else folder
        config, model = _skeleton(folder)
        text = config.get_text_config(decoder=True)
        weights = sum(parameter.numel() for parameter in model.parameters())
        head = model.get_output_embeddings()
        embedding = model.get_input_embeddings()
        tied = head is not None and head.weight is embedding.weight
        stored = str(getattr(config, "dtype", None) or "float32").removeprefix("torch.")
        return cls(
            weights,
            weights - (0 if tied else embedding.weight.numel()),  # looking a token up multiplies nothing
            int(text.hidden_size),
            int(getattr(text, "intermediate_size", None) or 4 * text.hidden_size),
            int(text.num_hidden_layers),
            int(text.vocab_size),
            stored if dtype == "auto" else dtype,
            complete,
        )

    @property
    def megabytes(self) -> float:
        """Weights, and the activations of one pass: logits, and a few of the widest layer's."""
        from ..subjects.lm import LOGIT_BYTES, MOST_TOKENS

        tokens = min(MOST_TOKENS, max(LENGTH, LOGIT_BYTES // (4 * self.vocab)))
        size: int = getattr(torch, self.dtype).itemsize
        return (self.weights * size + 2 * tokens * 4 * self.vocab + 4 * tokens * size * self.inner) / 1e6

    def flops(self, length: int) -> float:
        """Operations of one sequence: two for each weight and token, and attention. All experts of a mixture count."""
        return 2.0 * length * self.multiplied + 4.0 * self.layers * length**2 * self.width


def _skeleton(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoConfig, AutoModelForCausalLM

    build: Any = AutoModelForCausalLM
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(folder, **local)
        with torch.device("meta"):
            return config, build.from_config(config, trust_remote_code=False)
    except Exception as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise LoadError(f"{folder} cannot be planned for, its configuration is not understood: {said}") from None


def matmul_rate(width: int, dtype: str, device: str) -> float:
    """Operations a second that this machine reaches in products of `LENGTH` rows with a square matrix of this width."""
    width = min(max(width, 64), 4096)
    kind = getattr(torch, dtype)
    with torch.no_grad():
        rows = torch.ones(LENGTH, width, dtype=kind, device=device)
        matrix = torch.ones(width, width, dtype=kind, device=device)

        def product() -> None:
            for _ in range(4):
                rows @ matrix
            if device != "cpu":
                float((rows @ matrix)[0, 0])  # waits for the device

        product()
        return 4 * 2.0 * LENGTH * width**2 / _fastest(product, device)


def busy() -> str | None:
    """That others use this machine, with the numbers: more processes want to run than there are cores. None when not."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    return f"load average {load:.1f} on {cores} {'core' if cores == 1 else 'cores'}" if load > cores else None


def _fastest(work: Callable[[], Any], device: str = "cpu") -> float:
    """Seconds of the fastest of a few calls, as they would be if this process had the machine for itself.

    On a busy machine a call waits for others, so that its processor time, shared out over the threads, counts there.
    """
    walls, processors = [], []
    for _ in range(REPEATS):
        wall, processor = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
    alone = min(processors) / torch.get_num_threads()
    return min(walls) if device != "cpu" or not busy() else min(min(walls), alone)


def free_memory_mb() -> float:
    """Memory that a process can still take here, MB; all there is where the system does not tell."""
    try:
        with open("/proc/meminfo") as file:
            for line in file:
                if line.startswith("MemAvailable"):
                    return int(line.split()[1]) / 1000
    except OSError:
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6
