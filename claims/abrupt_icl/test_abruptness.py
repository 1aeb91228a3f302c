"""abrupt-icl: what the trained network does before and while it learns in context (arXiv:2312.03002, section 3)."""

from __future__ import annotations

import math

import numpy as np
from claimbench import above, at_least, below, claim, negative, positive, recipe, step, variant, within
from claimbench.measures.curves import plateau_index, time_to
from claimbench.measures.effects import log_time_ratio, off_level

MANY = recipe("bursty-many-classes")
NAMES = ("in context", "context label", "random label", "commonest label", "item attention", "label attention")
QUERIES = 4096


@step
def course(net):
    """The curves of a run: steps and the measures of `NAMES`, each (records,)."""
    return {"step": np.array(net.values("in context")[0]), **{name: np.array(net.values(name)[1]) for name in NAMES}}


@step
def learned(course):
    """Accuracy on novel classes, the best of the run."""
    return course["in context"].max()


def planted_course(jump, attention, share, sharpness=40):
    """Smooth steps in log time: accuracy at `jump`, both attentions at `attention`, context labels at `share`."""
    steps = np.arange(0.0, 3525.0, 25.0)

    def rise(at, low, high):
        return low + (high - low) / (1 + (at / np.maximum(steps, 1)) ** sharpness)

    random, flat = 0.28, np.full(len(steps), 0.28)
    accuracy = rise(share, 1 / 16, random) + rise(jump, 0.0, 1 - random)
    return {
        "step": steps,
        "in context": accuracy,
        "context label": rise(share, 0.25, 1.0),
        "random label": flat,
        "commonest label": flat,
        "item attention": rise(attention, 0.25, 0.8),
        "label attention": rise(attention, 0.1, 0.8),
    }


@step
def planted():
    """Planted: context labels at step 75, everything else at step 600, within a tenth of the time."""
    return planted_course(jump=600, attention=600, share=75)


@step
def everything_at_once():
    """Planted: context labels, attention and accuracy together, so that there is no phase of random labels."""
    return planted_course(jump=300, attention=300, share=300)


@step
def attention_late():
    """Planted: attention at four times the step at which accuracy jumps."""
    return planted_course(jump=300, attention=1200, share=75)


@step
def gradual():
    """Planted: the same rise, spread over as long as it took to set out."""
    return planted_course(jump=600, attention=600, share=75, sharpness=5)


def half_rise(found, name):
    """Step at which a curve has covered half of its way from beginning to end."""
    values = found[name]
    return time_to(found["step"], (values - values[0]) / (values[-1] - values[0]), 0.5)


def onset(found):
    """Step at which accuracy is halfway between naming a random label of the context and 1."""
    return time_to(found["step"], found["in context"], (1 + found["random label"][0]) / 2)


LEARNED = [at_least(0.9, "accuracy", learned)]


@claim(
    "abrupt-icl/abrupt-after-random-label",
    arms={"net": MANY},
    requires=LEARNED,
    holds={
        "plateau above random label": within(0.05, unit="accuracy"),
        "context labels": above(0.9, unit="share"),
        "dwell": above(0.1, unit="share"),
    },
    why="0.05 and 0.9 are the ledger's; a tenth of the log steps beyond a smooth curve is our smallest plateau",
    documented="accuracy goes from 1/L to 1/N, where a random label of the context is named, before it jumps",
    controls=[
        positive(course=planted),
        negative(net=recipe("bursty-summed")),
        negative(course=everything_at_once),
    ],
    variants=[variant("commonest label of the context", level="commonest label")],
)
def a_random_label_of_the_context_is_named_first(course, observe, level="random label"):
    """Accuracy on the plateau minus that of naming a random label of the context, with the share of such answers and the dwell.

    The plateau lies between the first record at which nine in ten answers are labels of the context (novel classes, 4,096
    queries) and half of the step at which accuracy is halfway to 1. Accuracy and share are means over its records. A random
    label: one over the number of distinct labels, averaged over contexts. Dwell: share of log steps within 0.05 of that
    level, from the first record to an accuracy of 0.9, minus that of a steady curve (`plateau_index`). The rival names the
    commonest label of a context, the best that can be done without matching.
    """
    lines = {name: course[name] for name in NAMES}
    observe.curve("Before and after the jump", course["step"], lines, x_label="step", unit="share")
    step, accuracy, share = course["step"], course["in context"], course["context label"]
    begun, end = np.flatnonzero(share >= 0.9), onset(course).low / 2
    first = int(begun[0]) if len(begun) else len(step) - 1
    there = slice(first, max(first + 1, int((step <= end).sum())))
    target = float(course[level][0])
    dwell = plateau_index(step[1:], accuracy[1:], level=target, within=0.05, leaving=1 / 16, reaching=0.9)
    return {
        "plateau above random label": off_level(float(accuracy[there].mean()), target, queries=QUERIES),
        "context labels": float(share[there].mean()),
        "dwell": dwell,
    }


