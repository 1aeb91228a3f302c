"""icl-info-removal: states without demonstrations hold every task's label, and a low-rank filter picks one (arXiv:2509.21012)."""

from __future__ import annotations

import numpy as np
from claimbench import above, at_least, below, causal_lm, claim, guard, negative, positive, step
from claimbench.measures.filters import Filter, cut_accuracy, principal_filter, probe_accuracy, train_vectors
from claimbench.measures.labelled import label_tasks, open_accuracy
from claimbench.measures.steering import accuracies, at_random, filters_of, layers_looked_at, others, rank_for, zero_shot

UNTRAINED = guard(on="untrained-several-tasks")


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


DOES_IT = [at_least(0.75, "accuracy", with_demonstrations)]


@claim(
    "icl-info-removal/zero-shot-nonselective",
    on=causal_lm(organism="several-tasks", model="its bound on accuracy without demonstrations is that of three equal tasks"),
    requires=[at_least(0.95, "accuracy", with_demonstrations), at_least(0.9, "accuracy", unseen)],
    holds={"accuracy without demonstrations": below(1.3 / 3, unit="accuracy"), "probe margin": above(0.3, unit="accuracy")},
    why="the ledger's bounds: 1.3 times what three tasks leave to guess, and a margin of 0.3 in every task",
    documented="accuracy near 0 without demonstrations, although the last state holds the labels of all tasks",
    controls=[positive(on="constructed-task-codes"), negative(on="one-task"), negative(permuted=True), UNTRAINED],
)
def states_without_demonstrations_hold_every_label(lm, tasks, rng, permuted=False):
    """Accuracy without demonstrations over all items and tasks, and the least margin of a probe over one with permuted labels.

    An answer is right where its label has the largest logit of the whole vocabulary. Probes are linear, read the last state
    behind the last layer, are fitted on half of the items of each task, and tested on a quarter that they never saw; the margin
    is that of the worst of the tasks, over five permutations. With a single task nothing has to be selected.
    """
    asked = [tasks.asked(rng, tasks.rows("all"), task, 0, "all") for task in range(tasks.number)]
    layer, margins = lm.layers - 1, []
    for fit, test in zip(*(zero_shot(lm, tasks, rng, layer, part) for part in ("fit", "test")), strict=True):
        chance = np.mean([probe_accuracy((fit[0], rng.permutation(fit[1])), test) for _ in range(5)])
        labels = rng.permutation(fit[1]) if permuted else fit[1]
        margins.append(probe_accuracy((fit[0], labels), test) - chance)
    return {
        "accuracy without demonstrations": np.mean([open_accuracy(lm, each) for each in asked]),
        "probe margin": min(margins),
    }


@step(scope="subject")
def filters(lm, tasks, rng):
    """A filter for every task and layer looked at, trained on prompts without demonstrations; half of the items."""
    return filters_of(lm, tasks, rng)


@step(scope="subject")
def from_permuted_labels(lm, tasks, rng):
    """Filters trained on labels that changed places."""
    return filters_of(lm, tasks, rng, permuted=True)


@step
def best_layer(lm, tasks, filters, rng):
    """The layer whose filters do best on items of its own."""
    tried = {
        layer: accuracies(lm, layer, filters[layer], zero_shot(lm, tasks, rng, layer, "choose"), tasks.judged) for layer in filters
    }
    return max(tried, key=tried.get)


@step(scope="subject")
def vectors(lm, tasks, rng):
    """The rival that adds: a constant vector for every task and layer, trained in the same way."""
    return {layer: train_vectors(lm, layer, zero_shot(lm, tasks, rng, layer, "fit")) for layer in layers_looked_at(lm)}


