"""load-bearing: what hangs on the strongest induction heads, without copy snippets in training and with them (arXiv:2509.22947)."""

from __future__ import annotations

from claimbench import NotApplicable, above, at_least, at_least_one, causal_lm, claim, guard, negative, positive, step, variant
from claimbench.measures.gains import order_gain
from claimbench.measures.matched import matched_random_heads
from claimbench.measures.pairs import LARGE, SHORT
from claimbench.measures.prompts import repeats
from claimbench.measures.scores import head_scores, heads_above_null, top_heads_per_layer
from claimbench.measures.swept import shares_lost

EFFECTS = ("loss without snippets minus with", "four fifths of it minus with")
ROWS = 16  # sequences a replicate and model, for choosing and for measuring each


def prompts(lm, rng, bos=True, source="frequent"):
    """Sequences with a repeated span of the model's own tokens, as long as suits it."""
    lengths = (100, 200) if lm.parameters >= LARGE else (8, 12) if lm.context < SHORT else (20, 50)
    return repeats(lm, rng, n=ROWS, lengths=lengths, bos=bos, source=source)


def strongest(heads):
    """The strongest of each layer that has any, of heads in order."""
    return list({layer: (layer, head) for layer, head in reversed(heads)}.values())


def extra_loss(lm, gone, barred, found, rng, mode, measure):
    """Share of the gain lost without `gone`, minus the mean of that without four sets of as many others, none of them barred."""
    if not gone:
        raise NotApplicable(f"no head of {lm.name} is above its null in this replicate")
    lost = shares_lost(lm, [gone, *matched_random_heads(lm, gone, barred, rng, sets=4)], found, mode, rng, measure)
    return lost[0] - lost[1:].mean()


@step
def scores(lm, rng, bos=True, source="frequent"):
    """Head scores of the model with snippets."""
    return head_scores(lm, prompts(lm, rng, bos, source), rng)


@step
def scores_before(base_lm, rng, bos=True, source="frequent"):
    """Head scores of the model without."""
    return head_scores(base_lm, prompts(base_lm, rng, bos, source), rng)


@step
def above_null(scores):
    """Induction heads of the model with snippets, strongest first: excess of at least 0.1, beyond the permutation null."""
    return heads_above_null(scores)


@step
def above_null_before(scores_before):
    """Induction heads of the model without, strongest first."""
    return heads_above_null(scores_before)


@step
def heads(scores, above_null, chosen="above null"):
    """The heads to remove with snippets: the strongest above null of each layer, or the paper's top 2 % of every layer."""
    return strongest(above_null) if chosen == "above null" else top_heads_per_layer(scores, share=0.02)


@step
def heads_before(scores_before, above_null_before, chosen="above null"):
    """Those to remove without."""
    return strongest(above_null_before) if chosen == "above null" else top_heads_per_layer(scores_before, share=0.02)


@step
def gain(lm, rng):
    """Order gain of the model with snippets."""
    return order_gain(lm, prompts(lm, rng))


@step
def gain_before(base_lm, rng):
    """Order gain of the model without."""
    return order_gain(base_lm, prompts(base_lm, rng))


@step
def redundancy(lm, base_lm, above_null, above_null_before, rng, observe):
    """How the gain is shared among the heads: how many must go for half of it, and all together against each alone."""
    lines = []
    for name, net, heads in (("without snippets", base_lm, above_null_before), ("with snippets", lm, above_null)):
        first = [heads[: n + 1] for n in range(len(heads))]
        lost = shares_lost(net, [*first, *([head] for head in heads)], prompts(net, rng), "resample", rng)
        together, alone = lost[: len(heads)], lost[len(heads) :]
        half = next((n for n, share in enumerate(together, 1) if share >= 0.5), f"more than {len(heads)}")
        lines.append([name, len(heads), half, max(alone), together[-1], together[-1] - sum(alone)])
    columns = ["model", "heads above null", "heads gone at half of the gain", "largest alone", "all together", "beyond their sum"]
    observe.table("Share of the gain lost without induction heads, removed from the strongest on", columns, lines)


@claim(
    "load-bearing/natural-most-centralised",
    on=causal_lm(organism="copying-beside-documents", base="documents-longer"),
    requires=[
        at_least(0.5, "nat", gain, name="order gain"),
        at_least(0.5, "nat", gain_before, name="order gain of the base"),
        at_least_one(above_null, name="heads above null"),
        at_least_one(above_null_before, name="heads above null in the base"),
    ],
    holds=dict.fromkeys(EFFECTS, above(0, unit="share of gain")),
    why="the ledger's two bounds, interval above 0 and at least a fifth of what is lost without snippets",
    documented="the relative drop without the top induction heads is largest in natural-only models",
    controls=[
        positive(on="constructed-graded-copying", base="constructed-induction-head", label="six heads share it, one had it alone"),
        negative(on="constructed-induction-head", base="constructed-graded-copying", label="one has it alone, six shared it"),
        negative(on="constructed-induction-head", base="constructed-induction-head", label="one has it alone in both"),
        guard(on="no-repetition"),
    ],
    variants=[
        variant("mean ablation", binding=True, mode="mean"),
        variant("zero ablation", binding=True, mode="zero"),
        variant("without BOS", binding=True, bos=False),
        variant("swap gain", binding=True, measure="swap"),
        variant("natural tokens", source="natural"),
        variant("random heads none of which is above null", binding=True, others="below null"),
        variant("the paper's top 2 % of every layer", chosen="top 2 %"),
    ],
    shows=[redundancy],
)
def most_hangs_on_the_top_heads_without_snippets(
    lm, base_lm, heads, heads_before, above_null, above_null_before, rng, observe,
    mode="resample", measure="order", bos=True, source="frequent", others="any",
):  # fmt: skip
    """Share of the gain lost without the top induction heads, beyond random ones: without copy snippets minus with them.

    A pair: `--model` with snippets, `--base-model` natural data alone. In each replicate each model's heads are chosen anew, the
    strongest above null of each layer that has any, and removed on fresh sequences [BOS, prefix, R, R] of its own tokens. The gain
    is the order gain: NLL of R given R shuffled, minus NLL of R given R. Random: up to four sets of as many other heads of the same
    layers, induction heads among them: were those barred, nets all of whose heads share the work would be left out. The
    organisms are an analogue: nets of eight heads a layer, two of which their recipe lets copy first, and nets of four.
    """
    extra = []
    for name, net, gone, found in (("without", base_lm, heads_before, above_null_before), ("with", lm, heads, above_null)):
        barred = found if others == "below null" else ()
        extra.append(extra_loss(net, gone, barred, prompts(net, rng, bos, source), rng, mode, measure))
        observe.value(f"Lost {name} snippets, beyond random heads", extra[-1], unit="share of gain")
    return dict(zip(EFFECTS, (extra[0] - extra[1], 0.8 * extra[0] - extra[1]), strict=True))
