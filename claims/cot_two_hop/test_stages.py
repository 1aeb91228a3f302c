"""cot-two-hop: as many stages as written steps (arXiv:2502.04667)."""

from __future__ import annotations

from claimbench import above, at_least, below, claim, guard, negative, positive, recipe, step

CHAIN, RANDOM, UNTRAINED = (recipe(f"three-hop-{name}") for name in ("chain", "random-bridges", "untrained"))
STAGES = (2, 3)


def last(run, name):
    """A measure of a run at its last record."""
    return run.values(name)[1][-1]


@step
def questions_answered(chain):
    """Share of trained questions that are answered."""
    return last(chain, "trained")


@step
def first_bridge_moved(chain):
    """Nats that the first bridge moves when head or first relation are patched, the smaller."""
    return min(last(chain, f"stage 1 by {name}") for name in ("head", "relation 1"))


@step
def by_earlier_tokens(chain):
    """Nats that what follows a written bridge moves when an earlier token is patched, the most of both bridges."""
    return max(last(chain, f"stage {stage} by earlier tokens") for stage in STAGES)


@step
def planted_screening():
    """Planted: nothing moves."""
    return 0.01


@step
def without_true_bridges(random):
    """The same of a network that was trained with some entity for each bridge."""
    return max(last(random, f"stage {stage} by earlier tokens") for stage in STAGES)


@claim(
    "cot-two-hop/stages-match-steps",
    arms={"chain": CHAIN, "random": RANDOM},
    requires=[at_least(0.95, "share", questions_answered), at_least(2.0, "nat", first_bridge_moved)],
    holds=below(0.1, unit="nat"),
    why="the ledger's margin for two hops, at each bridge",
    documented="three hops have three stages: each written bridge screens off what stands before it",
    controls=[
        positive(by_earlier_tokens=planted_screening),
        negative(by_earlier_tokens=without_true_bridges, label="some entity for each bridge"),
        guard(chain=UNTRAINED, label="untrained"),
    ],
)
def each_written_bridge_screens_off_what_stands_before_it(by_earlier_tokens, chain, random, observe):
    """Mean change of the next entity's log probability under a patch of the stream at an earlier token, worst token, layer, bridge.

    200 trained questions of three hops with both bridges written out; earlier tokens: head, relations already used and, behind
    the second bridge, the first. The patch comes from the same row with another token there alone.
    """
    for name, run in {"chains": chain, "some entity for each bridge": random}.items():
        rows = [[stage, last(run, f"stage {stage} by earlier tokens"), last(run, f"stage {stage} by bridge")] for stage in STAGES]
        observe.table(f"Change of what follows, {name}", ["stage", "earlier tokens", "its bridge"], rows, unit="nat")
    return by_earlier_tokens


@step
def by_bridge(chain):
    """Nats that what follows a written bridge moves when that bridge is patched, the least of both."""
    return min(last(chain, f"stage {stage} by bridge") for stage in STAGES)


@step
def by_some_entity(random):
    """The same of a network that was trained with some entity for each bridge."""
    return min(last(random, f"stage {stage} by bridge") for stage in STAGES)


@step
def planted_dependence():
    """Planted: what follows is lost."""
    return 8.0


@claim(
    "cot-two-hop/stages-match-steps",
    arms={"chain": CHAIN, "random": RANDOM},
    requires=[at_least(0.95, "share", questions_answered)],
    holds=above(2.0, unit="nat"),
    why="the ledger's bound for two hops, at each bridge",
    documented="three hops have three stages",
    controls=[
        positive(by_bridge=planted_dependence),
        negative(by_bridge=by_some_entity, label="some entity for each bridge"),
        guard(chain=UNTRAINED, label="untrained"),
    ],
)
def each_stage_hangs_on_its_bridge(by_bridge):
    """Mean change of the next entity's log probability under a patch of the stream at the bridge before it, the lesser of both.

    The rows and patches of the claim before. The network that was trained with some entity for each bridge answers 0.94 to 1.0 of
    its trained questions.
    """
    return by_bridge
