"""ih-clamp: parts of the circuit are given in training, and what is left is learned (arXiv:2404.07129, section on clamping)."""

from __future__ import annotations

import math

from claimbench import Value, above, at_least, claim, log_ratio, negative, positive, recipe, step, steps_to
from claimbench.measures.effects import smallest_gap

SOLO, FAST, MEDIUM = (recipe(f"label-task-solo{rate}") for rate in ("", "-fast", "-medium"))
PREVIOUS, EVERY = recipe("label-task-previous-token"), recipe("label-task-all-previous-token")
LAYER, COPY, MATCH, BLIND = (recipe(f"label-task-{name}") for name in ("layer-one", "copy", "match", "blind"))
SOLVED = 0.4 * math.log(2)
BUDGET = 8000
CLAMPS = {"previous": PREVIOUS, "layer": LAYER, "copy": COPY, "match": MATCH}
LEAST = {"previous": 1.1, "layer": 1.5, "copy": 3.0, "match": 3.0}  # how many times faster, by the ledger


@step
def times(none, previous, layer, copy, match):
    """Steps to the criterion of each arm, in the paper's order from the slowest."""
    arms = {"none": none, "previous": previous, "layer": layer, "copy": copy, "match": match}
    return {name: steps_to(run, "loss", below=SOLVED) for name, run in arms.items()}


def planted(**steps):
    return {name: Value(float(at - 5), float(at)) for name, at in steps.items()}


@step
def planted_times():
    """Planted: the steps of the paper's figure, in thousands of sequences."""
    return planted(none=310, previous=220, layer=80, copy=42, match=33)


@step
def match_helps_least():
    """Planted: the clamp of the match is the least helpful, the others as in the paper."""
    return planted(none=310, previous=220, layer=80, copy=42, match=250)


@step
def times_to_learn(arms, observe):
    """Steps until each arm has learned, over seeds."""
    times = {name: steps_to(run, "loss", below=SOLVED) for name, run in arms.items()}
    observe.times("Steps to a loss of 0.4 ln 2", times, budget=BUDGET, unit="steps")


@claim(
    "ih-clamp/clamping-removes-plateau",
    arms={"none": SOLO, **CLAMPS},
    holds=above(0.0, unit="log ratio"),
    why="the ledger's factors: 1.1 for previous-token attention, 1.5 for the first layer, 3 for copy and for match",
    documented="sequences to criterion: none 3.1e5, previous-token attention 2.2e5, layer one 0.8e5, copy 0.42e5, match 0.33e5",
    controls=[
        positive(previous=FAST, layer=FAST, copy=FAST, match=FAST, label="five times the rate"),
        positive(times=planted_times),
        negative(previous=SOLO, layer=SOLO, copy=SOLO, match=SOLO, label="nothing clamped"),
        negative(match=BLIND, label="attention clamped without knowledge of what is asked"),
    ],
    shows=[times_to_learn],
)
def each_clamp_saves_time(times, observe):
    """Smallest of the logs of how many times faster the four clamps make training, each beyond the ledger's factor.

    Steps to a loss of 0.4 ln 2, with one head of the second layer that can write. Clamped in each pass: the attention of one
    head of the first layer to the token before; the whole first layer (keys of labels are their items', the rest
    embeddings); the logits (scores of the head for the labels shown); the head's attention to the right label.
    """
    rows = [[name, time.low, time.high] for name, time in times.items()]
    observe.table("Steps to 0.4 ln 2", ["clamped", "after", "by"], rows)
    saved = [(log_ratio(times["none"], times[name]), math.log(factor)) for name, factor in LEAST.items()]
    return Value(min(ratio.low - least for ratio, least in saved), min(ratio.high - least for ratio, least in saved))


@claim(
    "ih-clamp/clamping-removes-plateau",
    arms={"none": SOLO, **CLAMPS},
    holds=above(0.0, unit="log ratio"),
    why="the paper gives an order; neighbours as far apart as records can tell",
    documented="none > previous-token attention > layer one > copy > match",
    controls=[
        positive(times=planted_times),
        negative(copy=MATCH, match=COPY, label="copy and match exchanged"),
        negative(times=match_helps_least),
    ],
)
def clamps_save_time_in_a_fixed_order(times):
    """Smallest gap of log steps between neighbours in the paper's order of clamps."""
    logs = [Value(math.log(max(times[name].low, 1)), math.log(times[name].high)) for name in reversed(times)]
    return smallest_gap(logs)


@claim(
    "ih-clamp/overclamping-slows",
    arms={"none": SOLO, "every": EVERY},
    holds=above(math.log(1.3), unit="log steps"),
    why="the ledger's factor; the paper's figure has 1.8",
    documented="all heads of the first layer clamped to the token before: 5.7e5 sequences, none: 3.1e5",
    controls=[
        positive(every=MEDIUM, none=FAST, label="half the rate"),
        negative(every=SOLO, label="nothing clamped"),
        negative(every=PREVIOUS, label="one head clamped"),
    ],
    shows=[times_to_learn],
)
def clamping_all_of_layer_one_slows(none, every):
    """Log steps to a loss of 0.4 ln 2 with all heads of the first layer held at the token before, over that with none."""
    return log_ratio(steps_to(every, "loss", below=SOLVED), steps_to(none, "loss", below=SOLVED))


AT = {name: recipe(f"label-task-at-{value}") for name, value in (("away", -1), ("half_away", -0.5), ("half", 0.5), ("whole", 1))}


@step
def learnt(away, half_away, half, whole):
    """Share of the arms in which the loss on training pairs is below 0.1 in the end."""
    return sum(run.stopped for run in (away, half_away, half, whole)) / 4


@step
def held_out(away, half_away, half, whole):
    """Loss on held-out pairs in the end, by the strength at which attention is held."""
    arms = {-1.0: away, -0.5: half_away, 0.5: half, 1.0: whole}
    return {strength: run.values("held-out pairs loss")[1][-1] for strength, run in arms.items()}


@step
def planted_losses():
    """Planted: at the same training loss, held-out pairs fail below 0 and pass above."""
    return {-1.0: 1.5, -0.5: 1.2, 0.5: 0.2, 1.0: 0.1}


@claim(
    "ih-clamp/attention-sign-sets-generalisation",
    arms=AT,
    requires=[at_least(1.0, "share", learnt)],
    holds=above(0.4, unit="nat"),
    why="the ledger: training loss below 0.1 on both sides, held-out loss above 0.5 for negative strengths",
    documented="training loss goes to 0 for every strength away from 0, held-out loss only for positive ones",
    controls=[
        positive(held_out=planted_losses),
        negative(away=AT["whole"], half_away=AT["half"], half=AT["half_away"], whole=AT["away"], label="signs exchanged"),
        negative(away=AT["whole"], half_away=AT["half"], label="positive on both sides"),
    ],
)
def held_out_pairs_need_attention_to_the_right_label(held_out, observe):
    """Held-out loss at the better of strengths -1 and -0.5, minus that at the worse of 0.5 and 1, all at equal training loss.

    The query's attention of the one head of the second layer is held: to the right label minus the wrong one it is the
    strength. Training stops where the loss on the eight training pairs is below 0.1; two label pairs were held out.
    """
    observe.table("Held-out loss", ["strength", "nats"], [[strength, loss] for strength, loss in held_out.items()])
    return min(held_out[-1.0], held_out[-0.5]) - max(held_out[0.5], held_out[1.0])
