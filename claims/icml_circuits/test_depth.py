"""icml-circuits: at which depth labels attend to items and queries to labels (arXiv:2505.16694, on pretrained models)."""

from __future__ import annotations

from claimbench import above, at_least, causal_lm, claim, guard, negative, positive, step, variant
from claimbench.measures.pair_attention import pair_attention
from claimbench.measures.tasks import association_prompts, task_accuracy

PROMPTS, PAIRS = 64, 6


@step
def prompts(lm, rng, pairs=PAIRS):
    """Prompts of pairs of different tokens and the first of one of them again."""
    return association_prompts(lm, rng, n=PROMPTS, pairs=pairs)


@step
def accuracy(lm, rng):
    """Share of prompts, of their own, behind which the partner has a larger logit than another pair's."""
    return task_accuracy(lm, association_prompts(lm, rng, n=PROMPTS, pairs=PAIRS))


@step
def attention(lm, prompts):
    """Attention from labels to items and from the query to labels, by layer."""
    return pair_attention(lm, prompts)


@step
def attention_by_layers_exchanged(lm, prompts):
    """Planted: the same, the layers in the other order."""
    found = pair_attention(lm, prompts)
    return type(found)(*(part[::-1] for part in vars(found).values()))


@step
def attention_to_items_twice(lm, prompts):
    """Planted: attention from labels to items in the place of that from the query to labels, too."""
    found = pair_attention(lm, prompts)
    return type(found)(found.chunk, found.chunk_elsewhere, found.chunk, found.chunk_elsewhere)


@claim(
    "icml-circuits/chunk-before-label-depth",
    on=causal_lm(organism="copying"),
    requires=[at_least(0.75, "accuracy", accuracy)],
    holds=above(0.15, unit="share"),
    why="the ledger's bound; the paper shows curves by layer",
    documented="in GPT2-XL on two-shot SST-2 labels attend to their examples early, queries to labels in middle and late layers",
    controls=[
        positive(on="constructed-induction-head"),
        negative(attention=attention_by_layers_exchanged),
        negative(attention=attention_to_items_twice),
        guard(on="untrained-copying"),
        guard(on="stories260K"),
    ],
    variants=[variant("twelve pairs", pairs=12)],
)
def labels_read_items_before_queries_read_labels(attention, observe):
    """Relative depth of attention from the query to labels, minus that from labels to their items.

    Prompts [BOS, a1, b1, ..., a6, b6, ai] of different ordinary tokens. The depth is the mean over layers, 0 first to 1 last,
    weighted by attention in excess of the same queries' attention elsewhere: from labels to earlier items; from the query to
    items, as many and as near as the labels (the one beside it left out). Means over heads.
    """
    observe.curve(
        "Attention by layer", range(len(attention.chunk)), {name: part for name, part in vars(attention).items()},
        x_label="layer", unit="attention",
    )  # fmt: skip
    chunk, label = attention.depths
    return label - chunk
