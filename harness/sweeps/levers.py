"""Which levers a model bears: each is tried on a probe, and used only where it gives the plain model's logits."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..errors import NotApplicable
from ..interventions.attention import Plan
from ..interventions.identity import IDENTITY, difference
from ..interventions.instrument import Instrument, evaluating, plain_forward
from . import precision
from .split import Inner, Shapes, Split, Start

if TYPE_CHECKING:
    import torch
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")


@dataclass
class Levers:
    """A split model and what may be left out in it.

    split: None where a pass cannot begin at a layer. inside: layers whose attention block a pass can begin inside.
    refused: by lever, why it is not used. trial: what levers are tried on; those that not every sweep needs are tried
    when one first does.
    """

    split: Split | None = None
    inside: frozenset[int] = frozenset()
    refused: dict[str, str] = field(default_factory=dict)
    trial: Trial | None = None

    @cached_property
    def trims(self) -> bool:
        """Whether the last layer can run at some positions only."""
        return self.trial is not None and self.trial.trims(self)

    @cached_property
    def reuses(self) -> bool:
        """Whether positions before the first that changes need not run: keys and values are those of the plain run."""
        return self.trial is not None and self.trial.reuses(self)

    @cached_property
    def lower(self) -> bool:
        """Whether matrix products in bfloat16 are faster here, for a pass that only orders variants."""
        return self.split is not None and precision.faster(self.split.model.modules())


@dataclass
class Trial:
    """A probe [rows, seq] and its plain pass: logits, what each layer takes and the last one gives, head outputs."""

    split: Split
    probe: torch.Tensor
    plain: torch.Tensor
    streams: list[torch.Tensor] = field(default_factory=list)
    heads: list[torch.Tensor] = field(default_factory=list)

    def begins(self, found: Levers) -> None:
        """Passes begin at every layer, quickened where that gives the same; NotApplicable where they cannot begin."""
        split, failed, tried = self.split, None, []
        fused, products = split.fused, split.products
        for way in itertools.product((fused, []), (products, [])):
            if way in tried:
                continue
            tried.append(way)
            split.fused, split.products = way
            try:
                _look_inside(split, self.probe)
                self.streams, self.heads = _walk(split, self.probe)
                self.compare(self._starts())
            except Exception as error:  # family code that was never meant to be run in parts may fail in any way
                failed = failed or error
                continue
            for lever, kept, had in (
                ("one kernel for the activation", split.fused, fused),
                ("matrix products by oneDNN", split.products, products),
            ):
                if had and not kept:
                    found.refused[lever] = str(failed)
            return
        assert failed is not None
        raise failed

    def inside(self, found: Levers) -> frozenset[int]:
        return frozenset(
            at
            for at, inner in enumerate(self.split.inner)
            if inner is not None and self.bears(found, f"begin inside layer {at}", [Start(at, self.streams[at], self.heads[at])])
        )

    def trims(self, found: Levers) -> bool:
        last = len(self.split.layers) - 1
        inner = self.split.inner[last]
        if inner is None or not inner.trims or last not in found.inside:
            return False
        starts = [Start(at, self.streams[at]) for at in {0, last, last + 1}]
        starts.append(Start(last, self.streams[last], self.heads[last]))
        end = self.probe.shape[1] - 1
        return all(self.bears(found, "some positions of the last layer", starts, keep) for keep in ((end,), (1, end - 1)))

    def reuses(self, found: Levers) -> bool:
        lever = "keys and values before a changed position"
        try:
            with evaluating(self.split.model):
                past = self.split.past(self.probe)
        except Exception as error:  # as above
            found.refused[lever] = f"{type(error).__name__}: {error}"
            return False
        starts = []
        for position in {1, self.probe.shape[1] - 1}:
            rest, after = ([part[:, position:].contiguous() for part in parts] for parts in (self.streams, self.heads))
            starts += [Start(at, stream, None, position, past) for at, stream in enumerate(rest)]
            starts += [Start(at, rest[at], after[at], position, past) for at in found.inside]
        return self.bears(found, lever, starts)

    def bears(self, found: Levers, lever: str, starts: list[Start], keep: tuple[int, ...] | None = None) -> bool:
        """Whether passes from these starts give the plain logits; if not, `found` says why."""
        try:
            self.compare(starts, keep)
        except NotApplicable as why:
            found.refused[lever] = str(why)
        except Exception as error:  # as above
            found.refused[lever] = f"{type(error).__name__}: {error}"
        else:
            return True
        return False

    def compare(self, starts: list[Start], keep: tuple[int, ...] | None = None) -> None:
        """NotApplicable where a pass gives other logits than the plain one."""
        wanted = self.plain if keep is None else self.plain[:, list(keep)]
        with evaluating(self.split.model):
            for start in starts:
                logits = self.split.head(self.split.body(self.probe, Plan(), start, keep))
                error = difference(wanted, logits) if logits.shape == wanted.shape else float("inf")
                if not error <= IDENTITY:
                    where = f"layer {start.layer}" + (" after its heads" if start.heads is not None else "")
                    family = self.split.instrument.family
                    raise NotApplicable(f"a pass of {family} that begins at {where} gives logits that differ by {error:.2g}")

    def _starts(self) -> list[Start]:
        return [Start(at, stream) for at, stream in enumerate(self.streams)]


def find(instrument: Instrument, probe: torch.Tensor) -> Levers:
    """The levers of a model, by comparing logits on ids [rows, seq] with those of its plain pass."""
    model, found = instrument.model, Levers()
    with evaluating(model):
        plain = plain_forward(model, probe).logits
        for base in ("base_model", "get_decoder"):  # what the head's own code calls differs by family
            try:
                part = getattr(model, base)
                trial = Trial(Split(instrument, part() if base == "get_decoder" else part), probe, plain)
                trial.begins(found)
            except NotApplicable as why:
                found.refused["begin at a layer"] = str(why)
            except Exception as error:  # as above
                found.refused["begin at a layer"] = f"{type(error).__name__}: {error}"
            else:
                found.split, found.trial = trial.split, trial
                found.refused.pop("begin at a layer", None)
                found.inside = trial.inside(found)
                break
    return found


def _walk(split: Split, probe: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """What each layer takes and what the last one gives; the head outputs of each."""
    streams: list[torch.Tensor] = []
    heads: list[torch.Tensor] = []

    def keep(_: str, __: int, outputs: torch.Tensor) -> torch.Tensor:
        heads.append(outputs.clone())
        return outputs

    given: torch.Tensor | None = None
    for layer in range(len(split.layers)):
        taken, given = split.step(probe, Plan(alter=keep, wanted=frozenset({("z", layer)})), layer, given)
        streams.append(taken)
    assert given is not None
    return [*streams, given], heads


def _look_inside(split: Split, probe: torch.Tensor) -> None:
    """What layers and blocks hand over, and each block's output projection and the norm before it, by what they compute."""
    instrument, outputs = split.instrument, dict[int, torch.Tensor]()
    calls: list[list[tuple[Any, torch.Tensor | None, torch.Tensor | None, int]]] = [[] for _ in split.layers]

    def note(number: int) -> Callable[..., None]:
        def hook(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
            taken = args[0] if args else kwargs.get("hidden_states")
            given = output[0] if isinstance(output, tuple) and output else output
            kept = [part.detach().clone() if isinstance(part, torch.Tensor) else None for part in (taken, given)]
            calls[number].append((module, kept[0], kept[1], len(output) if isinstance(output, tuple) else 0))

        return hook

    def keep(_: str, layer: int, values: torch.Tensor) -> torch.Tensor:
        outputs[layer] = values.clone()
        return values

    with ExitStack() as stack:
        for number, layer in enumerate(split.layers):
            for part in layer.modules():
                stack.callback(part.register_forward_hook(note(number), with_kwargs=True).remove)
        wanted = frozenset(("z", number) for number in range(len(split.layers)))
        instrument.forward(probe, Plan(alter=keep, wanted=wanted))
    for number, seen in enumerate(calls):
        block, layer = instrument.modules[number], split.layers[number]
        whole = next(call for call in seen if call[0] is layer)
        mine = next((call for call in seen if call[0] is block), None)
        split.shapes[number] = Shapes(whole[3], mine[3] if mine else 0)
        if mine is not None and number in outputs:
            split.inner[number] = _inner(seen, whole, mine, outputs[number].flatten(-2), instrument.kind == "interface")


def _inner(
    seen: list[tuple[Any, torch.Tensor | None, torch.Tensor | None, int]],
    whole: tuple[Any, torch.Tensor | None, torch.Tensor | None, int],
    mine: tuple[Any, torch.Tensor | None, torch.Tensor | None, int],
    joined: torch.Tensor,
    interface: bool,
) -> Inner | None:
    """None where what the block gives is not one module's function of its head outputs."""
    inside = {id(part) for part in mine[0].modules()} - {id(mine[0])}
    fits = [call[0] for call in seen if id(call[0]) in inside and _same(call[1], joined) and _same(call[2], mine[2])]
    if not fits:
        return None
    if _same(mine[1], whole[1]):
        return Inner(mine[0], fits[-1], None, interface)
    norms = [call[0] for call in seen if call[0] is not whole[0] and _same(call[1], whole[1]) and _same(call[2], mine[1])]
    return Inner(mine[0], fits[-1], norms[0] if norms else None, interface and bool(norms))


def _same(one: torch.Tensor | None, other: torch.Tensor | None) -> bool:
    return one is not None and other is not None and one.shape == other.shape and torch.equal(one, other)
