"""A model in two parts, body and head, whose body can begin at any layer: what a sweep leaves out, it does not compute.

Nothing of a family is known here. Layers before the first one that runs are passed through by putting a function in
place of their `forward` for the time of a pass; the family's own code makes masks, rotary tables, norms and logits. What
a lever gives is compared with the plain model on a probe before it is used; see `levers`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import NotApplicable
from ..interventions.attention import Plan
from ..interventions.instrument import _lock as lock
from .products import by_onednn, faster

if TYPE_CHECKING:
    import torch

    from ..interventions.instrument import Instrument
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")


#: Activations of transformers that compute GELU's tanh form in eight steps, where torch has one kernel for it.
TANH = ("NewGELUActivation", "FastGELUActivation", "GELUTanh")


@dataclass(frozen=True)
class Shapes:
    """How many things a layer and its attention block hand over: 0 for a bare tensor, else the length of the tuple."""

    layer: int
    block: int


@dataclass(frozen=True)
class Inner:
    """An attention block that a pass can begin inside: `projection` maps head outputs, flattened, to what it gives.

    norm: gives what the block takes from what its layer takes; None where that is the same, and where `trims` is False.
    """

    block: Any
    projection: Any
    norm: Any = None
    trims: bool = False


@dataclass(frozen=True)
class Past:
    """What a run without interventions leaves behind: of each layer keys and values, and what the head takes.

    keys, values: by layer, [rows, key heads, seq, head_dim]. hidden: [rows, seq, width].
    """

    keys: list[torch.Tensor]
    values: list[torch.Tensor]
    hidden: torch.Tensor

    def of(self, rows: slice, many: int) -> Past:
        """Some rows, so many times over."""
        keys, values = ([part[rows].repeat(many, 1, 1, 1) for part in parts] for parts in (self.keys, self.values))
        return Past(keys, values, self.hidden[rows].repeat(many, 1, 1))


@dataclass
class Start:
    """Where a pass begins: at `layer`, which takes `stream` [rows, seq, width]; None: embeddings, at layer 0.

    heads: outputs of this layer's heads [rows, seq, heads, head_dim]; with them the layer begins at its output projection.
    past: of positions before `position`, which are not run; stream and heads are then those of the others.
    """

    layer: int = 0
    stream: torch.Tensor | None = None
    heads: torch.Tensor | None = None
    position: int = 0
    past: Past | None = None


class Split:
    """Body (`base`) and head of the model behind an instrument; the body's layers are those of its residual stream."""

    def __init__(self, instrument: Instrument, base: Any) -> None:
        self.instrument, self.model, self.base = instrument, instrument.model, base
        self.layers = [layer.module for layer in instrument.places.layers]
        self.shapes = [Shapes(0, 2)] * len(self.layers)
        self.inner: list[Inner | None] = [None] * len(self.layers)
        self.output: Any = None
        self.fused = [part for part in base.modules() if type(part).__name__ in TANH]
        self.products = faster(self.model.modules())

    def body(self, ids: torch.Tensor, plan: Plan, start: Start, keep: Sequence[int] | None = None) -> torch.Tensor:
        """What the head takes, [rows, seq, width]; at the positions `keep` only, where they are given.

        With `keep` the last layer's output projection and MLP are computed at those positions alone: its `inner` must
        be known, and of the plan it may hold queries, keys, values, patterns and head outputs.
        """
        last = len(self.layers) - 1
        with ExitStack() as stack:
            self._enter(stack, plan, len(ids), start.layer)
            if start.layer > last:
                stack.enter_context(replaced(self.layers[last], self._giving(last, lambda _: start.stream)))
            elif keep is None or (start.layer == last and start.heads is not None):
                self._begin(stack, start, keep)
            else:
                if start.layer < last:
                    self._begin(stack, start, None)
                self._trim(stack, plan, list(keep), start.stream if start.layer == last else None)
            found = self.base(input_ids=ids[:, start.position :], **self._cached(start))
        self.output = type(found)
        hidden: torch.Tensor = found[0]
        if start.past is not None:
            hidden = torch.cat([start.past.hidden[:, : start.position], hidden], 1)
        return hidden if keep is None else hidden[:, list(keep)]

    def past(self, ids: torch.Tensor) -> Past:
        """What a run of ids leaves behind; NotApplicable where that is not keys and values of all positions."""
        from transformers import DynamicCache
        from transformers.cache_utils import DynamicLayer

        cache = DynamicCache()
        with ExitStack() as stack:
            self._enter(stack, Plan(), len(ids), 0)
            hidden = self.base(input_ids=ids, **self._holding(cache))[0]
        layers: Any = cache.layers
        if len(layers) != len(self.layers) or any(type(layer) is not DynamicLayer for layer in layers):
            raise NotApplicable(f"{self.instrument.family} does not keep keys and values of every layer and position")
        return Past([layer.keys for layer in layers], [layer.values for layer in layers], hidden)

    def _cached(self, start: Start) -> dict[str, Any]:
        """Options of a pass: the cache that holds what was before the position at which it begins."""
        if start.past is None:
            return {"use_cache": False}
        from transformers import DynamicCache

        cache = DynamicCache()
        for layer, (keys, values) in enumerate(zip(start.past.keys, start.past.values, strict=True)):
            # Layers that do not run are asked for their length alone.
            rows = slice(None) if layer >= start.layer else slice(1)
            cache.update(keys[rows, :, : start.position], values[rows, :, : start.position], layer)
        return self._holding(cache)

    def _holding(self, cache: Any) -> dict[str, Any]:
        names = inspect.signature(self.base.forward).parameters
        return {"use_cache": True, "cache" if "cache" in names else "past_key_values": cache}

    def head(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits float32 [rows, k, vocab] of what the body gave."""
        ids = torch.zeros(hidden.shape[:2], dtype=torch.long, device=hidden.device)
        given = self.output(last_hidden_state=hidden)
        with ExitStack() as stack:
            stack.enter_context(lock(self.model))
            stack.enter_context(torch.no_grad())
            stack.enter_context(replaced(self.base, lambda _: lambda *args, **kwargs: given))
            self._quicken(stack)
            logits: torch.Tensor = self.model(input_ids=ids, use_cache=False).logits
        return logits.float()

    def step(self, ids: torch.Tensor, plan: Plan, layer: int, stream: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """What a layer takes and what it gives, by a pass that ends there; `stream` is what it takes (None: layer 0)."""
        taken: list[torch.Tensor] = []

        def ending(own: Forward) -> Forward:
            def forward(*args: Any, **kwargs: Any) -> Any:
                taken.append(_taken(args, kwargs) if stream is None else stream)
                args, kwargs = _with(args, kwargs, taken[0])
                raise _Ended(_first(own(*args, **kwargs)))

            return forward

        with ExitStack() as stack:
            self._enter(stack, plan, len(ids), layer)
            stack.enter_context(replaced(self.layers[layer], ending))
            try:
                self.base(input_ids=ids, use_cache=False)
            except _Ended as ended:
                return taken[0], ended.value
        raise RuntimeError(f"layer {layer} was not reached")

    # ---- inside

    def _enter(self, stack: ExitStack, plan: Plan, rows: int, first: int) -> None:
        """The plan is in force, and the layers before the first one hand on what they take."""
        plan.rows = rows
        stack.enter_context(self.instrument.attached(plan))
        stack.enter_context(torch.no_grad())
        self._quicken(stack)
        for part in self.fused:
            stack.enter_context(replaced(part, lambda _: _gelu))
        for number in range(first):
            stack.enter_context(replaced(self.layers[number], self._giving(number, lambda taken: taken)))

    def _quicken(self, stack: ExitStack) -> None:
        """Linear maps multiply by oneDNN where that is faster."""
        for part in self.products:
            product = by_onednn(part)
            stack.enter_context(replaced(part, lambda _, product=product: product))  # type: ignore[misc]

    def _begin(self, stack: ExitStack, start: Start, keep: Sequence[int] | None) -> None:
        """The first layer takes the given stream, and its attention block is fed the given head outputs."""
        stream, heads = start.stream, start.heads
        if keep is not None:
            assert stream is not None and heads is not None
            stack.enter_context(replaced(self.layers[start.layer], _running_at(list(keep), stream)))
            heads = heads[:, list(keep)]
        elif stream is not None:
            stack.enter_context(replaced(self.layers[start.layer], _taking(stream)))
        if heads is not None:
            inner = self.inner[start.layer]
            assert inner is not None
            joined = heads.flatten(-2)
            given = self._packed(start.layer)
            stack.enter_context(replaced(inner.block, lambda _: lambda *args, **kwargs: given(inner.projection(joined))))

    def _trim(self, stack: ExitStack, plan: Plan, at: list[int], stream: torch.Tensor | None) -> None:
        """The last layer runs at some positions, and its attention block still sees the keys and values of all."""
        last = len(self.layers) - 1
        inner, given = self.inner[last], self._packed(last)
        assert inner is not None
        whole: list[torch.Tensor] = []

        def attend(own: Forward) -> Forward:
            def forward(*args: Any, **kwargs: Any) -> Any:
                args, kwargs = _with(args, kwargs, whole[0] if inner.norm is None else inner.norm(whole[0]))
                try:
                    own(*args, **kwargs)
                except _Ended as ended:
                    return given(inner.projection(ended.value[:, at].flatten(-2)))
                raise RuntimeError("the last attention block handed over no head outputs")

            return forward

        def caught(layer: int, outputs: torch.Tensor) -> torch.Tensor:
            if layer == last:
                raise _Ended(plan.altered("z", layer, outputs))
            return outputs

        plan.edit = caught
        stack.enter_context(replaced(self.layers[last], _running_at(at, stream, whole)))
        stack.enter_context(replaced(inner.block, attend))

    def _giving(self, layer: int, function: Callable[[torch.Tensor], Any]) -> Callable[[Forward], Forward]:
        """In place of a layer: a function of what it takes, handed over as the layer does it."""
        many = self.shapes[layer].layer

        def make(_: Forward) -> Forward:
            def forward(*args: Any, **kwargs: Any) -> Any:
                found = function(_taken(args, kwargs))
                return (found, *[None] * (many - 1)) if many else found

            return forward

        return make

    def _packed(self, layer: int) -> Callable[[torch.Tensor], Any]:
        many = self.shapes[layer].block
        return lambda found: (found, *[None] * (many - 1)) if many else found


Forward = Callable[..., Any]


class _Ended(Exception):
    """Ends a pass with the value that it was made for."""

    def __init__(self, value: torch.Tensor) -> None:
        super().__init__()
        self.value = value


@contextmanager
def replaced(module: Any, make: Callable[[Forward], Forward]) -> Iterator[None]:
    """Inside, the module's `forward` is what `make` makes of it; afterwards it is as it was, also after an exception."""
    own, before = module.forward, module.__dict__.get("forward")
    module.forward = make(own)
    try:
        yield
    finally:
        if before is None:
            del module.forward
        else:
            module.forward = before


def _gelu(values: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.gelu(values, approximate="tanh")


def _taking(stream: torch.Tensor) -> Callable[[Forward], Forward]:
    def make(own: Forward) -> Forward:
        def forward(*args: Any, **kwargs: Any) -> Any:
            args, kwargs = _with(args, kwargs, stream)
            return own(*args, **kwargs)

        return forward

    return make


def _running_at(
    at: list[int], stream: torch.Tensor | None, whole: list[torch.Tensor] | None = None
) -> Callable[[Forward], Forward]:
    """A layer at some positions of what it takes, which is kept in `whole`; zeros elsewhere, in the shape of all."""

    def make(own: Forward) -> Forward:
        def forward(*args: Any, **kwargs: Any) -> Any:
            taken = _taken(args, kwargs) if stream is None else stream
            if whole is not None:
                whole[:] = [taken]
            args, kwargs = _with(args, kwargs, taken[:, at])
            output = own(*args, **kwargs)
            found = torch.zeros_like(taken)
            found[:, at] = _first(output)
            return (found, *output[1:]) if isinstance(output, tuple) else found

        return forward

    return make


def _taken(args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
    found: torch.Tensor = args[0] if args else kwargs["hidden_states"]
    return found


def _with(args: tuple[Any, ...], kwargs: dict[str, Any], stream: torch.Tensor) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments of a module with another first one."""
    return ((stream, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": stream})


def _first(output: Any) -> torch.Tensor:
    found: torch.Tensor = output[0] if isinstance(output, tuple) else output
    return found
