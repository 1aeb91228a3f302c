"""Networks of a recipe: transformers classes and registered modules, initial weights by the seed, some of them held fixed.

The initial weights are drawn here and not by transformers, so they depend on no library version and on no global generator.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..errors import DeclarationError
from .recipe import Recipe
from .registry import Registry, call

if TYPE_CHECKING:
    import torch
    import transformers
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")
    transformers = LazyModule("transformers")

_INITIAL, _LIVE = 1, 2  # names of random streams beside the data's, see `random_stream`


def random_stream(seed: int, *purpose: int) -> np.random.Generator:
    """The generator of one purpose at one seed. It does not know the recipe, so arms of one seed share weights and data."""
    return np.random.default_rng([seed, *purpose])


@dataclass
class Network:
    """A model of a recipe before or after training, and which of its entries are held fixed."""

    model: Any
    fixed: dict[str, torch.Tensor] = field(default_factory=dict)
    """Parameter name -> bool mask of the entries that keep their value; parameters fixed as a whole need no gradient."""

    def trained(self) -> list[torch.nn.Parameter]:
        """The parameters that the optimiser may change."""
        return [p for p in self.model.parameters() if p.requires_grad]

    def hold(self, name: str, mask: torch.Tensor) -> None:
        """Hold the entries of a parameter that `mask` names (bool, its shape) at the values that they have now."""
        parameter = dict(self.model.named_parameters()).get(name)
        if parameter is None or mask.shape != parameter.shape:
            raise DeclarationError(f'a mask of {tuple(mask.shape)} for parameter "{name}", which has another shape or is none')
        self.fixed[name] = self.fixed[name] | mask if name in self.fixed else mask.clone()
        parameter.requires_grad_(not bool(self.fixed[name].all()))

    def prune(self, name: str, keep: torch.Tensor) -> None:
        """Set the entries of a parameter outside `keep` (bool, its shape) to zero, for good."""
        self.hold(name, ~keep)
        with torch.no_grad():
            dict(self.model.named_parameters())[name][~keep] = 0.0


@dataclass(frozen=True)
class Builder:
    """A registered network: `build(**values)` gives the module; `initial(model, rng)` draws its weights, None: as the rest."""

    build: Callable[..., Any]
    initial: Callable[[Any, np.random.Generator], None] | None = None


F = TypeVar("F", bound=Callable[..., Any])
NETWORKS: Registry[Builder] = Registry("network")


def network(name: str, initial: Callable[[Any, np.random.Generator], None] | None = None) -> Callable[[F], F]:
    """Register a function `(**values) -> torch.nn.Module` as the model class `name` of recipes.

    Args:
        initial: draws the weights in place from the generator that it is given, `(model, rng)`. Without it parameters of two
            and more dimensions are normal (`std`, `scale` of the recipe), others one, or zero where the name ends in "bias".
    """

    def register(function: F) -> F:
        NETWORKS.add(name, Builder(function, initial), function)
        return function

    return register


def empty_model(recipe: Recipe) -> Any:
    """The module with arbitrary weights; leaves torch's global generator as it was."""
    values = dict(recipe.model)
    kind = values.pop("class")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # what a module does not draw anew must at least be the same each time
        model = call(f"network {kind}", NETWORKS[kind].build, **values)
    if not isinstance(model, torch.nn.Module):
        raise DeclarationError(f'network "{kind}" gave a {type(model).__name__}; it must return a torch.nn.Module')
    return model


def _plain(**values: Any) -> dict[str, Any]:
    return dict(bos_token_id=None, eos_token_id=None, pad_token_id=None, tie_word_embeddings=False) | values


@network("llama")
def _llama(**values: Any) -> Any:
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**_plain(**values)))


@network("gpt2")
def _gpt2(**values: Any) -> Any:
    dropout = dict(resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(**dropout | _plain(**values)))


def kept_weights(model: Any) -> dict[str, Any]:
    """What is recorded of a network: its parameters, each once, and the buffers that belong to its state."""
    shared = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    buffers = {name: value for name, value in model.state_dict().items() if name not in shared}
    return {**dict(model.named_parameters()), **buffers}


def initial_network(recipe: Recipe, seed: int) -> Network:
    """The network of `recipe` at `seed` before training: normal weights, norms at one, biases at zero, zeros where asked."""
    model = empty_model(recipe)
    _draw(model, recipe, seed)
    set_zero(model, recipe)
    return _hold(model, recipe, seed)


def release(network: Network, recipe: Recipe, seed: int) -> None:
    """Let the heads that `live_heads` held at zero be trained: values at their initial weights, outputs at zero."""
    named = dict(network.model.named_parameters())
    initial = empty_model(recipe)
    _draw(initial, recipe, seed)
    start = dict(initial.named_parameters())
    with torch.no_grad():
        for name, mask in _dead_heads(network.model, recipe, seed).items():
            if name.endswith("v_proj.weight"):
                named[name][mask] = start[name][mask]
            network.fixed.pop(name)


