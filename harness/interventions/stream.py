"""Where the residual stream, what is added to it, and the neurons are: found by what they compute, not by their names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import NotApplicable
from .attention import Plan, active, current

if TYPE_CHECKING:
    import torch
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

#: Largest part of the residual stream that attention and MLP may leave unexplained.
SUM = {"float64": 1e-10, "float32": 1e-5, "bfloat16": 2e-2, "float16": 4e-3}


@dataclass(frozen=True)
class Layer:
    """One layer: its module; the modules whose outputs it adds, times `factor`, to the stream; its neurons' map."""

    module: Any
    attn: Any
    mlp: Any
    neurons: Any
    factor: float


@dataclass(frozen=True)
class Places:
    """The layers of a model. width: of the residual stream. neurons: in each layer, 0 where they cannot be reached."""

    layers: tuple[Layer, ...]
    width: int
    neurons: int


@dataclass(eq=False)
class _Call:
    """What a module gave and took in the probe pass, and how deep in its layer it lies."""

    name: str
    module: Any
    taken: torch.Tensor | None
    given: torch.Tensor | None


def find(model: Any, blocks: list[Any], probe: torch.Tensor) -> Places:
    """The places of a model whose attention modules are `blocks`.

    Layers are the members of the list that hold one block each. Two calls inside a layer are attention and MLP if their
    outputs, added to what enters it, give what leaves it. Neurons enter the last linear map before the MLP's output.

    Raises:
        NotApplicable: no such list, or no such sum: the family keeps no plain residual stream.
    """
    family = model.config.model_type
    modules = _layers(model, blocks)
    if modules is None:
        raise NotApplicable(f"the residual stream of {family} cannot be reached: no list of its layers was found")
    factor = float(getattr(model.config.get_text_config(decoder=True), "residual_multiplier", None) or 1.0)
    calls = _record(model, modules, probe)
    layers: list[Layer] = []
    for number, (module, seen) in enumerate(zip(modules, calls, strict=True)):
        whole = seen[-1]
        if whole.module is not module or whole.taken is None or whole.given is None:
            raise NotApplicable(f"layer {number} of {family} does not hand on a residual stream [rows, seq, width]")
        inside = {id(part) for part in _around(module, blocks[number]).modules()}
        found = _summands(whole.taken, whole.given, seen[:-1], inside, factor)
        if found is None:
            raise NotApplicable(
                f"the residual stream of {family} cannot be changed: layer {number} does not add an attention and an "
                "MLP output to it"
            )
        layers.append(Layer(module, found[0].module, found[1].module, _neurons(seen, found[1], inside), factor))
    widths = {0 if layer.neurons is None else _inputs(layer.neurons) for layer in layers}
    width = 0 if calls[0][-1].given is None else calls[0][-1].given.shape[-1]
    return Places(tuple(layers), width, widths.pop() if len(widths) == 1 else 0)


@contextmanager
def hooked(places: Places, plan: Plan) -> Iterator[None]:
    """The plan sees and changes what it wants of the stream; hooks are gone afterwards, also after an error."""
    with ExitStack() as stack:
        for kind, number in sorted(plan.wanted):
            layer = places.layers[number]
            if kind == "pre":
                handle = layer.module.register_forward_pre_hook(_before(plan, kind, number), with_kwargs=True)
            elif kind == "neurons":
                handle = layer.neurons.register_forward_pre_hook(_before(plan, kind, number), with_kwargs=True)
            elif kind in ("post", "attn", "mlp"):
                module = layer.module if kind == "post" else getattr(layer, kind)
                handle = module.register_forward_hook(_after(plan, kind, number))
            else:
                continue
            stack.callback(handle.remove)
        yield


def _mine(plan: Plan) -> bool:
    found = current()
    return found is not None and found.plan is plan  # else: a plain pass inside ours, or another plan further in


