"""icl-info-removal: demonstrations move states as the filter does, and the heads that do so (arXiv:2509.21012)."""

from __future__ import annotations

import math

import numpy as np
from claimbench import (
    NotApplicable,
    above,
    at_least,
    at_least_one,
    causal_lm,
    claim,
    guard,
    negative,
    positive,
    rate_above,
    step,
    variant,
)
from claimbench.measures.effects import trend
from claimbench.measures.filters import eccentricity, flux
from claimbench.measures.labelled import label_tasks, open_accuracy
from claimbench.measures.matched import matched_random_heads, permuted_heads
from claimbench.measures.norm_matched import norm_matched_heads, norm_ratio, output_norms
from claimbench.measures.steering import (
    denoising,
    filters_of,
    flux_without_heads,
    hits,
    others,
    right_label_attention,
    states_by_shots,
)

PROMPTS = 96
NORMED = 24  # prompts of each task, for output norms
UNTRAINED, PLANTED = guard(on="untrained-several-tasks"), "constructed-task-codes"


@step
def tasks(lm, task):
    """The labelling tasks: an organism's own, or the labelled texts named by --task."""
    return label_tasks(lm, task)


@step
def with_demonstrations(lm, tasks, rng):
    """Accuracy behind the most demonstrations, whole vocabulary."""
    return np.mean([open_accuracy(lm, tasks.asked(rng, 128, task, tasks.shots, "choose")) for task in tasks.judged])


@step
def unseen(lm, tasks, rng):
    """The same where no demonstration carries the query's label."""
    return np.mean([open_accuracy(lm, tasks.asked(rng, 128, task, tasks.shots, "choose", "unseen")) for task in tasks.judged])


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


def some(heads):
    """The heads; NotApplicable where this replicate has none."""
    if not heads:
        raise NotApplicable("no head lowers the flux enough in this replicate")
    return heads


@step
def removed(heads):
    """What is removed: the denoising heads."""
    return some(heads)


@step
def one_other(lm, heads, rng):
    """In their place one other head of each of their layers, of which also others are left to be matched with."""
    return permuted_heads(lm, {layer: (layer, head) for layer, head in some(heads)}.values(), rng, forbidden=heads)


ABLE = [at_least(0.75, "accuracy", with_demonstrations), at_least_one(heads, name="denoising heads")]


@claim(
    "icl-info-removal/denoising-beats-random-heads",
    on=causal_lm(organism="several-tasks"),
    requires=ABLE,
    holds=above(0.1, unit="accuracy"),
    why="the ledger's ten points",
    documented="accuracy behind eight demonstrations falls far more without denoising heads than without as many random ones",
    controls=[positive(on=PLANTED), negative(removed=one_other), UNTRAINED],
    variants=[variant("mean ablation", mode="mean")],
)
def removing_denoising_heads_hurts_more(lm, tasks, removed, heads, rng, mode="zero"):
    """Accuracy without as many random heads of the same layers (mean of four sets without denoising heads), minus without those.

    Denoising heads are chosen by the flux on other items than those of the test; the test has the most demonstrations.
    """
    sets = [removed, *matched_random_heads(lm, removed, heads, rng, sets=4)]
    gone, *random = hits(tasks, [lm.without(list(each), mode=mode) for each in sets], rng, PROMPTS)
    return float(np.mean(random) - gone)


@step
def norm_matched(lm, tasks, removed, heads, rng, observe):
    """As many heads of the same layers, none denoising, whose outputs are nearest in norm, on prompts of the items that choose."""
    asked = [tasks.asked(rng, NORMED, task, tasks.shots, "choose").given for task in tasks.judged]
    norms = np.mean([output_norms(lm, given, {layer for layer, _ in removed}) for given in asked], 0)
    found = norm_matched_heads(norms, removed, heads)
    rows = [[f"{a}.{b}", norms[a, b], f"{c}.{d}", norms[c, d]] for (a, b), (c, d) in zip(removed, found, strict=True)]
    observe.table("Heads matched on output norm", ["head", "norm", "in its place", "norm"], rows)
    observe.value("Norm over that of the heads matched", norm_ratio(norms, removed, found), unit="ratio")
    return found