@claim(
    "abrupt-icl/abrupt-after-random-label",
    arms={"net": MANY},
    requires=LEARNED,
    holds=below(0.25, unit="ratio"),
    why="the ledger's bound: the jump takes less than a quarter of the time that went before it",
    documented="after the slow phase accuracy jumps to about 1",
    controls=[positive(course=planted), negative(net=recipe("bursty-summed")), negative(course=gradual)],
)
def the_jump_is_short(course):
    """Steps from 10 to 90 percent of the rise over a random context label, as a part of the steps before it.

    Accuracy is that on novel classes; the rise is from the accuracy of naming a random label of the context to 1.
    """
    random = course["random label"][0]
    ten, ninety = (time_to(course["step"], course["in context"], random + part * (1 - random)) for part in (0.1, 0.9))
    return (max(ninety.low - ten.high, 0.0) / ten.high, (ninety.high - ten.low) / max(ten.low, 1.0))


@claim(
    "abrupt-icl/attention-jumps-with-icl",
    arms={"net": MANY},
    requires=LEARNED,
    holds={
        "context labels first": below(math.log(0.5), unit="log ratio"),
        "item attention with accuracy": within(0.3, unit="log ratio"),
        "label attention with accuracy": within(0.3, unit="log ratio"),
    },
    why="the ledger's bounds: context labels in half of the time at most, both attentions within a third of the same time",
    documented="attention of labels to their items and of the target to the right label jump with accuracy; answers come from "
    "the context well before",
    controls=[
        positive(course=planted),
        negative(course=everything_at_once),
        negative(course=attention_late),
    ],
)
def attention_jumps_when_accuracy_does(course):
    """Log half-rise times of context labels, item attention and label attention, each over that of accuracy.

    All on novel classes. Accuracy: halfway between naming a random label of the context and 1. The others: halfway from
    their beginning to their end. Item attention: from label tokens to the item before, layer 1; label attention: from the
    target to the label of its item, layer 2.
    """
    jump, budget = onset(course), float(course["step"][-1])
    names = {
        "context labels first": "context label",
        "item attention with accuracy": "item attention",
        "label attention with accuracy": "label attention",
    }
    return {effect: log_time_ratio(half_rise(course, name), jump, budget=budget) for effect, name in names.items()}


@claim(
    "abrupt-icl/icl-not-transient",
    arms={"net": MANY},
    requires=LEARNED,
    holds=within(0.05, unit="accuracy"),
    why="the ledger's margin: a change of accuracy of less than 0.05 is no loss",
    documented="in-context learning is not transient in these simulations, unlike in Singh et al. (arXiv:2311.08360)",
    controls=[positive(course=planted, label="planted plateau"), negative(net=recipe("bursty-withdrawn"))],
)
def it_does_not_fade(course):
    """Accuracy on novel classes at the end of training, at least five times the onset, minus the largest before.

    Onset: accuracy halfway between naming a random label of the context and 1. A run that ends before five times its onset
    would say nothing, and counts as a rise or fall of unknown size.
    """
    accuracy = course["in context"]
    if 5 * onset(course).high > course["step"][-1]:
        return (-1.0, 1.0)
    return accuracy[-1] - accuracy[:-1].max()
