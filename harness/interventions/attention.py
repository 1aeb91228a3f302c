"""The instrument: one function between q, k, v and the output projection of every attention layer of a stock model.

It is registered once with transformers' attention interface and delegates to the implementation that the model would
have used. Where a family does not go through the interface, a pre-hook on its output projection serves instead.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import NotApplicable

if TYPE_CHECKING:
    import torch

NAME = "claimbench"
#: Output projections of attention blocks, by the names that transformers' families give them.
_PROJECTIONS = ("o_proj", "out_proj", "c_proj", "dense", "wo", "attn_out")
#: Families that compute something else, silently or not, under SDPA than under their own eager function.
_EAGER_ONLY = ("gpt_oss", "gemma2")

Edit = Callable[[int, Any], Any]
Reader = Callable[[int, Any], None]


@dataclass
class Plan:
    """What one forward pass does at each layer.

    edit: (layer, head outputs [rows, seq, heads, head_dim]) -> head outputs; None leaves them.
    read: (layer, pattern [rows, heads, seq, seq]); asks for the eager implementation, which has patterns.
    """

    edit: Edit | None = None
    read: Reader | None = None
    seen: list[int] = field(default_factory=list)


_PLANS: dict[int, tuple[Plan, int]] = {}  # by id of the attention module, for the duration of a forward pass
_DELEGATE: list[str] = ["sdpa"]


def _attention(module: Any, query: Any, key: Any, value: Any, attention_mask: Any, **kwargs: Any) -> tuple[Any, Any]:
    output, weights = _function(module, _DELEGATE[-1])(module, query, key, value, attention_mask, **kwargs)
    found = _PLANS.get(id(module))
    if found is not None:
        plan, layer = found
        plan.seen.append(layer)
        if plan.read is not None:
            plan.read(layer, weights)
        if plan.edit is not None:
            output = plan.edit(layer, output)
    return output, weights


def _function(module: Any, name: str) -> Any:
    if name == "eager":
        return sys.modules[type(module).__module__].eager_attention_forward
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    return ALL_ATTENTION_FUNCTIONS[name]


def _mask(*args: Any, **kwargs: Any) -> Any:
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

    return ALL_MASK_ATTENTION_FUNCTIONS[_DELEGATE[-1]](*args, **kwargs)


def _register() -> None:
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(NAME, _attention)
    AttentionMaskInterface.register(NAME, _mask)


@dataclass
class Site:
    """The attention block of one layer: the module, and its output projection (where head outputs enter)."""

    module: Any
    projection: Any


class Instrument:
    """Attaches plans to one model. Which way it attaches (interface or pre-hook) is found out by a probe.

    Raises:
        NotApplicable: when the model has no attention blocks that can be found.
    """

    def __init__(self, model: Any, heads: int) -> None:
        self.model = model
        self.heads = heads
        self.sites = find_sites(model, heads)
        used = getattr(model.config, "_attn_implementation", None) or "eager"
        self.implementation = "eager" if model.config.model_type in _EAGER_ONLY else used
        self.interface = self._goes_through_interface()

    @property
    def layers(self) -> int:
        return len(self.sites)

    def _goes_through_interface(self) -> bool:
        import torch

        if self.implementation not in ("sdpa", "eager"):
            return False
        plan = Plan()
        ids = torch.zeros((1, 2), dtype=torch.long, device=self.model.device)
        try:
            with torch.no_grad(), self._through_interface(plan):
                self.model(input_ids=ids, use_cache=False)
        except (ValueError, KeyError, AttributeError, TypeError):  # a family that refuses foreign implementations
            return False
        return sorted(set(plan.seen)) == list(range(len(self.sites)))

    @contextlib.contextmanager
    def attached(self, plan: Plan) -> Iterator[None]:
        """The plan is in force inside; leaving restores the model exactly, also after an exception."""
        if self.interface:
            with self._through_interface(plan):
                yield
        else:
            if plan.read is not None:
                raise NotApplicable(
                    f"attention patterns of {self.model.config.model_type} cannot be read: "
                    "the family does not use transformers' attention interface"
                )
            with self._through_hooks(plan):
                yield

    @contextlib.contextmanager
    def _through_interface(self, plan: Plan) -> Iterator[None]:
        _register()
        model, before = self.model, self.model.config._attn_implementation
        _DELEGATE.append("eager" if plan.read is not None else self.implementation)
        outer = {id(site.module): _PLANS.get(id(site.module)) for site in self.sites}
        try:
            model.set_attn_implementation(NAME)
            for layer, site in enumerate(self.sites):
                _PLANS[id(site.module)] = (plan, layer)
            yield
        finally:
            _DELEGATE.pop()
            for key, known in outer.items():
                if known is None:
                    _PLANS.pop(key, None)
                else:
                    _PLANS[key] = known
            model.set_attn_implementation(before)

    @contextlib.contextmanager
    def _through_hooks(self, plan: Plan) -> Iterator[None]:
        handles = []
        try:
            for layer, site in enumerate(self.sites):
                handles.append(site.projection.register_forward_pre_hook(self._hook(plan, layer)))
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _hook(self, plan: Plan, layer: int) -> Callable[..., Any]:
        def hook(_: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
            plan.seen.append(layer)
            if plan.edit is None:
                return None
            joined = inputs[0]
            split = joined.reshape(*joined.shape[:-1], self.heads, -1)
            return (plan.edit(layer, split).reshape(joined.shape), *inputs[1:])

        return hook

    def writes(self, layer: int, head: int) -> bool:
        """Whether the output projection reads a head at all (a head of zero weights is a true null)."""
        weight = self.sites[layer].projection.weight
        size = _width(self.sites[layer].projection) // self.heads
        part = slice(head * size, (head + 1) * size)
        # Conv1D of GPT-2 holds [in, out], Linear [out, in].
        rows = weight[part] if type(self.sites[layer].projection).__name__ == "Conv1D" else weight[:, part]
        return bool((rows != 0).any())


def _width(projection: Any) -> int:
    """Size of a projection's input."""
    shape = projection.weight.shape
    return int(shape[0] if type(projection).__name__ == "Conv1D" else shape[1])


def find_sites(model: Any, heads: int) -> list[Site]:
    """The attention blocks of a model in order, found by their output projection's name and shape.

    Raises:
        NotApplicable: when none is found.
    """
    sites: list[Site] = []
    for name, module in model.named_modules():
        if "attention" not in type(module).__name__.lower() or any(module is site.module for site in sites):
            continue
        for child_name, child in module.named_children():
            weight = getattr(child, "weight", None)
            if child_name in _PROJECTIONS and weight is not None and weight.dim() == 2 and _width(child) % heads == 0:
                sites.append(Site(module, child))
                break
    if not sites:
        raise NotApplicable(f"no attention heads: {model.config.model_type} has no attention block that could be found")
    return sites


def identity_error(model: Any, instrument: Instrument, ids: torch.Tensor) -> float:
    """Largest difference of logits between the plain model and the model with an empty plan attached, relative."""
    import torch

    with torch.no_grad():
        plain = model(input_ids=ids, use_cache=False).logits.float()
        with instrument.attached(Plan(edit=lambda _, output: output)):
            held = model(input_ids=ids, use_cache=False).logits.float()
    scale = float(plain.abs().max()) or 1.0
    return float((plain - held).abs().max()) / scale