@step
def top_induction(lm, tasks, removed, heads, rng):
    """As many heads, none denoising and of whatever layer, with the most attention to the right label among the demonstrations."""
    asked = [tasks.asked(rng, PROMPTS, task, tasks.shots, "choose", "seen") for task in tasks.judged]
    scores = np.mean([right_label_attention(lm, each) for each in asked], 0)
    order = [(int(at) // lm.heads, int(at) % lm.heads) for at in np.argsort(-scores, axis=None, kind="stable")]
    return [head for head in order if head not in {*removed, *heads}][: len(removed)]


@claim(
    "icl-info-removal/denoising-beats-random-heads",
    on=causal_lm(organism="several-tasks"),
    requires=ABLE,
    holds=above(0.1, unit="accuracy"),
    why="the ledger's ten points; it names heads matched on output norm, since large outputs hurt when zeroed whatever they do",
    documented="the paper compares with random heads; heads matched on output norm are a stricter control",
    controls=[positive(on=PLANTED), negative(removed=one_other), UNTRAINED],
    variants=[variant("mean ablation", mode="mean")],
)
def removing_denoising_heads_hurts_more_than_heads_of_nearest_norm(
    lm, tasks, removed, norm_matched, top_induction, rng, observe, mode="zero"
):
    """Accuracy without heads of the nearest output norm, minus without denoising heads.

    Heads and prompts are those of the comparison with random heads. To each denoising head another of its layer, so that the
    logs of their norms differ least in all; the norm is that of what a head adds to the residual stream, mean over tokens.
    Nearest need not be near: the ratio is shown. The ledger's other rival, as many heads with the most attention to the right
    label, is shown and not judged: what denoising heads read may come from these, and then they cost as much, as if planted.
    """
    sets = {"denoising": removed, "of nearest norm": norm_matched, "with the most attention to the right label": top_induction}
    found = hits(tasks, [lm.without(list(each), mode=mode) for each in sets.values()], rng, PROMPTS)
    observe.table("Accuracy without", ["heads", "accuracy"], [list(row) for row in zip(sets, found, strict=True)], unit="accuracy")
    return found[1] - found[0]


@claim(
    "icl-info-removal/worst-for-unseen-labels",
    on=causal_lm(organism="several-tasks"),
    requires=[*ABLE, at_least(0.9, "accuracy", unseen, name="accuracy, label unseen")],
    holds={"accuracy": above(0.05, unit="accuracy"), "log odds": above(0.0, unit="logit")},
    why="the ledger's five points, and its direction on the logit scale, where ceilings do not count",
    documented="near collapse without denoising heads where no demonstration carries the query's label",
    controls=[positive(on=PLANTED), negative(on=PLANTED, worse="seen", better="unseen", label="exchanged"), UNTRAINED],
    variants=[variant("mean ablation", mode="mean")],
)
def the_loss_is_worst_for_unseen_labels(lm, tasks, heads, rng, mode="zero", worse="unseen", better="seen"):
    """How much more denoising heads cost than random ones where the query's label is unseen, minus the same where it is seen.

    Accuracies behind the most demonstrations, from which the query's label is missing or among which it is. Random: as many
    heads of the same layers, mean of four sets. Log odds with half a count added on both sides.
    """
    sets = [some(heads), *matched_random_heads(lm, heads, heads, rng, sets=4)]
    views = [lm.without(list(each), mode=mode) for each in sets]
    found = {shown: np.array(hits(tasks, views, rng, PROMPTS, shown)) for shown in (worse, better)}
    count = PROMPTS * len(tasks.judged)
    odds = {shown: np.log((count * share + 0.5) / (count * (1 - share) + 0.5)) for shown, share in found.items()}
    excess = {name: {k: v[1:].mean() - v[0] for k, v in each.items()} for name, each in (("accuracy", found), ("log odds", odds))}
    return {name: float(each[worse] - each[better]) for name, each in excess.items()}
