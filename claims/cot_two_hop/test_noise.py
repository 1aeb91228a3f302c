"""cot-two-hop: wrong entities in the trained chains (arXiv:2502.04667)."""

from __future__ import annotations

from claimbench import above, at_least, claim, guard, negative, positive, recipe, step

BRIDGE_NOISE, ANSWER_NOISE = recipe("two-hop-bridge-noise"), recipe("two-hop-answer-noise")
KINDS = ("trained", "held out", "apart", "facts", "facts apart")  # of the last two a fact is asked


def last(run, name):
    """A measure of a run at its last record."""
    return run.values(name)[1][-1]


@step
def facts_known_with_noise(bridge, answer):
    """Share of facts apart that are known, the smaller of both arms: facts themselves are without noise."""
    return min(last(run, "facts apart") for run in (bridge, answer))


@claim(
    "cot-two-hop/first-hop-noise-worse",
    arms={"bridge": BRIDGE_NOISE, "answer": ANSWER_NOISE},
    requires=[at_least(0.9, "share", facts_known_with_noise)],
    holds=above(0.2, unit="accuracy"),
    why="the ledger's bound at a tenth of noise",
    documented="noise in the answer or in the bridge: .978 and .513 at 5 percent, .776 and .075 at 20 percent",
    controls=[
        positive(bridge=recipe("two-hop-filler"), label="no bridge at all"),
        negative(bridge=ANSWER_NOISE, label="noise in the answer in both arms"),
        negative(bridge=ANSWER_NOISE, answer=BRIDGE_NOISE, label="arms exchanged"),
        guard(bridge=recipe("two-hop-untrained"), label="untrained"),
    ],
)
def a_wrong_bridge_costs_more_than_a_wrong_answer(bridge, answer, observe):
    """Accuracy on compositions of two facts apart: with wrong answers in a tenth of the trained chains, minus with wrong bridges.

    A wrong entity is the same at each repetition of its chain. Behind a wrong bridge stands the right answer of the right one.
    """
    arms = {"noise in the bridge": bridge, "noise in the answer": answer}
    observe.table("In the end", ["arm", *KINDS], [[name, *(last(run, kind) for kind in KINDS)] for name, run in arms.items()])
    for name, run in arms.items():
        steps, accuracy = run.values("apart")
        observe.curve(f"Accuracy on compositions apart, {name}", steps, {name: accuracy}, x_label="steps", unit="accuracy")
    return last(answer, "apart") - last(bridge, "apart")
