"""Families of organisms: small subjects indexed by seed, constructed or trained from a recipe, found by name."""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import inspect
import json
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ClaimbenchError, DeclarationError, UsageError
from .digest import combined, file_digest
from .source import source_digest, strings
from .tokens import Tokens

if TYPE_CHECKING:
    from ..training.recipe import Recipe
    from .lm import LM

KEPT = 4  # subjects of a family that stay in memory
_EVIDENCE = ("instrument", "organism", "analogue")


@dataclass(frozen=True)
class Built:
    """What a family makes of a seed: a stock transformers model, its usable tokens, and facts for measures to read."""

    model: Any
    tokens: Tokens
    facts: Mapping[str, Any] = field(default_factory=dict)
    tokenizer: Any = None


@dataclass
class Family:
    """A family of small subjects. `recipe` is None for a constructed one; `recorded` is the folder of its weights."""

    name: str
    description: str
    evidence: str
    version: int
    seeds: int
    make: Callable[[int], Built]
    recipe: Recipe | None = None
    recorded: Path | None = None
    source: str = ""
    """Tells whether two declarations of one name are the same."""
    content: Callable[[int], str] = field(default=lambda seed: "", repr=False)
    """What a seed's network is made of besides recorded weights, as a digest."""
    _kept: OrderedDict[tuple[int, str, str], LM] = field(default_factory=OrderedDict, repr=False)

    def weights(self, seed: int) -> Path | None:
        """The recorded weights of a seed, None where there are none."""
        path = self.recorded / f"{seed}.safetensors" if self.recorded else None
        return path if path is not None and path.is_file() else None

    def digest(self, seed: int) -> str:
        """Identity of a seed's network, without building it: recipe and recorded weights, or the code that makes it."""
        self._check(seed)
        path = self.weights(seed)
        return combined(self.name, str(self.version), str(seed), self.content(seed), file_digest(path) if path else "")

    def subject(self, seed: int, device: str = "cpu", dtype: str = "float32") -> LM:
        """The subject of a seed; the last few stay in memory. UsageError for a seed that the family does not have.

        Args:
            device, dtype: where it runs and in what its weights are held; "auto" leaves the dtype it was made in.
        """
        self._check(seed)
        key = (seed, device, dtype)
        if key not in self._kept:
            from .lm import LM

            built = self.make(seed)
            _place(built.model, device, dtype)
            self._kept[key] = LM(
                built.model.requires_grad_(False),
                tokens=built.tokens,
                tokenizer=built.tokenizer,
                name=f"{self.name} (seed {seed})",
                digest=self.digest(seed),
                evidence=self.evidence,
                facts={**built.facts, "family": self.name, "seed": seed},
            )
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def _check(self, seed: int) -> None:
        if not 0 <= seed < self.seeds:
            raise UsageError(f"{self.name} has seeds 0 to {self.seeds - 1}; seed {seed} was asked for")


def _place(model: Any, device: str, dtype: str) -> None:
    """Move a network and cast its weights, as loading in that dtype would: buffers keep theirs."""
    if device != "cpu":
        model.to(device)
    if dtype not in ("float32", "auto"):
        import torch

        for parameter in model.parameters():
            if parameter.is_floating_point():
                parameter.data = parameter.data.to(getattr(torch, dtype))


_FAMILIES: dict[str, Family] = {}


def register(family: Family) -> Family:
    """Make a family known by its name; another family of that name is refused."""
    if family.evidence not in _EVIDENCE:
        raise DeclarationError(
            f"organism {family.name!r}: evidence {family.evidence!r} is unknown: use one of {', '.join(_EVIDENCE)}"
        )
    known = _FAMILIES.get(family.name)
    if known is not None and known.source != family.source:
        raise DeclarationError(f"two organism families are called {family.name!r}: rename one")
    _FAMILIES[family.name] = family
    return family


def organism(
    name: str, *, evidence: str, version: int = 1, seeds: int = 11, description: str = ""
) -> Callable[[Callable[[int], Built]], Callable[[int], Built]]:
    """Declare a constructed family: the decorated function makes the network of a seed.

    Args:
        name: how claims call it.
        evidence: what verdicts on it rest on: "instrument", "organism" or "analogue".
        version: raise it when the networks change.
        seeds: how many seeds it has, numbered from 0.
    """

    def declare(make: Callable[[int], Built]) -> Callable[[int], Built]:
        text = description or (inspect.getdoc(make) or name).partition("\n")[0]

        def content(seed: int) -> str:
            named = sorted(strings(make) & _FAMILIES.keys() - {name})
            built_on = [_FAMILIES[other].digest(seed) for other in named if seed < _FAMILIES[other].seeds]
            return combined(source_digest(make), *built_on)

        register(Family(name, text, evidence, version, seeds, make, source=source_digest(make), content=content))
        return make

    return declare


def trained_organism(
    name: str,
    *,
    recipe: Recipe,
    tokens: Callable[[int], Tokens] | Tokens,
    evidence: str = "organism",
    version: int = 1,
    seeds: int = 11,
    description: str = "",
    facts: Callable[[int], Mapping[str, Any]] | Mapping[str, Any] | None = None,
    recorded: Path | None = None,
) -> Family:
    """Declare a trained family: recorded weights are read where they exist, else the recipe is trained.

    Args:
        recipe: data, model, optimiser and stopping rule; its digest enters the family's identity.
        tokens, facts: values, or functions of the seed.
        recorded: folder of `SEED.safetensors`; without it nothing is recorded.
    """

    def make(seed: int) -> Built:
        from .. import training

        path = made.weights(seed)
        model = training.load(recipe, path) if path else training.train(recipe, seed).model
        found = facts(seed) if callable(facts) else facts or {}
        return Built(model, tokens(seed) if callable(tokens) else tokens, found)

    def content(seed: int) -> str:
        used = tokens(seed) if callable(tokens) else tokens
        found = facts(seed) if callable(facts) else facts or {}
        natural = source_digest(used.natural) if used.natural else ""
        told = json.dumps(found, sort_keys=True, default=repr)
        return combined(recipe.digest(), used.frequent.tobytes().hex(), repr((used.bos, used.separator)), natural, told)

    made = Family(
        name, description or name, evidence, version, seeds, make, recipe=recipe, recorded=recorded,
        source=recipe.digest(), content=content,
    )  # fmt: skip
    return register(made)


def families() -> dict[str, Family]:
    """Every registered family, by name."""
    return dict(_FAMILIES)


def family(name: str) -> Family:
    """A family by name; UsageError names the nearest."""
    if name not in _FAMILIES:
        near = difflib.get_close_matches(name, _FAMILIES, n=3, cutoff=0.4)
        raise UsageError(f"no organism family is called {name!r}: nearest are {', '.join(near) or 'none'}")
    return _FAMILIES[name]


def load_organisms(folders: Iterable[Path]) -> None:
    """Import every Python file of the folders once, which registers the families they declare."""
    for folder in folders:
        for path in sorted(folder.glob("*.py")):
            resolved = path.resolve()
            name = f"_claimbench_organisms_{hashlib.sha256(str(resolved).encode()).hexdigest()[:12]}_{path.stem}"
            if path.stem.startswith("_") or name in sys.modules:
                continue
            spec = importlib.util.spec_from_file_location(name, resolved)
            assert spec is not None and spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module
            try:
                spec.loader.exec_module(module)
            except ClaimbenchError:
                del sys.modules[name]
                raise
            except Exception as error:
                del sys.modules[name]
                what = f"{type(error).__name__}: {error}".splitlines()[0]
                raise DeclarationError(f"organism file {path} cannot be imported: {what}") from error