@claim(
    "icl-info-removal/low-rank-filter-steers",
    on=causal_lm(organism="several-tasks"),
    requires=DOES_IT,
    holds={"gain": above(0.3, unit="accuracy"), "over the best rival": above(0.2, unit="accuracy")},
    why="the ledger's bounds on the gain and on the distance to the best of the filters that know nothing of the task",
    documented="from near 0 to a large value with 0.7 % of the dimensions, most in middle layers",
    controls=[
        positive(on="constructed-task-codes"),
        negative(filters=from_permuted_labels),
        negative(on="one-task"),
        UNTRAINED,
    ],
)
def a_low_rank_filter_steers(lm, tasks, filters, best_layer, vectors, rng, observe):
    """Accuracy without demonstrations gained by this low-rank filter, and what it gains over the best of four rivals.

    At the end of one layer (chosen on items of their own) the last token's state goes through the filter (rank 3, on wide models
    8), and later layers see that token alone. Trained by cross-entropy on half of the items, tested on a quarter never seen.
    Rivals: a random filter of the same rank and size, another task's, the directions of largest variance, and the cut alone.
    A trained constant vector is shown beside it: where it does as well, steering is no evidence of removal.
    """
    own, sets = filters[best_layer], zero_shot(lm, tasks, rng, best_layer, "test")
    width = sets[0][0].shape[1]
    rivals = {
        "random": at_random(own, rank_for(lm), rng),
        "other task's": others(own),
        "largest variance": [principal_filter(states, rank_for(lm)) for states, _ in sets],
        "cut alone": [Filter(np.eye(width), np.zeros(width))] * tasks.number,
    }
    found = {name: accuracies(lm, best_layer, each, sets, tasks.judged) for name, each in rivals.items()}
    filtered = accuracies(lm, best_layer, own, sets, tasks.judged)
    plain = np.mean([open_accuracy(lm, tasks.asked(rng, tasks.rows("test"), task, 0, "test")) for task in tasks.judged])
    added = accuracies(lm, best_layer, vectors[best_layer], sets, tasks.judged)
    rows = [["plain", plain], ["filter", filtered], *map(list, found.items()), ["vector added", added]]
    observe.table(f"Accuracy without demonstrations (layer {best_layer})", ["state", "accuracy"], rows)
    return {"gain": filtered - plain, "over the best rival": filtered - max(found.values())}


def gain(lm, layer, own, sets):
    """Accuracy on each task's states with its filter, minus where the sequence is cut and nothing filtered."""
    return [cut_accuracy(lm, layer, each(x), y) - cut_accuracy(lm, layer, x, y) for each, (x, y) in zip(own, sets, strict=True)]


@step
def names_permuted(filters, from_permuted_labels):
    """The filter of the names alone learned from names that changed places."""
    return {layer: [*own[:-1], from_permuted_labels[layer][-1]] for layer, own in filters.items()}


@claim(
    "icl-info-removal/no-gain-for-bijective",
    on=causal_lm(organism="several-tasks-and-names", model="it compares tasks of few labels with one that names every item"),
    requires=[at_least(0.95, "accuracy", with_demonstrations)],
    holds=above(0.3, unit="accuracy"),
    why="the ledger's bound on the difference of the gains",
    documented="no benefit of low-rank filters on translation and capitals, unlike in classification",
    controls=[positive(filters=names_permuted), negative(named=0, label="a task of few labels in place of the names"), UNTRAINED],
)
def names_gain_nothing_from_a_low_rank_filter(lm, tasks, filters, rng, observe, named=-1):
    """Accuracy gained by low-rank filters in three tasks of four labels, minus that in the task that names every item.

    Rank 3, behind the last layer, items that the filters never saw. What such a filter keeps cannot tell 64 items apart. Shown
    beside it: the same filters at rank 16, half of the width, where names gain too.
    """
    layer = lm.layers - 1
    sets = zero_shot(lm, tasks, rng, layer, "test")
    low = gain(lm, layer, filters[layer], sets)
    wide = gain(lm, layer, filters_of(lm, tasks, rng, rank=16, layers=[layer])[layer], sets)
    rows = [["three tasks", np.mean(low[:3]), np.mean(wide[:3])], ["names", low[-1], wide[-1]]]
    observe.table("Accuracy gained", ["task", "rank 3", "rank 16"], rows)
    return np.mean(low[:3]) - low[named]
