"""Interventions that hold while the model is used from outside: in training, with gradients, and in generation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import DeclarationError, InvalidMeasurement, NotApplicable, UsageError
from .attachable import Weights, check_weights, weights_of
from .attention import Plan, current
from .changes import Change, Patch, Set, Source
from .changing import Changing
from .heads import Removal
from .instrument import evaluating
from .padding import Batch
from .sites import Site

if TYPE_CHECKING:
    import torch
    from numpy.random import Generator
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

WHEN = ("every step", "prompt")
Alter = Callable[[str, int, "torch.Tensor"], "torch.Tensor"]
#: sequences of a pass and how many columns a cache holds before it -> what is done in it; None: nothing
Pass = Callable[[Batch, int], Alter | None]


def changes_of(lm: Any) -> tuple[Change, ...]:
    """All interventions of a view as changes, removals of heads first."""
    return (*(_as_change(lm, made) for made in lm.removals), *lm.changes)


def _as_change(lm: Any, made: Removal) -> Change:
    by_layer: dict[int, list[int]] = {}
    for layer, head in made.heads:
        by_layer.setdefault(layer, []).append(head)
    sites = tuple(Site(layer, "z", tuple(heads), None, "H") for layer, heads in by_layer.items())
    source = None if made.mode == "zero" else Source(made.mode, lm.plain(), seed=made.seed)
    return Patch(sites, str(made), source)


@contextmanager
def held(lm: Any) -> Iterator[Any]:
    """The model, every forward pass of which is made under the view's interventions, with gradients where they flow.

    Sources run first in each pass, on its ids (and mask and positions), without gradient and without dropout. The
    first pass is measured for the receipts: where nothing trains beside a plain run of its first few rows, else once
    more in eval mode. Another receipt at the end counts the sequences that were held.
    """
    changes = changes_of(lm)
    if not changes:
        raise DeclarationError("nothing is to be held: make a view first, like lm.patched(...).held()")
    model, fired, passes = lm.model, Counter[int](), 0
    measured: list[tuple[Changing, Weights]] = []  # the first pass, while it runs

    def begin(batch: Batch, start: int) -> Alter:
        nonlocal passes
        if start:
            raise UsageError("a model that is held takes whole sequences: pass no cache, or use generate of the view")
        if model.training and any(getattr(part, "gradient_checkpointing", False) for part in model.modules()):
            raise UsageError("gradient checkpointing runs layers again outside the pass: call gradient_checkpointing_disable()")
        lm._fitting(batch)
        rows = slice(0, len(batch))
        steady = not torch.is_grad_enabled() and not any(part.training for part in model.modules())
        if not passes and not steady:
            measure(batch)
        with evaluating(model):
            run = Changing(lm, batch, [rows], changes=changes, audit=not passes and steady)
            run.plan(rows)
        measured.clear()
        if run.audit:
            measured.append((run, weights_of(model)))
        else:
            run.fired = fired
        passes += 1
        return run.writer(rows)

    def measure(batch: Batch) -> None:
        with evaluating(model):
            for _ in lm._passes(batch):
                pass

    def end(output: Any) -> None:
        if measured:
            run, before = measured.pop()
            logits = getattr(output, "logits", None)
            if logits is None or tuple(logits.shape[:2]) != tuple(run.batch.shape):
                measure(run.batch)  # the caller asked for some of the logits only
            else:
                check_weights(model, before, lm.name)
                run.saw(slice(0, len(run.batch)), logits)
                run.finish()
            fired.update(run.fired)
        if not torch.is_grad_enabled():
            return
        given = ((str(change), change.values) for change in changes if isinstance(change, Set))
        vectors = {what: values for what, values in given if values is not None and values.requires_grad}
        learns = bool(vectors) or any(weight.requires_grad for weight in model.parameters())
        if learns and not output.logits.requires_grad:
            raise InvalidMeasurement(
                f"no gradient flows to the logits: {'; '.join(map(str, changes))} cut every path from the weights that learn"
            )
        if vectors and passes == 1:  # whether each has a path is a matter of the interventions, so one pass tells
            total = output.logits.float().sum()
            found = torch.autograd.grad(total, list(vectors.values()), retain_graph=True, allow_unused=True)
            for what, gradient in zip(vectors, found, strict=True):
                if gradient is None:
                    raise InvalidMeasurement(f"no gradient flows to the values of {what!r}: a later change overwrites them")

    with _in_force(lm, changes, begin, end):
        yield model
    if not passes:
        raise InvalidMeasurement(
            f"{'; '.join(map(str, changes))}: the model was never called while this was held: call what `held()` gives, not "
            "a compiled or wrapped copy of it"
        )
    _record(lm, changes, fired, "held")


def generate(lm: Any, given: Batch, when: str, rng: Generator | None, options: dict[str, Any]) -> torch.Tensor:
    """The sequences [rows, length] that the model generates from prompts [n, seq] under the view's interventions.

    Prompts of unequal lengths are padded before their first token, and so they come back.

    Args:
        when: "every step", or "prompt": only in the pass over the prompt, whose cache later steps read.
        rng: seeds sampling; needed where `do_sample` is set.
        options: those of transformers' `generate`.

    Raises:
        DeclarationError: interventions that know their rows or positions (sources, resampling, means by position) in
            every step, or with beams.
    """
    if when not in WHEN:
        raise DeclarationError(f"interventions hold in generation at {' or '.join(map(repr, WHEN))}; {when!r} was given")
    if options.get("do_sample") and rng is None:
        raise DeclarationError("sampling draws tokens: pass rng=")
    expanded = options.get("num_beams", 1) > 1 or options.get("num_return_sequences", 1) > 1
    changes, fired = changes_of(lm), Counter[int]()
    prompt, batch = given.compact(), given.leftward()
    length = prompt.shape[1] + int(options.get("max_new_tokens") or 0)
    if length > lm.context:
        raise NotApplicable(f"sequences of {length} tokens would be generated; the context of {lm.name} holds {lm.context}")
    cached = options.get("use_cache", True)
    for change in changes:
        if change.per_row and (expanded or when != "prompt"):
            raise DeclarationError(
                f"{change}: its values are of the prompt's rows and positions: use when='prompt' without beams or "
                "several returned sequences"
            )
        if options.get("num_beams", 1) > 1 and _by_token(change):
            raise DeclarationError(f"{change}: beams move rows in the cache, so keys cannot be named by tokens")
    if when == "prompt" and not cached:
        raise DeclarationError("without a cache the prompt is run again in every step: use when='every step'")
    if changes:
        for _ in lm._passes(prompt):  # the receipts, on the prompt
            pass
    run = Changing(lm, prompt, [slice(0, len(prompt))], changes=changes, audit=False)
    run.plan(slice(0, len(prompt)))
    run.fired = fired
    past: list[torch.Tensor] = []

    def begin(now: Batch, start: int) -> Alter | None:
        whole = now.ids if not start else torch.cat([past[-1], now.ids], 1)
        past[:] = [whole]
        if when == "prompt" and start:
            return None
        rows = slice(0, len(now))
        if batch.begin is None or batch.length is None:
            return run.writer(rows, now.ids, start, batch.shape[1], whole)
        before, length = (each.repeat_interleave(len(now) // len(batch)) for each in (batch.begin, batch.length))
        every = Batch(whole, before, whole.shape[1] - before)
        if not start:
            return run.writer(rows, every, 0, length[:, None], every)
        return run.writer(rows, now.ids, start - before[:, None], length[:, None], every)

    with torch.random.fork_rng(enabled=rng is not None), torch.no_grad():
        if rng is not None:
            torch.manual_seed(int(rng.integers(2**63)))
        with _in_force(lm, changes, begin, lambda _: None):
            found: torch.Tensor = lm.model.generate(input_ids=batch.ids, **batch.options, **options)
    if changes:
        _record(lm, changes, fired, f"in generation, {when}")
    return found


@contextmanager
def _in_force(lm: Any, changes: Sequence[Change], begin: Pass, end: Callable[[Any], None]) -> Iterator[None]:
    """Passes of the model inside are altered by what `begin` gives for each; the model is restored afterwards."""
    now: list[Alter] = []
    outer: list[Any] = []  # the module whose call is a pass: adapters call the model inside theirs, or generate calls it
    sites = {(change.at_kind or site.kind, site.layer) for change in changes for site in change.sites}
    sites |= {(site.kind, site.layer) for change in changes for site in change.reads}
    plan = Plan(alter=lambda kind, layer, values: now[0](kind, layer, values) if now else values, wanted=frozenset(sites))

    def before(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        found = current()
        if found is None or found.plan is not plan or outer:  # a plain pass, a source's, or a part of one
            return
        now.clear()
        outer.append(module)
        ids = args[0] if args else kwargs.get("input_ids")
        if not isinstance(ids, torch.Tensor) or ids.dim() != 2:
            raise UsageError("interventions act on token ids: pass input_ids [rows, seq], not inputs_embeds")
        cache = kwargs.get("cache", kwargs.get("past_key_values"))  # the name differs by version
        plan.rows = len(ids)
        start = 0 if cache is None else int(cache.get_seq_length())
        made = begin(Batch(ids) if start else _given(ids, kwargs), start)
        if made is not None:
            now.append(made)

    def after(module: Any, _: Any, output: Any) -> None:
        found = current()
        if found is not None and found.plan is plan and outer and outer[0] is module:
            now.clear()
            outer.clear()
            if output is not None:  # None: the call raised
                end(output)

    handles = []
    try:
        with lm.instrument.attached(plan):
            inner = lm.model.get_base_model() if hasattr(lm.model, "get_base_model") else lm.model
            for module in dict.fromkeys((lm.model, inner)):
                handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
                handles.append(module.register_forward_hook(after, always_call=True))
            yield
    finally:
        for handle in handles:
            handle.remove()


def _given(ids: torch.Tensor, kwargs: dict[str, Any]) -> Batch:
    """The sequences of a call of the model, padded as its mask says."""
    options = {name: kwargs[name] for name in ("attention_mask", "position_ids") if isinstance(kwargs.get(name), torch.Tensor)}
    mask = options.get("attention_mask")
    if "position_ids" in options:
        options["position_ids"] = options["position_ids"].expand(len(ids), -1)
    return Batch(ids, options=options) if mask is None else Batch.masked(ids, mask, options)


def _by_token(change: Change) -> bool:
    """Whether keys of earlier steps are named by what token they are."""
    edges = getattr(change, "edges", None)
    places = [site.where for site in change.sites if site.kind in ("k", "v")] + [edges and edges.keys]
    return any(place and (place.tokens or place.token_class) for place in places)


def _record(lm: Any, changes: Sequence[Change], fired: Counter[int], how: str) -> None:
    """Receipts that count the sequences; how far things moved stands in those of the measured pass."""
    for number, change in enumerate(changes):
        if not fired[number]:
            raise InvalidMeasurement(f"{change}: its sites were never reached: the intervention did not happen")
        known = [receipt for receipt in lm.recorder.receipts if receipt.intervention == str(change)]
        if not known:
            continue  # a removal all of whose heads a later one names
        lm.recorder.receipts.append(replace(known[-1], intervention=f"{change} ({how})", fired=fired[number]))
