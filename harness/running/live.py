"""Claims on a live model, from a notebook or a script: the same measurements and verdicts as pytest's, as objects."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..claim import Claim
from ..errors import UsageError
from ..verdict import Verdict
from .collecting import claim_id, claims_root, load_all_organisms, load_claims
from .item import Item, Subject, items_of
from .options import checked
from .session import Session


@dataclass(frozen=True)
class Result:
    """A result as an object: `document` is what `results.json` would hold."""

    document: Mapping[str, Any]

    @property
    def verdict(self) -> Verdict:
        return Verdict(self.document["verdict"])

    @property
    def observations(self) -> Mapping[str, Any]:
        """What is shown and never judged, by title; per-head arrays under `values`."""
        found: Mapping[str, Any] = self.document["observations"]
        return found

    def __getattr__(self, name: str) -> Any:
        try:
            return self.document[name]
        except KeyError:
            raise AttributeError(f"a result has no {name!r}: it has {', '.join(self.document)}") from None

    def __repr__(self) -> str:
        control = self.document["control"]
        role = f" ({control['kind']} control: {control['name']})" if control else ""
        return f"<{self.verdict} {self.document['finding']} on {self.document['subject']}{role}: {self.document['reason']}>"


def run(
    model: Any,
    tokenizer: Any = None,
    *,
    claims: Sequence[str | Claim] = (),
    name: str = "model",
    profile: str = "standard",
    seed: int = 0,
    store: str | os.PathLike[str] | None = None,
    task: str | os.PathLike[str] | None = None,
) -> list[Result]:
    """Run claims on a live causal language model; step controls that fit it run beside each claim.

    Args:
        model: a transformers causal language model, on any device.
        tokenizer: its tokenizer, for claims that draw tokens of its vocabulary.
        claims: finding ids or claims; all shipped claims with a model form by default.
        store: where measurements are kept; a folder of the working directory by default.
        task: a file of JSON lines (`prompt`, `target`, `distractor`) for the claims that ask one.

    Raises:
        UsageError: an unknown finding, profile or seed, or a task with a line that is wrong or unfit for the tokenizer.
    """
    from ..subjects.loading import live_model

    root = Path.cwd()
    load_all_organisms([], root)
    lm = live_model(model, tokenizer, name)
    options = checked(
        profile=profile,
        seed=seed,
        store=store,
        device=str(lm.device),
        dtype=str(lm.dtype).rpartition(".")[2],
        task=task,
    )
    if options.task is not None and tokenizer is not None:
        from ..measures.task_sets import suited

        suited(options.task, [(name, tokenizer)])
    session = Session(options, live={name: lm})
    results: list[dict[str, Any]] = []
    chosen = _chosen(claims, root)
    for identity, claim in chosen.items():
        items: list[Item] = list(items_of(claim, identity, models=[Subject(name, "model")]))
        results += [session.run(item) for item in items]
    from .document import attach_controls, tell_apart
    from .suite import attach_adjusted

    attach_controls(results, chosen)
    attach_adjusted(results)
    tell_apart(results)
    return [Result(found) for found in results]


def _chosen(claims: Sequence[str | Claim], root: Path) -> dict[str, Claim]:
    given = {claim_id(claim, root): claim for claim in claims if isinstance(claim, Claim)}
    names = [claim for claim in claims if isinstance(claim, str)]
    if claims and not names:
        return given
    shipped = load_claims([claims_root()], root)
    if not claims:
        return {identity: claim for identity, claim in shipped.items() if claim.on.model}
    for name in names:
        found = {identity: claim for identity, claim in shipped.items() if name in (claim.finding, claim.name, identity)}
        if not found:
            known = sorted({claim.finding for claim in shipped.values()})
            raise UsageError(f"no claim executes {name!r}: executable findings are {', '.join(known)}")
        given |= found
    return given
