"""load-bearing: the heads that induction scores point at carry in-context copying (arXiv:2509.22947, section on ablation)."""

from __future__ import annotations

import numpy as np
from claimbench import NotApplicable, above, at_least, at_least_one, causal_lm, claim, guard, negative, positive, step, variant
from claimbench.measures.attention_maps import attention_map, token_names
from claimbench.measures.gains import gains, order_gain
from claimbench.measures.matched import matched_random_heads, permuted_heads
from claimbench.measures.norm_matched import norm_matched_heads, norm_ratio, output_norms
from claimbench.measures.prompts import repeats
from claimbench.measures.scores import head_scores, heads_above_null, top_heads_per_layer
from claimbench.measures.swept import shares_lost
from claimbench.measures.tasks import association_prompts, mean_margin, task_accuracy, task_prompts

BATCH = 16  # sequences a replicate, for choosing and for measuring each
NORMED = 4  # sequences a replicate, for output norms
ITEMS = 48  # of a task, a replicate
LONG_FROM = 100_000_000  # parameters from which repeats are 100 to 200 tokens long


@step
def lengths(lm):
    """Length of the repeated span: 20 to 50 tokens, 100 to 200 from GPT-2 size up."""
    return (100, 200) if lm.parameters >= LONG_FROM else (20, 50)


@step
def prompts(lm, lengths, rng, bos=True, source="frequent"):
    """Sequences with a repeated span, each beside its shuffled and its unrelated twin."""
    return repeats(lm, rng, n=BATCH, lengths=lengths, source=source, bos=bos)


@step
def scores(lm, lengths, rng, bos=True, source="frequent"):
    """Head scores, on sequences of their own."""
    return head_scores(lm, repeats(lm, rng, n=BATCH, lengths=lengths, source=source, bos=bos), rng)


@step
def above_null(scores):
    """Heads whose excess induction attention is at least 0.1 and beyond the permutation null."""
    return heads_above_null(scores, "induction", excess=0.1)


@step
def heads(scores, above_null, chosen="above null"):
    """The heads to remove: those above null, or the paper's top 2 % of every layer."""
    return above_null if chosen == "above null" else top_heads_per_layer(scores, "induction", share=0.02)


@step
def gain(lm, prompts):
    """Order gain."""
    return order_gain(lm, prompts)


@step
def permuted(lm, heads, above_null, rng):
    """As many heads of the same layers, drawn without the true ones; none where there are none."""
    return permuted_heads(lm, heads, rng, forbidden=above_null) if heads else []


@step
def norm_matched(lm, heads, above_null, lengths, rng, observe, bos=True, source="frequent"):
    """As many heads of the same layers, none above null, whose outputs on repeats of their own are nearest in norm to theirs."""
    if not heads:
        raise NotApplicable("no head is above its null in this replicate")
    rows = repeats(lm, rng, n=NORMED, lengths=lengths, source=source, bos=bos).ordered
    norms = output_norms(lm, rows, {layer for layer, _ in heads})
    found = norm_matched_heads(norms, heads, above_null)
    pairs = [[f"{a}.{b}", norms[a, b], f"{c}.{d}", norms[c, d]] for (a, b), (c, d) in zip(heads, found, strict=True)]
    observe.table("Heads matched on output norm", ["head", "norm", "in its place", "norm"], pairs)
    observe.value("Norm over that of the heads matched", norm_ratio(norms, heads, found), unit="ratio")
    return found


@step
def of_another_seed(heads, above_null, siblings, lengths, rng):
    """The heads above null of the next seed of the family, where they are not also this one's."""
    for other in siblings:
        found = heads_above_null(head_scores(other, repeats(other, rng, n=BATCH, lengths=lengths), rng), "induction")
        if found and not set(found) & set(above_null):
            return found
    raise NotApplicable("no other seed of the family has induction heads at other places")


@step
def ranked(lm, heads, above_null, prompts, rng, observe):
    """Rank of the loss among those of at least 100 matched random sets."""
    others = matched_random_heads(lm, heads, above_null, rng, sets=100)
    target, *lost = shares_lost(lm, [heads, *others], prompts, "mean")
    extreme = sum(value >= target for value in lost)
    observe.table(
        "Rank among matched random sets (mean ablation)",
        ["distinct sets", "as extreme", "p", "share lost, these heads", "share lost, random sets (largest)"],
        [[len(others), extreme, (1 + extreme) / (1 + len(others)), target, max(lost)]],
    )


