"""grok-mod-poly: parts of a network that learned one operation, held in a network that learns another (arXiv:2402.16726)."""

from __future__ import annotations

import math

from claimbench import above, at_least, below, claim, log_ratio, negative, positive, recipe, step, steps_to
from claimbench.measures.times import greatest, least

SUM, DIFFERENCE, PRODUCT = (recipe(f"operation-{name}-learned") for name in ("sum", "difference", "product"))
ALONE = {"sum": SUM, "difference": DIFFERENCE, "product": PRODUCT}
RANDOM_LABELS = recipe("operation-random-labels")
BUDGETS = {"sum": 600, "difference": 1800, "product": 640}


def with_part(part, *pairs):
    """Arms "target_of_source": the network that learns the target with that part of the one that learned the source."""
    return {f"{target}_of_{source}": recipe(f"operation-{target}-with-{part}-of-{source}") for target, source in pairs}


EMBEDDINGS_HELP = with_part("embedding", ("difference", "sum"), ("sum", "difference"))
EMBEDDINGS_HARM = with_part(
    "embedding", ("sum", "product"), ("difference", "product"), ("product", "sum"), ("product", "difference")
)
BODIES_HELP = with_part("body", ("product", "sum"), ("sum", "product"))
BODIES_HARM = with_part("body", ("sum", "difference"), ("product", "difference"), ("difference", "difference"))


def generalised(run):
    """Steps until test accuracy is above 0.95 at three records in a row."""
    return steps_to(run, "test", above=0.95, times=3)


@step
def worst_accuracy(sum, difference, product):
    """Test accuracy at the end, of the worst of the three networks that learn one operation alone."""
    return min(run.values("test")[1][-1] for run in (sum, difference, product))


@step
def planted(rng):
    """Planted: half the time where help is claimed, and twice the time where harm is."""
    return {"where it helps": rng.normal(math.log(0.5), 0.1), "where it harms": rng.normal(math.log(2), 0.05)}


def extremes(arms, helped, harmed):
    """Log ratios of steps to generalise with a part of another over alone: the largest where it helps, the least where it harms."""
    found = {name: log_ratio(generalised(arms[name]), generalised(arms[name.split("_")[0]])) for name in (*helped, *harmed)}
    return {"where it helps": greatest(found[name] for name in helped), "where it harms": least(found[name] for name in harmed)}


@step
def with_embeddings(arms):
    """Extremes of the log ratios with embeddings of other operations."""
    return extremes(arms, EMBEDDINGS_HELP, EMBEDDINGS_HARM)


@step
def with_bodies(arms):
    """Extremes of the log ratios with bodies of other operations."""
    return extremes(arms, BODIES_HELP, BODIES_HARM)


@step
def accuracies(arms, observe):
    """Test accuracies over steps, and for each operation the steps until each network generalises, over seeds."""
    times = {name: {"alone": generalised(arms[name])} for name in ALONE}
    for name, run in arms.items():
        target, _, source = name.partition("_of_")
        steps, accuracy = run.values("test")
        title = f"{target} with that of {source}" if source else f"{target} alone"
        observe.curve(title, steps, {"test accuracy": accuracy}, x_label="steps", unit="accuracy")
        if source:
            times[target][f"with that of {source}"] = generalised(run)
    for name, found in times.items():
        observe.times(f"Steps until {name} generalises", found, budget=BUDGETS[name], unit="steps")


LEARNED = [at_least(0.95, "accuracy", worst_accuracy)]
REGIONS = {"where it helps": below(math.log(0.8), unit="log steps"), "where it harms": above(math.log(1.5), unit="log steps")}


@claim(
    "grok-mod-poly/embedding-transfer",
    arms={**ALONE, **EMBEDDINGS_HELP, **EMBEDDINGS_HARM},
    requires=LEARNED,
    holds=REGIONS,
    why="the ledger's ratios, 0.8 and 1.5 or never, in each of six pairs",
    documented="addition and subtraction help each other; multiplication and these two harm each other",
    controls=[
        positive(with_embeddings=planted),
        negative(difference_of_sum=DIFFERENCE, sum_of_difference=SUM, label="no embedding of another where help is claimed"),
        negative(sum_of_difference=RANDOM_LABELS, label="random labels where help is claimed"),
        negative(sum_of_product=recipe("operation-sum-with-embedding-of-sum"), label="its own embedding where harm is claimed"),
    ],
    shows=[accuracies],
)
def embeddings_serve_like_operations(with_embeddings):
    """Log steps to generalise with a held embedding of another operation over those alone: largest of two, and least of four.

    The network of the claim on subtraction. Helped: addition with subtraction's embedding and the reverse; harmed: multiplication
    with either's, and either with multiplication's. At most 600, 640 and 1,800 steps for addition, multiplication and subtraction:
    harm is a ratio, not that they never generalise. Embeddings are those of networks that have learned (test accuracy above 0.99
    three times in a row, at most 1,200 steps, for subtraction 3,000), with which they are also compared.
    """
    return with_embeddings


@claim(
    "grok-mod-poly/body-transfer",
    arms={**ALONE, **BODIES_HELP, **BODIES_HARM},
    requires=LEARNED,
    holds=REGIONS,
    why="the ledger's ratios, 0.8 and 1.5 or never",
    documented="addition's and multiplication's bodies serve each other; subtraction's serves none, not even subtraction",
    controls=[
        positive(with_bodies=planted),
        negative(product_of_sum=PRODUCT, sum_of_product=SUM, label="no body of another where help is claimed"),
        negative(sum_of_product=RANDOM_LABELS, label="random labels where help is claimed"),
        negative(sum_of_difference=recipe("operation-sum-with-body-of-sum"), label="its own body where harm is claimed"),
    ],
    shows=[accuracies],
)
def bodies_of_addition_and_multiplication_transfer(with_bodies):
    """Log steps to generalise with a held body of another operation over those alone: largest of two, and least of three.

    Body: attention and hidden layer; embedding and unembedding are trained. Helped: addition with multiplication's body and the
    reverse; harmed: all three with subtraction's. The network of the claim on embeddings, and its 600, 640 and 1,800 steps.
    """
    return with_bodies
