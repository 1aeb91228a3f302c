"""The instrument of one model: where its heads are, how plans are attached, and how they are taken off again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from ..errors import NotApplicable
from . import fallback, stream
from .attachable import check_attachable, check_structure, structure
from .attention import Active, NeedsEager, Plan, active, registered
from .padding import Batch
from .sites import STREAM

if TYPE_CHECKING:
    import torch
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

IN_STREAM = (*STREAM, "neurons")
_LOCKS: WeakKeyDictionary[Any, threading.RLock] = WeakKeyDictionary()


def plain_forward(model: Any, ids: torch.Tensor | Batch, **options: Any) -> Any:
    """The model's own output on ids [rows, seq], with no plan in force even if one is further out."""
    batch = Batch.of(ids)
    with _lock(model), torch.no_grad(), active(None):
        return model(input_ids=batch.ids, use_cache=False, **batch.options, **options)


class Instrument:
    """Finds the attention blocks of a model, through transformers' interface or else by their output projections.

    Args:
        model: a transformers causal language model in eval mode.
        heads: query heads in each layer.
        layers: layers of the model; each must have one attention block with these heads.
        probe: ids [rows, seq] for the search.

    Raises:
        NotApplicable: no attention blocks, or not one of `heads` heads in every layer, or a model that cannot bear an
            instrument (compiled, sharded); the text says what was found.
    """

    def __init__(self, model: Any, heads: int, layers: int, probe: torch.Tensor) -> None:
        check_attachable(model)
        self.model, self.heads, self.layers = model, heads, layers
        self.structure = structure(model)
        self.wired: dict[tuple[int, int], bool] = {}  # head -> does a NaN written there reach the logits
        self.kinds: dict[str, float] = {}  # what the identity check of each kind of site measured
        self.sites_wired: dict[tuple[str, int, tuple[int, ...] | None], bool] = {}
        self.width = self.vocab = self.head_dim = 0
        self.family: str = model.config.model_type
        self.projections: list[Any] = []
        self._places: stream.Places | None = None
        self.implementation, self.modules = self._through_interface(probe)
        if not self.modules:
            self.modules, self.projections = fallback.find(model, heads, probe)
        self._check_layers()
        self._layer_of = {id(module): layer for layer, module in enumerate(self.modules)}
        self._check_shapes(probe)
        self._probe = probe

    @property
    def places(self) -> stream.Places:
        """Residual stream, attention and MLP outputs and neurons; NotApplicable where they cannot be found."""
        if self._places is None:
            with _lock(self.model), evaluating(self.model):
                self._places = stream.find(self.model, self.modules, self._probe)
        return self._places

    @property
    def kind(self) -> str:
        """How plans are attached: "interface" or "projection"."""
        return "projection" if self.projections else "interface"

    def forward(self, ids: torch.Tensor | Batch, plan: Plan) -> torch.Tensor:
        """Logits [rows, seq, vocab] of one forward pass under a plan; afterwards the model is as it was."""
        batch = Batch.of(ids)
        plan.rows = len(batch)
        options = {"output_attentions": True} if plan.read is not None and self.projections else {}
        with self.attached(plan), torch.no_grad():
            found = self.model(input_ids=batch.ids, use_cache=False, **batch.options, **options)
        if options:
            self._hand_over(plan, found.attentions)
        logits: torch.Tensor = found.logits
        return logits

    @contextmanager
    def attached(self, plan: Plan) -> Iterator[None]:
        """The plan is in force inside; leaving restores the model exactly, also after an exception.

        One thread at a time holds a model. A plan attached inside another one takes its place until it is left.
        """
        with ExitStack() as stack:
            stack.enter_context(_lock(self.model))
            check_structure(self.model, self.structure)
            wanted = "eager" if plan.eager else self.implementation
            if self.projections:
                stack.enter_context(fallback.hooked(self.projections, plan, self.heads))
                # Some of these families look at the setting in each pass, and under SDPA mask patterns wrongly.
                stack.enter_context(_implementation(self.model, wanted, settable=False))
            else:
                stack.enter_context(_implementation(self.model, registered(wanted)))
            if any(kind in IN_STREAM for kind, _ in plan.wanted):
                stack.enter_context(stream.hooked(self.places, plan))
            stack.enter_context(active(Active(plan, self._layer_of)))
            yield

    def _through_interface(self, probe: torch.Tensor) -> tuple[str, list[Any]]:
        """The implementation to delegate to, and the attention modules in the order of their layers."""
        used = getattr(self.model.config, "_attn_implementation", None) or "eager"
        if not getattr(self.model, "_can_set_attn_implementation", lambda: True)():
            return used, []
        for implementation in (used, "eager"):
            met: list[Any] = []
            try:
                with (
                    _lock(self.model),
                    _implementation(self.model, registered(implementation)),
                    active(Active(Plan(), met=met)),
                    torch.no_grad(),
                ):
                    self.model(input_ids=probe, use_cache=False)
            except (NeedsEager, ValueError):  # transformers itself may refuse SDPA for a family
                continue
            indices = [getattr(module, "layer_idx", None) for module in met]
            if all(isinstance(index, int) for index in indices) and len(set(indices)) == len(indices):
                met.sort(key=lambda module: module.layer_idx)
            return implementation, met
        return used, []

    def _check_layers(self) -> None:
        if not self.modules:
            raise NotApplicable(f"no attention heads that can be reached: no attention block was found in {self.family}")
        if len({id(module) for module in self.modules}) != self.layers or len(self.modules) != self.layers:
            raise NotApplicable(
                f"{self.family} has {self.layers} layers and attends {len(self.modules)} times in a pass: heads are "
                "numbered by layer, so one attention block in every layer is needed"
            )

    def _check_shapes(self, probe: torch.Tensor) -> None:
        shapes: dict[int, tuple[int, ...]] = {}

        def note(layer: int, outputs: torch.Tensor) -> torch.Tensor:
            shapes[layer] = tuple(outputs.shape)
            return outputs

        self.vocab = self.forward(probe, Plan(edit=note)).shape[-1]
        self.head_dim = min((shape[-1] for shape in shapes.values()), default=0)
        self.width = sum(shape[-2] * shape[-1] for shape in shapes.values())  # numbers of one position, all layers
        for layer, shape in shapes.items():
            if len(shape) != 4 or shape[:3] != (*probe.shape, self.heads):
                raise NotApplicable(
                    f"layer {layer} of {self.family} hands over head outputs of shape {shape}; "
                    f"[rows, seq, {self.heads} heads, head_dim] is needed"
                )

    def _hand_over(self, plan: Plan, attentions: Any) -> None:
        found = [weights for weights in attentions or () if weights is not None]
        if len(found) != self.layers:
            raise NotApplicable(f"{self.family} hands over attention patterns of {len(found)} of its {self.layers} layers")
        assert plan.read is not None
        for layer, weights in enumerate(found):
            plan.read(layer, weights)


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Every part of the model in eval mode inside, and as it was afterwards."""
    training = [part for part in model.modules() if part.training]
    for part in training:
        part.training = False
    try:
        yield
    finally:
        for part in training:
            part.training = True


def _lock(model: Any) -> threading.RLock:
    return _LOCKS.setdefault(model, threading.RLock())


@contextmanager
def _implementation(model: Any, name: str, settable: bool = True) -> Iterator[None]:
    """The attention implementation of a model and of every part of it, put back exactly afterwards.

    Without `settable` the family has no way to change it, and only what the configuration says is changed.
    """
    configs = {id(part.config): part.config for part in model.modules() if hasattr(part, "set_attn_implementation")}
    for config in list(configs.values()):
        parts = (getattr(config, part, None) for part in getattr(config, "sub_configs", ()))
        configs.update({id(part): part for part in parts if part is not None})
    before = [(config, config._attn_implementation) for config in configs.values()]
    try:
        if settable:
            model.set_attn_implementation(name)
        for config, value in before:
            if not settable and value != name:
                config._attn_implementation = name
        yield
    finally:
        for config, value in before:  # wholes before parts: the setter hands a value on to parts with one of their own
            config._attn_implementation = value
