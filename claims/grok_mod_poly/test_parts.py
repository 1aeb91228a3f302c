"""grok-mod-poly: parts of a network that learned one operation, held in a network that learns another (arXiv:2402.16726)."""

from __future__ import annotations

import math

from claimbench import above, at_least, below, claim, log_ratio, negative, positive, recipe, step, steps_to
from claimbench.measures.times import greatest, least

SUM, DIFFERENCE, PRODUCT = (recipe(f"operation-{name}") for name in ("sum", "difference", "product"))
ALONE = {"sum": SUM, "difference": DIFFERENCE, "product": PRODUCT}
NEVER = recipe("operation-random-labels")


def with_part(part, *pairs):
    """Arms "target_of_source": the network that learns the target with that part of the one that learned the source."""
    return {f"{target}_of_{source}": recipe(f"operation-{target}-with-{part}-of-{source}") for target, source in pairs}


EMBEDDINGS_HELP = with_part("embedding", ("difference", "sum"), ("sum", "difference"))
EMBEDDINGS_HARM = with_part(
    "embedding", ("sum", "product"), ("difference", "product"), ("product", "sum"), ("product", "difference")
)
BODIES_HELP = with_part("body", ("product", "sum"), ("sum", "product"))
BODIES_HARM = with_part("body", ("sum", "difference"), ("product", "difference"), ("difference", "difference"))


def controls(part, helped, harmed):
    """Own parts where help is claimed and random labels where harm is; no part of another; random labels where help is claimed."""
    arms = {name: name.split("_")[0] for name in (*helped, *harmed)}
    own = {name: with_part(part, (arms[name],) * 2)[f"{arms[name]}_of_{arms[name]}"] for name in helped}
    return [
        positive(**own, **dict.fromkeys(harmed, NEVER), label="own parts help, random labels are never learned"),
        negative(**{name: ALONE[target] for name, target in arms.items()}, label="no part of another"),
        negative(**dict.fromkeys(helped, NEVER), label="random labels where help is claimed"),
    ]


def generalised(run):
    """Steps until test accuracy is above 0.95 at three records in a row."""
    return steps_to(run, "test", above=0.95, times=3)


@step
def worst_accuracy(sum, difference, product):
    """Test accuracy at the end, of the worst of the three networks that learn one operation alone."""
    return min(run.values("test")[1][-1] for run in (sum, difference, product))


def compared(observe, alone, runs):
    """Log ratios of steps to generalise with a part of another over alone, by arm; shown: accuracies and steps."""
    found = {}
    for name, run in runs.items():
        target = name.split("_")[0]
        steps, accuracy = run.values("test")
        observe.curve(name.replace("_", " with that "), steps, {"test accuracy": accuracy}, x_label="steps", unit="accuracy")
        found[name] = log_ratio(generalised(run), generalised(alone[target]))
    rows = [[name.replace("_", " "), generalised(runs[name]).low, generalised(alone[name.split("_")[0]]).low] for name in found]
    observe.table("Steps to generalise, at least", ["network", "with the part", "alone"], rows)
    return found


LEARNED = [at_least(0.95, "accuracy", worst_accuracy)]
REGIONS = {"where it helps": below(math.log(0.8), unit="log steps"), "where it harms": above(math.log(1.5), unit="log steps")}


@claim(
    "grok-mod-poly/embedding-transfer",
    arms={**ALONE, **EMBEDDINGS_HELP, **EMBEDDINGS_HARM},
    requires=LEARNED,
    holds=REGIONS,
    why="the ledger's ratios, 0.8 and 1.5 or never, in each of six pairs",
    documented="addition and subtraction help each other; multiplication and these two harm each other",
    controls=controls("embedding", EMBEDDINGS_HELP, EMBEDDINGS_HARM),
)
def embeddings_serve_like_operations(
    sum,
    difference,
    product,
    difference_of_sum,
    sum_of_difference,
    sum_of_product,
    difference_of_product,
    product_of_sum,
    product_of_difference,
    observe,
):
    """Log steps to generalise with a held embedding of another operation over those alone: largest of two, and least of four.

    The network of the claim on subtraction. Helped: addition with subtraction's embedding and the reverse; harmed: multiplication
    with either's, and either with multiplication's. At most 1,200 steps, for subtraction 3,000: five times the time alone.
    """
    helped = {"difference_of_sum": difference_of_sum, "sum_of_difference": sum_of_difference}
    harmed = {
        "sum_of_product": sum_of_product,
        "difference_of_product": difference_of_product,
        "product_of_sum": product_of_sum,
        "product_of_difference": product_of_difference,
    }
    found = compared(observe, {"sum": sum, "difference": difference, "product": product}, helped | harmed)
    return {
        "where it helps": greatest(found[name] for name in helped),
        "where it harms": least(found[name] for name in harmed),
    }


@claim(
    "grok-mod-poly/body-transfer",
    arms={**ALONE, **BODIES_HELP, **BODIES_HARM},
    requires=LEARNED,
    holds=REGIONS,
    why="the ledger's ratios, 0.8 and 1.5 or never",
    documented="addition's and multiplication's bodies serve each other; subtraction's serves none, not even subtraction",
    controls=controls("body", BODIES_HELP, BODIES_HARM),
)
def bodies_of_addition_and_multiplication_transfer(
    sum,
    difference,
    product,
    product_of_sum,
    sum_of_product,
    sum_of_difference,
    product_of_difference,
    difference_of_difference,
    observe,
):
    """Log steps to generalise with a held body of another operation over those alone: largest of two, and least of three.

    Body: attention and hidden layer; embedding and unembedding are trained. Helped: addition with multiplication's body and the
    reverse; harmed: all three with subtraction's. The network and budgets of the claim on embeddings.
    """
    helped = {"product_of_sum": product_of_sum, "sum_of_product": sum_of_product}
    harmed = {
        "sum_of_difference": sum_of_difference,
        "product_of_difference": product_of_difference,
        "difference_of_difference": difference_of_difference,
    }
    found = compared(observe, {"sum": sum, "difference": difference, "product": product}, helped | harmed)
    return {
        "where it helps": greatest(found[name] for name in helped),
        "where it harms": least(found[name] for name in harmed),
    }
