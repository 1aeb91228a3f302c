"""grok-mod-poly: Fourier figures of embeddings that learned sums, products and powers (arXiv:2402.16726)."""

from __future__ import annotations

import math

from claimbench import above, at_least, below, claim, guard, log_ratio, negative, positive, recipe, step, steps_to
from claimbench.measures.fourier import frequency_density, phase_balance, phases, product_table, sum_table
from claimbench.measures.times import greatest

SUM, PRODUCT = recipe("modular-followed"), recipe("modular-followed-product")
SQUARES, CUBES = recipe("modular-followed-sum-of-squares"), recipe("modular-followed-sum-of-cubes")
SQUARE_OF_SUM, CROSS = recipe("modular-followed-square-of-sum"), recipe("modular-followed-cross-term")
RANDOM_LABELS, SHORT = recipe("modular-followed-random-labels"), recipe("modular-followed-short")
MODULUS = 59


def last(run, metric="test"):
    """A metric at the end of a run."""
    return run.values(metric)[1][-1]


@step
def accuracy_at_end(net):
    """Test accuracy at the end."""
    return last(net)


@step
def worse_accuracy(one, other):
    """Test accuracy at the end, of the worse of two nets."""
    return min(last(one), last(other))


@step
def least_memorised(square, squares, cross):
    """Train accuracy at the end, of the worst of three nets."""
    return min(last(run, "train") for run in (square, squares, cross))


@step
def figures(net):
    """Density (FFD) and phase balance (FCR) of the embedding at the end, and the balance before training."""
    return last(net, "density"), last(net, "balance"), net.values("balance")[1][0]


@step
def exact_sum(rng):
    """Planted: an exact embedding for addition, with a hundredth of noise."""
    table = sum_table(rng, MODULUS, columns=128) + rng.normal(0, 0.01, size=(MODULUS, 128))
    return frequency_density(table), phase_balance(table), 0.93


@step
def exact_product(rng):
    """Planted: an exact embedding for multiplication, keys of one parity, with a hundredth of noise."""
    table = product_table(rng, MODULUS, columns=128) + rng.normal(0, 0.01, size=(MODULUS, 128))
    return frequency_density(table), phase_balance(table), 0.93