@step
def per_head(lm, scores, above_null, prompts, observe):
    """Scores of every head, and the three gains beside each other."""
    observe.heads("Induction score, minus the broken repeat", scores.excess["induction"], unit="attention", marked=above_null)
    observe.heads("Previous-token score", scores.raw["previous"], unit="attention")
    found = gains(lm, prompts)
    rows = [[name, float(each.mean())] for name, each in (("order", found.order), ("swap", found.swap), ("naive", found.naive))]
    observe.table("Gains from an earlier copy", ["gain", "nat"], rows, unit="nat")


@step
def attention_maps(lm, scores, rng, observe):
    """Where the strongest induction head and the strongest previous-token head look, on one short repeat."""
    row = repeats(lm, rng, n=1, lengths=(8, 8), prefix=(2, 2))
    _, query, first = row.queries()
    for kind, key in (("induction", first + 1), ("previous-token", query - 1)):
        values = scores.excess[kind.removesuffix("-token")]
        layer, head = np.unravel_index(int(values.argmax()), values.shape)
        title = f"Attention of head {layer}.{head}, the strongest by {kind} score; ringed: where such a head looks"
        looks = attention_map(lm, row.ordered[0], (layer, head))
        observe.attention(title, looks, token_names(lm, row.ordered[0]), marked=list(zip(query, key, strict=True)))


COPIES = [at_least(0.5, "nat", gain, name="order gain"), at_least_one(above_null, name="heads above null")]
CONTROLS = [
    positive(on="constructed-induction-head"),
    negative(heads=permuted),
    negative(heads=of_another_seed),
    guard(on="no-repetition"),
    guard(on="untrained-copying"),
    guard(on="stories260K"),
]
OTHERWISE = [
    variant("mean ablation", binding=True, mode="mean"),
    variant("zero ablation", binding=True, mode="zero"),
    variant("without BOS", binding=True, bos=False),
    variant("natural tokens", binding=True, source="natural"),
    variant("swap gain", binding=True, measure="swap"),
]


@claim(
    "load-bearing/top-heads-beat-random",
    on=causal_lm(organism=["copying"]),
    requires=COPIES,
    holds=above(0.10, unit="share of gain"),
    why="the paper gives a direction; a tenth of the in-context gain is our smallest effect of interest",
    documented="removing the top 2 % of heads (at least one a layer) by induction score lowers in-context performance more "
    "than removing matched random heads, at every size",
    controls=CONTROLS,
    variants=[*OTHERWISE, variant("the paper's top 2 % of every layer", chosen="top 2 %")],
    shows=[ranked, per_head, attention_maps],
)
def top_induction_heads_are_load_bearing(lm, heads, above_null, prompts, rng, mode="resample", measure="order"):
    """Share of the in-context gain lost without the top induction heads, minus that without as many random heads.

    Heads are chosen on sequences of their own: excess induction attention (second copy minus broken repeat) of at least
    0.1, beyond a permutation null. On fresh sequences [BOS, prefix, R, R] their outputs are replaced by those of another
    sequence. The gain is the order gain: NLL of R given R shuffled, minus NLL of R given R, same targets and positions.
    Four matched random sets, as many heads of the same layers with none above null, are drawn afresh in each replicate.
    """
    if not heads:
        raise NotApplicable("no head is above its null in this replicate")
    others = matched_random_heads(lm, heads, above_null, rng, sets=4)
    lost = shares_lost(lm, [heads, *others], prompts, mode, rng, measure)
    return lost[0] - lost[1:].mean()


@claim(
    "load-bearing/top-heads-beat-random",
    on=causal_lm(organism="copying"),
    requires=COPIES,
    holds=above(0.10, unit="share of gain"),
    why="as over random heads; the ledger names heads matched on output norm, since large outputs may hurt whatever they do",
    documented="the paper compares with random heads; heads matched on output norm are a stricter control",
    controls=CONTROLS,
    variants=OTHERWISE,
)
def top_induction_heads_beat_heads_of_nearest_norm(lm, heads, norm_matched, prompts, rng, mode="resample", measure="order"):
    """Share of the in-context gain lost without the top induction heads, minus that without heads of the nearest output norm.

    Heads, sequences, gain and removal are those of the comparison with random heads. To each head another of its layer, none of
    them above null, so that the logs of their norms differ least in all; the norm is that of what a head adds to the residual
    stream, mean over tokens of four sequences of their own. Nearest need not be near: the ratio is shown.
    """
    lost = shares_lost(lm, [heads, norm_matched], prompts, mode, rng, measure)
    return lost[0] - lost[1]