def _before(plan: Plan, kind: str, layer: int) -> Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]:
    def hook(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not _mine(plan):
            return None
        if args:
            return (_altered(plan, kind, layer, args[0]), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": _altered(plan, kind, layer, kwargs["hidden_states"])}

    return hook


def _after(plan: Plan, kind: str, layer: int) -> Callable[[Any, Any, Any], Any]:
    def hook(_: Any, __: Any, output: Any) -> Any:
        if not _mine(plan):
            return None
        if isinstance(output, tuple):
            return (_altered(plan, kind, layer, output[0]), *output[1:])
        return _altered(plan, kind, layer, output)

    return hook


def _altered(plan: Plan, kind: str, layer: int, values: torch.Tensor) -> torch.Tensor:
    """Some families join rows and positions before their MLP."""
    if values.dim() == 2:
        return plan.altered(kind, layer, values.reshape(plan.rows, -1, values.shape[-1])).flatten(0, 1)
    return plan.altered(kind, layer, values)


def _layers(model: Any, blocks: list[Any]) -> list[Any] | None:
    for part in model.modules():
        if (
            isinstance(part, torch.nn.ModuleList)
            and len(part) == len(blocks)
            and all(any(inner is block for inner in layer.modules()) for layer, block in zip(part, blocks, strict=True))
        ):
            return list(part)
    return None


def _around(layer: Any, block: Any) -> Any:
    """The direct part of the layer in which the attention block lies."""
    return next((part for part in layer.children() if any(inner is block for inner in part.modules())), block)


def _record(model: Any, modules: list[Any], probe: torch.Tensor) -> list[list[_Call]]:
    """By layer, every call of a part of it in one pass, in the order in which they ended; the layer itself is last."""
    calls: list[list[_Call]] = [[] for _ in modules]

    def note(number: int, name: str) -> Callable[..., None]:
        def hook(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
            taken = args[0] if args else kwargs.get("hidden_states")
            given = output[0] if isinstance(output, tuple) and output else output
            calls[number].append(_Call(name, module, _stream(taken, probe), _stream(given, probe)))

        return hook

    with ExitStack() as stack:
        for number, layer in enumerate(modules):
            for name, part in layer.named_modules():
                stack.callback(part.register_forward_hook(note(number, name), with_kwargs=True).remove)
        with torch.no_grad(), active(None):
            model(input_ids=probe, use_cache=False)
    return calls


def _stream(value: Any, ids: torch.Tensor) -> torch.Tensor | None:
    if isinstance(value, torch.Tensor) and value.dim() == 2 and len(value) == ids.numel():
        value = value.reshape(*ids.shape, -1)
    return value.detach().clone() if isinstance(value, torch.Tensor) and value.dim() == 3 else None


def _summands(
    before: torch.Tensor, after: torch.Tensor, calls: list[_Call], inside: set[int], factor: float
) -> tuple[_Call, _Call] | None:
    """An attention call and another one whose outputs add up to the change of the stream; the outermost such pair."""
    called = Counter(id(call.module) for call in calls)  # a module that is called twice is no place
    fits = [call for call in calls if call.given is not None and call.given.shape == after.shape and called[id(call.module)] == 1]
    change = (after.double() - before.double()) / factor
    allowed = SUM.get(str(after.dtype).removeprefix("torch."), SUM["float32"]) * float(
        max(after.double().abs().max(), before.double().abs().max()) / factor
    )
    depth = lambda pair: (sum(call.name.count(".") for call in pair), -calls.index(pair[1]))  # noqa: E731
    # Attention first; a norm behind it lies outside its block, so all that comes before the MLP may be its output.
    found = [
        (one, two)
        for one in fits
        for two in fits
        if one is not two and id(two.module) not in inside and _behind(one, calls, inside)
        if float((change - one.given.double() - two.given.double()).abs().max()) <= allowed  # type: ignore[union-attr]
    ]
    return min(found, key=depth, default=None)


def _behind(call: _Call, calls: list[_Call], inside: set[int]) -> bool:
    """Whether a call lies in the attention block, or takes exactly what the block gives (a norm behind it)."""
    if id(call.module) in inside:
        return True
    outputs = [other.given for other in calls if id(other.module) in inside and other.given is not None]
    return call.taken is not None and any(given.shape == call.taken.shape and torch.equal(given, call.taken) for given in outputs)


def _neurons(calls: list[_Call], mlp: _Call, inside: set[int]) -> Any:
    """The linear map that gives the MLP's output, or what a norm behind it takes; None if there is no such map."""
    ends = [value for value in (mlp.given, mlp.taken) if value is not None]
    for call in reversed(calls):
        weight = getattr(call.module, "weight", None)
        if id(call.module) in inside or call.given is None or call.taken is None:
            continue
        if (
            isinstance(weight, torch.Tensor)
            and weight.dim() == 2
            and any(end.shape == call.given.shape and torch.equal(end, call.given) for end in ends)
        ):
            return call.module
    return None


def _inputs(linear: Any) -> int:
    """Width of what enters a linear map (also transformers' Conv1D, whose weight is transposed)."""
    if type(linear).__name__ == "Conv1D":
        return int(linear.weight.shape[0])
    return int(linear.weight.shape[1])
