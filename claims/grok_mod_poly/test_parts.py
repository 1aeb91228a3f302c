"""grok-mod-poly: parts of a network that learned one operation, held in a network that learns another (arXiv:2402.16726)."""

from __future__ import annotations

import math

from claimbench import above, at_least, below, claim, log_ratio, negative, positive, recipe, step, steps_to
from claimbench.measures.times import greatest, least

SUM, DIFFERENCE, PRODUCT = (recipe(f"operation-{name}") for name in ("sum", "difference", "product"))
ALONE = {"sum": SUM, "difference": DIFFERENCE, "product": PRODUCT}


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


def extremes(alone, helped, harmed):
    """Log ratios of steps to generalise with a part of another over alone: the largest where it helps, the least where it harms."""
    found = {name: log_ratio(generalised(run), generalised(alone[name.split("_")[0]])) for name, run in (helped | harmed).items()}
    return {"where it helps": greatest(found[name] for name in helped), "where it harms": least(found[name] for name in harmed)}


def shown(observe, alone, with_parts):
    """Test accuracies over steps, and the steps that generalising takes at least."""
    rows = []
    for name, run in with_parts.items():
        target, source = name.split("_of_")
        steps, accuracy = run.values("test")
        observe.curve(f"{target} with that of {source}", steps, {"test accuracy": accuracy}, x_label="steps", unit="accuracy")
        rows.append([target, source, generalised(run).low, generalised(alone[target]).low])
    observe.table("Steps to generalise, at least", ["network", "part of", "with it", "alone"], rows)


LEARNED = [at_least(0.95, "accuracy", worst_accuracy)]
REGIONS = {"where it helps": below(math.log(0.8), unit="log steps"), "where it harms": above(math.log(1.5), unit="log steps")}


@step
def with_embeddings(
    sum,
    difference,
    product,
    difference_of_sum,
    sum_of_difference,
    sum_of_product,
    difference_of_product,
    product_of_sum,
    product_of_difference,
):
    """Extremes of the log ratios with embeddings of other operations."""
    alone = {"sum": sum, "difference": difference, "product": product}
    return extremes(
        alone,
        {"difference_of_sum": difference_of_sum, "sum_of_difference": sum_of_difference},
        {
            "sum_of_product": sum_of_product,
            "difference_of_product": difference_of_product,
            "product_of_sum": product_of_sum,
            "product_of_difference": product_of_difference,
        },
    )


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
        negative(difference_of_sum=recipe("operation-random-labels"), label="random labels where help is claimed"),
        negative(sum_of_product=recipe("operation-sum-with-embedding-of-sum"), label="its own embedding where harm is claimed"),
    ],
)
def embeddings_serve_like_operations(
    sum, difference, product, difference_of_sum, sum_of_difference, sum_of_product, product_of_sum, with_embeddings, observe
):
    """Log steps to generalise with a held embedding of another operation over those alone: largest of two, and least of four.

    The network of the claim on subtraction. Helped: addition with subtraction's embedding and the reverse; harmed: multiplication
    with either's, and either with multiplication's. At most 500, 700 and 1,800 steps for addition, multiplication and subtraction,
    three times what they took alone in a pilot: harm is a ratio, not that they never generalise.
    """
    with_parts = {
        "difference_of_sum": difference_of_sum,
        "sum_of_difference": sum_of_difference,
        "sum_of_product": sum_of_product,
        "product_of_sum": product_of_sum,
    }
    shown(observe, {"sum": sum, "difference": difference, "product": product}, with_parts)
    return with_embeddings


@step
def with_bodies(
    sum, difference, product, product_of_sum, sum_of_product, sum_of_difference, product_of_difference, difference_of_difference
):
    """Extremes of the log ratios with bodies of other operations."""
    return extremes(
        {"sum": sum, "difference": difference, "product": product},
        {"product_of_sum": product_of_sum, "sum_of_product": sum_of_product},
        {
            "sum_of_difference": sum_of_difference,
            "product_of_difference": product_of_difference,
            "difference_of_difference": difference_of_difference,
        },
    )


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
        negative(product_of_sum=recipe("operation-random-labels"), label="random labels where help is claimed"),
        negative(sum_of_difference=recipe("operation-sum-with-body-of-sum"), label="its own body where harm is claimed"),
    ],
)
def bodies_of_addition_and_multiplication_transfer(
    sum, difference, product, product_of_sum, sum_of_product, sum_of_difference, difference_of_difference, with_bodies, observe
):
    """Log steps to generalise with a held body of another operation over those alone: largest of two, and least of three.

    Body: attention and hidden layer; embedding and unembedding are trained. Helped: addition with multiplication's body and the
    reverse; harmed: all three with subtraction's. The network and budgets of the claim on embeddings.
    """
    with_parts = {
        "product_of_sum": product_of_sum,
        "sum_of_product": sum_of_product,
        "sum_of_difference": sum_of_difference,
        "difference_of_difference": difference_of_difference,
    }
    shown(observe, {"sum": sum, "difference": difference, "product": product}, with_parts)
    return with_bodies
