"""alpine: what the weights say of paths that no line showed (arXiv:2405.09220, section 4)."""

from __future__ import annotations

from claimbench import above, at_least, claim, guard, negative, positive, recipe, step, within

SOME, ALL = recipe("paths-stored"), recipe("paths-all-pairs-stored")
BY_HAND, REACH = recipe("paths-stored-by-hand"), recipe("paths-reach-stored-by-hand")


@step
def follows_edges(net):
    """Share of the network's own steps that are edges."""
    return net.values("edges")[1][-1]


@claim(
    "alpine/unobserved-reach-not-stored",
    arms={"net": SOME, "other": ALL},
    requires=[at_least(0.95, "share", follows_edges)],
    holds={"unobserved": within(0.2, unit="share"), "observed by the other": above(0.5, unit="share")},
    why="the ledger's fifth of the gap; that a gap appears where all pairs are trained on is its control, half our choice",
    documented="the read-out of reachable pairs that were never observed equals that of unreachable ones",
    controls=[
        positive(net=BY_HAND, other=REACH, label="written by hand: observed reach against true reach"),
        negative(net=ALL, other=SOME, label="exchanged"),
        negative(net=REACH, other=BY_HAND, label="true reach by hand"),
        guard(net=recipe("paths-stored-untrained"), label="untrained"),
    ],
)
def unobserved_reach_is_not_stored(net, other, observe):
    """Share of the gap at entries that no line of half of the pairs shows and that lines of all pairs do; and all minus half.

    Share: how far the value read-out of these entries lies on the way from entries that are in neither set of lines to those that
    lines of half of the pairs show, within rows (targets). About 50 entries a seed; two networks, one trained on each set.
    """
    observe.value("entries", net.values("entries")[1][-1], unit="1")
    share, of_all = (run.values("of other lines")[1][-1] for run in (net, other))
    return {"unobserved": share, "observed by the other": of_all - share}
