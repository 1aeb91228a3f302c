"""ih-clamp: what reaches the answer, and by which way the first layer's heads serve the second (arXiv:2404.07129)."""

from __future__ import annotations

import numpy as np
from claimbench import above, at_least, at_least_one, causal_lm, claim, guard, negative, positive, step, variant, within
from claimbench.measures.label_paths import log_odds, previous_item_attention
from claimbench.measures.labels import episodes, label_accuracies, label_accuracy, label_loss

FAMILY = causal_lm(
    organism="label-task",
    model="its task (two labelled items, which label has the query's?) exists for organisms only",
)
EPISODES = 1024
UNTRAINED = guard(on="untrained-label-task")


@step
def shown(lm, rng):
    """Fresh episodes, all label pairs."""
    return episodes(lm, rng, EPISODES)


@step
def train_accuracy(lm, rng):
    """Accuracy on label pairs that were trained on."""
    return label_accuracy(lm, episodes(lm, rng, EPISODES, pairs="train"))


@step
def held_out_accuracy(lm, rng):
    """Accuracy on label pairs that were held out."""
    return label_accuracy(lm, episodes(lm, rng, EPISODES, pairs="held_out"))


LEARNT = [at_least(0.98, "accuracy", train_accuracy), at_least(0.95, "accuracy", held_out_accuracy)]


@step
def previous(lm, rng):
    """Heads of the first layer whose labels give more than half of their attention to the item before, on episodes of their own."""
    return heads_of(previous_item_attention(lm, episodes(lm, rng, EPISODES))[0] > 0.5)


@step
def others(lm, previous):
    """All other heads of the first layer."""
    return [(0, head) for head in range(lm.heads) if (0, head) not in previous]


@step
def not_previous(lm, rng):
    """The groups exchanged: heads that do not look at the item before are called those that do."""
    return heads_of(previous_item_attention(lm, episodes(lm, rng, EPISODES))[0] <= 0.5)


def heads_of(chosen):
    return [(0, int(head)) for head in np.flatnonzero(chosen)]


@claim(
    "ih-clamp/layer-one-direct-vanishes",
    on=FAMILY,
    requires=LEARNT,
    holds={"layer one": within(0.01, unit="accuracy"), "layer two": above(1.0, unit="nat")},
    why="the ledger's bounds: less than a hundredth of accuracy for the first layer, more than a nat for the second",
    documented="at the end the first layer's direct path costs 0.01 % accuracy, the second's about 1.9 nats",
    controls=[
        positive(on="constructed-graded-heads"),
        negative(keep=False, label="patterns and values not kept"),
        negative(first=1, second=0, label="layers exchanged"),
        UNTRAINED,
    ],
    variants=[variant("other episodes' output", binding=True, mode="resample")],
)
def only_the_second_layer_reaches_the_answer(lm, shown, first=0, second=1, keep=True, mode="zero"):
    """Accuracy lost where the first layer's output is taken from the end of the stream alone, and nats lost without the second's.

    Later patterns and values are kept: the second layer still sees what the first wrote. Nats are among the five labels. In
    the variant the output of another episode is put in its place.
    """

    def cut(layer):
        source = None if mode == "zero" else np.roll(shown.ids, 1, axis=0)
        site = f"L{layer}.attn"
        return lm.without_direct(site, source=source) if keep else lm.ablated(site, "zero")

    return {
        "layer one": label_accuracy(lm, shown) - label_accuracy(cut(first), shown),
        "layer two": label_loss(cut(second), shown) - label_loss(lm, shown),
    }


@claim(
    "ih-clamp/k-v-composition-split",
    on=FAMILY,
    requires=[*LEARNT, at_least_one(previous), at_least_one(others)],
    holds={"previous-token heads": above(0.5, unit="logit"), "other heads": above(0.5, unit="logit")},
    why="the ledger asks for an interaction above 1 logit; both halves of a double dissociation must give half of it",
    documented="without previous-token heads: .9985 with patterns kept, .699 with values kept; without the others: .343, .993",
    controls=[
        positive(on="constructed-composed-heads"),
        negative(on="constructed-graded-heads", label="values that need no head of the first layer"),
        negative(previous=not_previous),
        UNTRAINED,
    ],
    variants=[variant("mean ablation", binding=True, mode="mean")],
)
def heads_feed_patterns_or_values(lm, previous, others, shown, observe, mode="zero"):
    """Log odds of a right answer with patterns kept minus values kept, heads that look at the item before removed; others, reverse.

    Removed from the first layer are the heads that look at the item before a label (chosen on episodes of their own, attention
    above one half), or all others, while the second layer's patterns, or its values, are kept as they are in the plain run.
    """
    groups = {"previous-token heads": previous, "other heads": others}
    gone = [lm.without(heads, mode=mode) if heads else lm for heads in groups.values()]
    views = [view.frozen(site) for view in gone for site in ("L1.pattern", "L1.v")]
    right = label_accuracies(lm, views, shown).reshape(len(groups), 2)
    rows = [[name, len(heads), *each] for (name, heads), each in zip(groups.items(), right, strict=True)]
    observe.table("Accuracy without heads of layer one", ["removed", "heads", "patterns kept", "values kept"], rows)
    first, second = -np.diff(log_odds(right, len(shown)))[:, 0]
    return {"previous-token heads": first, "other heads": -second}
