"""abrupt-icl: classes of unlike frequency let both ways of learning live side by side (arXiv:2312.03002, on Zipf's law)."""

from __future__ import annotations

from claimbench import above, claim, negative, positive, recipe, step

UNIFORM, ZIPF, STEEP = recipe("bursty-many-classes"), recipe("bursty-zipf-1"), recipe("bursty-zipf-2")
STEPS = 1200


@step
def both(uniform, zipf, steep):
    """(accuracy with swapped labels, in-weights accuracy) of the arms with exponents 0, 1 and 2."""
    last = [[i for i, at in enumerate(run.values("swapped")[0]) if at <= STEPS][-1] for run in (uniform, zipf, steep)]
    arms = zip((uniform, zipf, steep), last, strict=True)
    return [(run.values("swapped")[1][at], run.values("in weights")[1][at]) for run, at in arms]


@step
def planted():
    """Planted: either way at the ends, both in the middle."""
    return [(0.97, 0.07), (0.8, 0.75), (0.05, 0.95)]


@step
def a_trade():
    """Planted: the middle has half of each, as a mixture of the ends would."""
    return [(0.97, 0.07), (0.5, 0.5), (0.45, 0.95)]


@claim(
    "abrupt-icl/zipf-one-allows-both",
    arms={"uniform": UNIFORM, "zipf": ZIPF, "steep": STEEP},
    holds=above(0.1, unit="accuracy"),
    why="the ledger's tenth over both ends",
    documented="with an exponent near 1 both are high, uniform classes give one of them, a large exponent in-weights alone",
    controls=[
        positive(both=planted),
        negative(both=a_trade),
        negative(zipf=UNIFORM, label="uniform twice"),
        negative(uniform=ZIPF, zipf=STEEP, steep=UNIFORM, label="exponents exchanged"),
    ],
)
def an_exponent_of_one_allows_both(both, observe):
    """The smaller of in-context and in-weights accuracy at exponent 1, minus that of the better end (exponents 0 and 2).

    In context: known classes with labels swapped; in weights: the asked class is not in the context; classes are drawn by their
    frequencies in both. 1,024 classes, each once in its sequence, four pairs, after 1,200 steps; 512 queries of each kind or more.
    """
    observe.table("Accuracy", ["exponent", "swapped labels", "in weights"], [[at, *pair] for at, pair in enumerate(both)])
    uniform, zipf, steep = (min(pair) for pair in both)
    return zipf - max(uniform, steep)