def settle(network: Network, recipe: Recipe, seed: int) -> None:
    """Hold the heads that live by `live_heads`, and the embeddings and norms that they read, at their present values.

    So long as the layers below are held too, these heads then attend as before, whatever the others learn.
    """
    for name, parameter in network.model.named_parameters():
        if fnmatchcase(name, "model.embed_tokens.weight") or fnmatchcase(name, "model.layers.*.input_layernorm.weight"):
            network.fixed[name] = torch.ones_like(parameter, dtype=torch.bool)
    for name, mask in _dead_heads(network.model, recipe, seed, ("q", "k", "v", "o")).items():
        network.fixed[name] = network.fixed[name] | ~mask if name in network.fixed else ~mask


def set_zero(model: Any, recipe: Recipe) -> None:
    """Set to zero the parameters that are zero by the recipe."""
    named = dict(model.named_parameters())
    with torch.no_grad():
        for pattern in recipe.zero:
            for name in _matching(recipe, pattern, named):
                named[name].zero_()


def _draw(model: Any, recipe: Recipe, seed: int) -> None:
    rng = random_stream(seed, _INITIAL)
    own = NETWORKS[recipe.model["class"]].initial
    with torch.no_grad():
        if own is not None:
            own(model, rng)
            return
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                drawn = rng.standard_normal(tuple(parameter.shape), dtype=np.float32)
                parameter.copy_(torch.from_numpy(drawn * np.float32(recipe.std * _scale(recipe, name))))
            else:
                parameter.fill_(0.0 if name.endswith("bias") else 1.0)


def _hold(model: Any, recipe: Recipe, seed: int) -> Network:
    """Mark what must not be trained, and silence the heads that do not live."""
    fixed: dict[str, torch.Tensor] = {}
    named = dict(model.named_parameters())
    with torch.no_grad():
        for pattern in recipe.zero:
            for name in _matching(recipe, pattern, named):
                fixed[name] = torch.ones_like(named[name], dtype=torch.bool)
        for pattern in recipe.frozen:
            rows = re.fullmatch(r"(.+)\[(\d+):(\d+)\]", pattern)
            for name in _matching(recipe, rows[1] if rows else pattern, named):
                mask = fixed.setdefault(name, torch.zeros_like(named[name], dtype=torch.bool))
                mask[slice(int(rows[2]), int(rows[3])) if rows else slice(None)] = True
        for name, mask in _dead_heads(model, recipe, seed).items():
            named[name].masked_fill_(mask, 0.0)
            fixed[name] = fixed[name] | mask if name in fixed else mask
    for name, mask in fixed.items():
        named[name].requires_grad_(not bool(mask.all()))
    return Network(model, fixed)


def live_heads(recipe: Recipe, seed: int) -> dict[int, list[int]]:
    """Layer -> the heads that can write, for the layers that `recipe.live_heads` names."""
    heads = int(recipe.model.get("num_attention_heads", recipe.model.get("n_head", 0)))
    rng = random_stream(seed, _LIVE)
    return {layer: sorted(int(h) for h in rng.permutation(heads)[:count]) for layer, count in recipe.live_heads.items()}


def _dead_heads(
    model: Any, recipe: Recipe, seed: int, parts: tuple[str, ...] = ("v", "o")
) -> dict[str, torch.Tensor]:
    """Parameter name -> mask of the entries that belong to heads that do not live, for the projections asked."""
    if recipe.live_heads and recipe.model["class"] != "llama":
        raise DeclarationError(f"recipe {recipe.name}: live_heads is written for the llama class")
    masks: dict[str, torch.Tensor] = {}
    for layer, living in live_heads(recipe, seed).items():
        attention = model.model.layers[layer].self_attn
        size = attention.head_dim
        dead = torch.ones(attention.o_proj.weight.shape[1], dtype=torch.bool)
        for head in living:
            dead[head * size : (head + 1) * size] = False
        prefix = f"model.layers.{layer}.self_attn"
        for part in parts:
            weight = getattr(attention, f"{part}_proj").weight
            masks[f"{prefix}.{part}_proj.weight"] = (dead[None, :] if part == "o" else dead[:, None]).expand_as(weight).clone()
    return masks


def _matching(recipe: Recipe, pattern: str, named: Mapping[str, Any]) -> list[str]:
    found = [name for name in named if fnmatchcase(name, pattern)]
    if not found:
        raise DeclarationError(f'recipe {recipe.name}: no parameter matches "{pattern}"; names are like {next(iter(named))}')
    return found


def _scale(recipe: Recipe, name: str) -> float:
    return next((factor for pattern, factor in recipe.scale.items() if fnmatchcase(name, pattern)), 1.0)