@step
def asked(lm, task, rng, bos=True):
    """The user's task on a given model; the suite's own subjects are asked for partners among pairs of tokens."""
    return association_prompts(lm, rng, n=ITEMS) if task is None else task_prompts(lm, task, bos)


@step
def task_right(lm, asked):
    """Share of items whose target has a larger logit than the distractor."""
    return task_accuracy(lm, asked)


@step
def task_margin(lm, asked):
    """Mean logit of target minus distractor."""
    return mean_margin(lm, asked)


DOES_IT = [
    at_least(0.75, "accuracy", task_right, name="accuracy on the task"),
    at_least(1.0, "logit", task_margin, name="margin on the task"),
    at_least_one(above_null, name="heads above null"),
]
ASKED_OTHERWISE = [variant("zero ablation", binding=True, mode="zero"), variant("without BOS", bos=False)]


@claim(
    "load-bearing/top-heads-beat-random",
    on=causal_lm(organism="copying"),
    requires=DOES_IT,
    holds=above(0.10, unit="share"),
    why="the paper gives a direction; a tenth of the margin is our smallest effect of interest",
    documented="removing the top 2 % of heads by induction score lowers few-shot performance more than removing matched "
    "random heads",
    controls=CONTROLS,
    variants=ASKED_OTHERWISE,
)
def top_induction_heads_carry_a_task(lm, heads, above_null, asked, rng, mode="mean"):
    """Share of the margin on a task that is lost without the top induction heads, minus that without as many random heads.

    The task is the user's (--task: prompt, target, distractor), asked of a given model; the suite's own subjects are
    asked for partners among pairs of tokens. The margin is the logit of the target minus that of the distractor behind the
    last token of the prompt, over a fresh draw of up to 48 items in each replicate. Heads are those above null by
    induction score on repeated tokens. Their outputs are replaced by their mean over the tokens of these prompts, since
    prompts differ in length. Four matched random sets, as many heads of the same layers with none above null, are drawn
    afresh in each replicate.
    """
    if not heads:
        raise NotApplicable("no head is above its null in this replicate")
    prompts = asked.some(rng, ITEMS)
    whole = mean_margin(lm, prompts)
    if whole < 0.1:
        raise NotApplicable(f"there is no margin to lose on these items: {whole:.3g}")
    others = matched_random_heads(lm, heads, above_null, rng, sets=4)
    lost = [1 - mean_margin(lm.without(gone, mode, rng), prompts) / whole for gone in (heads, *others)]
    return lost[0] - float(np.mean(lost[1:]))


@claim(
    "load-bearing/top-heads-beat-random",
    on=causal_lm(organism="copying"),
    requires=DOES_IT,
    holds=above(0.10, unit="share"),
    why="as over random heads; the ledger names heads matched on output norm, since large outputs may hurt whatever they do",
    documented="the paper compares with random heads; heads matched on output norm are a stricter control",
    controls=CONTROLS,
    variants=ASKED_OTHERWISE,
)
def top_induction_heads_beat_heads_of_nearest_norm_at_a_task(lm, heads, norm_matched, asked, rng, mode="mean"):
    """Share of the margin on a task lost without the top induction heads, minus that without heads of the nearest output norm.

    Task, items, heads and removal are those of the comparison with random heads; heads are matched on norm as for the gain from
    a copy, on repeated tokens, on which they are chosen too.
    """
    prompts = asked.some(rng, ITEMS)
    whole = mean_margin(lm, prompts)
    if whole < 0.1:
        raise NotApplicable(f"there is no margin to lose on these items: {whole:.3g}")
    lost = [1 - mean_margin(lm.without(gone, mode, rng), prompts) / whole for gone in (heads, norm_matched)]
    return lost[0] - lost[1]
