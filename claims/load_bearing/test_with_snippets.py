"""load-bearing: a model with copy snippets in its training beside one without, a pair (arXiv:2509.22947)."""

from __future__ import annotations

from claimbench import above, at_least, causal_lm, claim, negative, positive, recipe, step
from claimbench.measures.matching import last_mean
from claimbench.measures.pairs import suited_scores


@step
def scores(lm, rng):
    """Head scores of the model with snippets."""
    return suited_scores(lm, rng)


@step
def scores_before(base_lm, rng):
    """Head scores of the model without snippets."""
    return suited_scores(base_lm, rng)


def activity(found):
    """Excess induction score of the top head of a layer, mean over layers."""
    return float(found.excess["induction"].max(1).mean())


def show_both(observe, scores, scores_before):
    """Every head's score in both models."""
    observe.heads("Induction score, with snippets", scores.excess["induction"], unit="attention")
    observe.heads("Induction score, without", scores_before.excess["induction"], unit="attention")


@claim(
    "load-bearing/copy-snippets-raise-induction",
    on=causal_lm(organism="copying", base="no-repetition"),
    holds=above(0.05, unit="attention"),
    why="the ledger's smallest rise",
    documented="copy snippets raise induction-head activity over natural data at equal compute",
    controls=[
        positive(on="constructed-induction-head"),
        negative(on="no-repetition", label="no-repetition: neither has snippets"),
        negative(on="untrained-copying"),
    ],
)
def snippets_raise_induction(lm, scores, scores_before, observe):
    """Induction score with copy snippets minus that without, top head of each layer, mean over layers.

    A pair: `--model` with snippets, `--base-model` without. Excess attention on repeats of each model's own frequent tokens. The
    organisms share network and language; one saw repeated spans among it by way of a curriculum, the other spans of random tokens
    that do not come back, in a sixth of the steps: not the paper's equal compute.
    """
    show_both(observe, scores, scores_before)
    return activity(scores) - activity(scores_before)


def by_layer(run):
    """Induction score of the top head of each layer, mean over layers, at the end of training."""
    return last_mean(run.values("induction by layer")[1])


@step
def ends(snippets, natural):
    """With snippets and without."""
    return by_layer(snippets), by_layer(natural)


@step
def raised(natural):
    """Planted: 0.1 more with snippets than without."""
    return by_layer(natural) + 0.1, by_layer(natural)


@step
def heads_of_natural_data(natural):
    """Induction score on natural data alone, mean over layers."""
    return by_layer(natural)


@claim(
    "load-bearing/copy-snippets-raise-induction",
    arms={"snippets": recipe("documents-snippets"), "natural": recipe("documents")},
    requires=[at_least(0.2, "attention", heads_of_natural_data, name="induction by layer on natural data alone")],
    holds=above(0.05, unit="attention"),
    why="the ledger's smallest rise",
    documented="copy snippets raise induction-head activity over natural data at equal compute",
    controls=[
        positive(ends=raised),
        negative(snippets=recipe("documents"), label="neither has snippets"),
        negative(snippets=recipe("documents-repeated"), label="repeated documents in place of snippets"),
    ],
)
def snippets_raise_it_where_documents_recur(ends, snippets, natural, observe):
    """Induction score with copy snippets minus that without, at equal steps, where documents are full of recurring spans.

    Snippets [S, separator, S] of 19 names stand in place of half of the documents at first, in the end of none; 800 steps. Spans of
    names come back in the documents themselves at any distance, more densely than in the paper's text.
    """
    for name in ("induction", "recall loss"):
        lines = {"with snippets": snippets.values(name)[1], "without": natural.values(name)[1]}
        observe.curve(
            name.capitalize(), natural.values(name)[0], lines, x_label="step", unit="attention" if name == "induction" else "nat"
        )
    return ends[0] - ends[1]
