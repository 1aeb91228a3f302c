"""Recorded weights: `standard` retrains a seed, drawn by --seed, of each family that takes seconds, and requires agreement."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .runs import seconds_of
from .store import Store, key_of
from .streams import stream

if TYPE_CHECKING:
    from ..subjects.family import Family
    from .item import Subject
    from .options import Options

#: Seeds that took longer than this when they were recorded, seconds, are retrained by the profile `full` alone.
AFFORDABLE = 20.0


class Recorded:
    """Retrains drawn seeds of recorded families and remembers, in the store, whether they agree."""

    def __init__(self, store: Store, options: Options) -> None:
        self.store = store
        self.options = options

    def seeds(self, subject: Subject) -> list[int]:
        """Seeds of a subject that this profile retrains; none for what is constructed, given, or not recorded."""
        found = self._family(subject)
        if found is None or self.options.profile.retrain == "none":
            return []
        if self.options.profile.retrain == "all":
            return list(range(found.seeds))
        drawn = int(stream(self.options.seed, f"retrain/{subject.name}", 0).integers(found.seeds))
        path = found.weights(drawn)
        return [drawn] if path is None or seconds_of(path) <= AFFORDABLE else []

    def retrain(self, subject: Subject, seed: int, measure: bool = True) -> dict[str, Any] | None:
        """The comparison of a retrained seed with its recorded weights; None when missing and `measure` is False."""
        found = self._family(subject)
        assert found is not None and found.recipe is not None
        key = key_of({"retrain": subject.name, "recipe": found.recipe.digest(), "recorded": found.digest(seed), "seed": seed})
        body = self.store.get(key)
        if body is None and measure:
            with self.store.lock(key):
                body = self.store.get(key)
                if body is None:
                    body = _compare(found, seed)
                    self.store.put(key, body)
        return body

    def disagreement(self, subject: Subject) -> str | None:
        """Why the recorded weights of a subject cannot be trusted; None when nothing speaks against them so far."""
        for seed in self.seeds(subject):
            body = self.retrain(subject, seed, measure=False)
            if body is not None and not body["agrees"]:
                return f"seed {seed} of {subject.name}, trained again, does not behave as recorded: {body['differences']}"
        return None

    def document(self, subject: Subject) -> dict[str, Any] | None:
        """What the report says about recorded weights; None where there are none."""
        if self._family(subject) is None:
            return None
        bodies = [(seed, self.retrain(subject, seed, measure=False)) for seed in self.seeds(subject)]
        done = [(seed, body) for seed, body in bodies if body is not None]
        return {
            "weights": True,
            "retrained_seed": done[0][0] if done else None,
            "agrees": all(body["agrees"] for _, body in done) if done else None,
        }

    def _family(self, subject: Subject) -> Family | None:
        if subject.kind != "family":
            return None
        from ..subjects.family import family

        found = family(subject.name)
        return found if found.recipe is not None and found.recorded is not None else None


def _compare(found: Family, seed: int) -> dict[str, Any]:
    from ..training import check, disagreements, train

    started = time.perf_counter()
    assert found.recipe is not None
    rebuilt = check(train(found.recipe, seed).model, found.recipe, seed)
    differences = disagreements(rebuilt, check(found.subject(seed).model, found.recipe, seed))
    return {
        "agrees": not differences,
        "differences": "; ".join(differences),
        "seconds": round(time.perf_counter() - started, 2),
    }
