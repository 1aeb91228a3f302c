"""icl-info-removal: demonstrations move states as the filter does, and the heads that do so (arXiv:2509.21012)."""

from __future__ import annotations

import math

import numpy as np
from claimbench import above, at_least, causal_lm, claim, guard, negative, positive, rate_above, step
from claimbench.measures.effects import trend
from claimbench.measures.filters import eccentricity, flux
from claimbench.measures.labelled import label_tasks, open_accuracy
from claimbench.measures.steering import (
    denoising,
    filters_of,
    flux_without_heads,
    others,
    right_label_attention,
    states_by_shots,
)

PROMPTS = 96
UNTRAINED, PLANTED = guard(on="untrained-several-tasks"), "constructed-task-codes"


@step
def tasks(lm, task):
    """The labelling tasks: an organism's own, or the labelled texts named by --task."""
    return label_tasks(lm, task)


@step
def with_demonstrations(lm, tasks, rng):
    """Accuracy behind the most demonstrations, whole vocabulary."""
    return np.mean([open_accuracy(lm, tasks.asked(rng, 128, task, tasks.shots, "choose")) for task in tasks.judged])


@step(scope="subject")
def filters(lm, tasks, rng):
    """A filter for every task and layer looked at, trained on prompts without demonstrations; half of the items."""
    return filters_of(lm, tasks, rng)


@step(scope="subject")
def of_another_task(filters):
    """To each task the filter of the next one."""
    return {layer: others(own) for layer, own in filters.items()}


@step
def states(lm, tasks, filters, rng):
    """Last states by number of demonstrations, in the later half of the layers looked at."""
    shots = [number for number in (0, 1, 2, 3, 4, 6, 8) if number <= tasks.shots]
    return states_by_shots(lm, tasks, rng, shots, [layer for layer in filters if layer >= lm.layers // 2], PROMPTS)


@step
def planted(states, filters):
    """Planted: states without demonstrations, of which ever less lies outside of what the filter reads."""
    first, most = states[0], max(states)

    def moved(layer, task, number):
        read = filters[layer][task].reads
        inside = first[layer][task] @ read.T @ read
        return inside + (1 - 0.8 * number / most) * (first[layer][task] - inside)

    return {k: {layer: [moved(layer, task, k) for task in range(len(each))] for layer, each in first.items()} for k in states}


@claim(
    "icl-info-removal/few-shot-raises-flux",
    on=causal_lm(organism="several-tasks"),
    requires=[at_least(0.75, "accuracy", with_demonstrations)],
    holds={
        "flux, most over none": above(math.log(1.3), unit="log ratio"),
        "trend": above(0.8, unit="correlation"),
        "over another task's": above(0.0, unit="log ratio"),
    },
    why="the ledger's bounds; flux through another task's filter is the comparison, since any narrowing of states raises flux",
    documented="flux through the filter and eccentricity rise with demonstrations, in middle to late layers, with accuracy",
    controls=[positive(states=planted), negative(filters=of_another_task), negative(on="one-task"), UNTRAINED],
)
def demonstrations_raise_the_flux(tasks, states, filters, observe):
    """Log of the covariance flux behind the most demonstrations over none, its trend, and the rise over another task's.

    Flux: variance of the last state that this filter lets through, over all its variance; the filter was trained without
    demonstrations at the same layer on other items. Mean over tasks and the later half of the layers. Two labels in five that
    the organism is shown are another task's, so that every further one tells something; with clean labels the first tells all.
    Instructions, which the paper sets apart, are not tested.
    """

    def curve(value):
        return np.array(
            [np.mean([value(x, layer, task) for layer, xs in at.items() for task, x in enumerate(xs)]) for at in states.values()]
        )

    own = curve(lambda x, layer, task: flux(x, filters[layer][task]))
    other = curve(lambda x, layer, task: flux(x, others(filters[layer])[task]))
    lines = {"own filter": own, "another task's": other, "eccentricity": curve(lambda x, layer, task: eccentricity(x))}
    observe.curve("Flux and eccentricity", list(states), lines, x_label="demonstrations", unit="share")
    rise = math.log(own[-1] / own[0])
    return {
        "flux, most over none": rise,
        "trend": trend(list(states), own),
        "over another task's": rise - math.log(other[-1] / other[0]),
    }


@step
def changes(lm, tasks, filters, rng):
    """Relative change of the flux without each head, on two sets of prompts of their own, [2, layers, heads]."""
    halves = [[tasks.asked(rng, PROMPTS, task, tasks.shots, "choose") for task in tasks.judged] for _ in range(2)]
    return np.array([flux_without_heads(lm, tasks, filters, asked) for asked in halves])


@step
def heads(changes):
    """Denoising heads: without one the flux falls by more than 5 %, and by more than three times its split-half deviation."""
    return denoising(changes.mean(0), noise=3 * float(np.std(changes[0] - changes[1]) / 2))


@step
def head_maps(lm, tasks, changes, heads, rng, observe):
    """Change of the flux without each head, beside its attention to the right label."""
    asked = tasks.asked(rng, PROMPTS, 0, tasks.shots, "choose", "seen")
    observe.heads("Change of the flux without the head", changes.mean(0), unit="share", marked=heads)
    observe.heads("Attention to the right label", right_label_attention(lm, asked), unit="attention")


@claim(
    "icl-info-removal/denoising-heads-exist",
    on=causal_lm(organism="several-tasks", model="every head of half of the layers would have to be removed; not tried"),
    requires=[at_least(0.75, "accuracy", with_demonstrations)],
    holds=rate_above(0.5),
    why="the ledger asks for two heads; that they are there in most networks means a rate above one half",
    documented="a minority of heads lower the flux by 3.5 to 5 % and more, whatever their induction score",
    controls=[positive(on=PLANTED), negative(on="one-task"), UNTRAINED],
    shows=[head_maps],
)
def some_heads_carry_the_flux(lm, heads):
    """Whether the flux falls by more than 5 %, and by three split-half deviations, without at least two single heads (zeroed).

    And whether these are a minority: at most half of all heads. Independence of induction scores is shown and not judged:
    sixteen heads are too few for a correlation within 0.3.
    """
    return bool(2 <= len(heads) <= lm.layers * lm.heads / 2)