@step(scope="subject")
def spectrum(net, observe):
    """Power of the embedding at each frequency, in the end and before training."""
    found = {}
    for name, model in (("in the end", net.model), ("before training", net.initial)):
        cosine, sine = phases(model.embed.detach())
        found |= {f"cosine {name}": cosine**2 / (cosine**2 + sine**2).sum(), f"sine {name}": sine**2 / (cosine**2 + sine**2).sum()}
    observe.curve(
        "Spectrum of the embedding", range(1, MODULUS // 2 + 1), found, x_label="frequency (waves over all residues)",
        unit="share of power", told="A peak is a frequency that the network uses; before training all are used alike.",
    )  # fmt: skip


GENERALISED = [at_least(0.95, "accuracy", accuracy_at_end)]
GUARDS = [guard(net=RANDOM_LABELS, label="random labels"), guard(net=SHORT, label="memorised only")]


@claim(
    "grok-mod-poly/addition-fourier-sparse",
    arms={"net": SUM},
    evidence="analogue",
    requires=GENERALISED,
    holds={"density": below(0.4, unit="share"), "balance": above(0.75, unit="ratio")},
    why="the ledger's bounds; its third, half of the density before training, is 0.5 and follows",
    documented="the embedding is sparse in frequencies, in both phases; exact: density 0.10, balance 0.93 at modulus 97",
    controls=[positive(figures=exact_sum), negative(net=PRODUCT, label="multiplication"), *GUARDS],
    shows=[spectrum],
)
def addition_uses_few_frequencies(figures):
    """Density of the embedding's frequencies (FFD) and balance of their phases (FCR) after addition modulo 59 is learned.

    FFD: share of cosine and sine norms above half of their largest; FCR: mean of the smaller norm over the larger. An MLP of
    summed embeddings, 1,200 steps; the paper's nets are transformers of one layer.
    """
    density, balance, _ = figures
    return {"density": density, "balance": balance}


@claim(
    "grok-mod-poly/multiplication-cosine-bias",
    arms={"net": PRODUCT},
    evidence="analogue",
    requires=GENERALISED,
    holds={"density": above(0.8, unit="share"), "change of balance": below(-0.2, unit="ratio")},
    why="the ledger's bounds",
    documented="all frequencies, with a cosine bias; exact: density 1.0, balance 0.014 where all keys share a parity",
    controls=[positive(figures=exact_product), negative(net=SUM, label="addition"), *GUARDS],
    shows=[spectrum],
)
def multiplication_uses_all_frequencies(figures):
    """Density of the embedding's frequencies, and how far the balance of phases falls, when multiplication modulo 59 is learned.

    Measures and network of the claim on addition; 0 is among the residues. Which characters a net picks decides on the balance.
    """
    density, balance, before = figures
    return {"density": density, "change of balance": balance - before}


@step
def falls(one, other):
    """Steps until density (addition) and phase balance (multiplication) have half fallen; open where they do not fall."""
    found = []
    for run, metric in ((one, "density"), (other, "balance")):
        _, values = run.values(metric)
        fallen = values[-1] < values[0]
        found.append(steps_to(run, metric, below=(values[0] + values[-1]) / 2 if fallen else 0.0))
    return found


@step
def rises(one, other):
    """Steps until test accuracy is 0.5."""
    return [steps_to(run, "test", above=0.5) for run in (one, other)]


@step
def memorised(one, other):
    """Steps until train accuracy is 0.5, in place of the figures' falls."""
    return [steps_to(run, "train", above=0.5) for run in (one, other)]


@step
def times_of_changes(falls, rises, observe):
    """Steps until figure and accuracy of each net are halfway, over seeds."""
    figures = ("density of addition", "balance of multiplication")
    times = dict(zip(figures, falls, strict=True)) | dict(
        zip(("accuracy of addition", "accuracy of multiplication"), rises, strict=True)
    )
    observe.times("Steps until halfway: a figure has fallen, test accuracy is 0.5", times, budget=1200, unit="steps")


@claim(
    "grok-mod-poly/progress-measures-coincide",
    arms={"one": SUM, "other": PRODUCT},
    evidence="analogue",
    requires=[at_least(0.95, "accuracy", worse_accuracy)],
    holds=below(0.2 * math.log(10), unit="log steps"),
    why="the ledger's 0.2 in log10 steps",
    documented="the fall of density (addition) or balance (multiplication) coincides with the rise of test accuracy",
    controls=[positive(falls=rises, label="the rise itself"), negative(falls=memorised, label="memorisation in place of the fall")],
    shows=[times_of_changes],
)
def figures_fall_when_accuracy_rises(one, other, falls, rises, observe):
    """The larger distance in log steps between a figure's half fall and the half rise of test accuracy, of sum and product.

    The nets of the claims on addition and multiplication.
    """
    for name, run, metric in (("addition", one, "density"), ("multiplication", other, "balance")):
        lines = {metric: run.values(metric)[1], "test accuracy": run.values("test")[1]}
        observe.curve(name, run.values("test")[0], lines, x_label="steps", unit="1")
    pairs = list(zip(falls, rises, strict=True))
    return greatest([*(log_ratio(a, b) for a, b in pairs), *(log_ratio(b, a) for a, b in pairs)])


@claim(
    "grok-mod-poly/factorisable-polynomials-grok",
    arms={"square": SQUARE_OF_SUM, "squares": SQUARES, "cross": CROSS},
    evidence="analogue",
    requires=[at_least(0.99, "accuracy", least_memorised)],
    holds=above(0.45, unit="accuracy"),
    why="the ledger's two levels, above 0.95 and below 0.5, as one difference",
    documented="(a+b)^2 and a^2+b^2 generalise from 0.3 of the table, a^2+ab+b^2 only from 0.8",
    controls=[
        positive(square=SUM, squares=PRODUCT, cross=RANDOM_LABELS, label="sum and product against random labels"),
        negative(cross=SQUARE_OF_SUM, square=CROSS, label="exchanged"),
    ],
)
def cross_terms_do_not_generalise(square, squares, cross, observe):
    """Test accuracy after 1,200 steps: the lesser of (a+b)^2 and a^2+b^2, minus that of a^2+ab+b^2, modulo 59.

    Three fifths of the unordered pairs, the MLP of the claim on addition: twice the steps that addition takes.
    """
    accuracies = {"(a+b)^2": last(square), "a^2+b^2": last(squares), "a^2+ab+b^2": last(cross)}
    observe.table("Test accuracy", ["expression", "accuracy"], [list(row) for row in accuracies.items()])
    return min(last(square), last(squares)) - last(cross)


@step
def balances(one, other):
    """Phase balance of both embeddings at the end."""
    return last(one, "balance"), last(other, "balance")


@step
def balances_of_exact(exact_product, exact_sum):
    """Planted: those of exact embeddings, for multiplication with keys of one parity and for addition."""
    return exact_product[1], exact_sum[1]


@claim(
    "grok-mod-poly/exponent-parity",
    arms={"one": SQUARES, "other": CUBES},
    evidence="analogue",
    requires=[at_least(0.9, "accuracy", worse_accuracy)],
    holds=below(0.0, unit="ratio"),
    why="the ledger judges the sign",
    documented="for a^n + b^n the balance falls more for even n, the density more for odd n",
    controls=[
        positive(balances=balances_of_exact),
        negative(one=CUBES, other=SQUARES, label="exchanged"),
    ],
)
def even_powers_are_biased(one, other, balances, observe):
    """Phase balance of the embedding (FCR) after a^2 + b^2 is learned, minus that after a^3 + b^3, modulo 59.

    t^2 is an even function of t, so an embedding that serves it is all cosine. The network of the claim on addition.
    """
    rows = [[n, last(run, "balance"), last(run, "density")] for n, run in ((2, one), (3, other))]
    observe.table("Embedding", ["n", "balance", "density"], rows)
    return balances[0] - balances[1]
