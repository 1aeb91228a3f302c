"""ih-clamp: what more classes and more labels do to one part of the circuit, the rest given (arXiv:2404.07129, section on data)."""

from __future__ import annotations

import math

from claimbench import Value, above, claim, log_ratio, negative, positive, recipe, step, steps_to

MATCH, COPY = recipe("label-task-match-learned"), recipe("label-task-copy-learned")
MATCH_CLASSES, MATCH_LABELS = (recipe(f"label-task-match-learned-more-{what}") for what in ("classes", "labels"))
COPY_CLASSES, COPY_LABELS = (recipe(f"label-task-copy-learned-more-{what}") for what in ("classes", "labels"))
CLASSES, LABELS = (50, 200), (5, 15)
NONE = 0.1  # the ledger's margin of no effect
BUDGET = 3000


def slope(more, base, levels):
    """Log of how much longer it takes with more, over the log of how many more."""
    longer, span = log_ratio(more, base), math.log(levels[1] / levels[0])
    return Value(longer.low / span, longer.high / span)


def margin(wanted, least, unwanted):
    """The smaller of: a slope beyond the least, and room of the other slope within the margin of no effect."""
    sizes = sorted([abs(unwanted.low), abs(unwanted.high)])
    nearest = 0.0 if unwanted.low <= 0 <= unwanted.high else sizes[0]
    return Value(min(wanted.low - least, NONE - sizes[1]), min(wanted.high - least, NONE - nearest))


def show(observe, times, slopes):
    observe.times("Steps to 0.4 of chance", times, budget=BUDGET, unit="steps")
    observe.table("Slope of log steps", ["on the log of", "from", "to"], [[name, x.low, x.high] for name, x in slopes.items()])


@step
def copy_times(base, classes, labels):
    """Steps to 0.4 of the log of the number of labels, with the match given."""
    arms = {"base": (base, LABELS[0]), "more classes": (classes, LABELS[0]), "more labels": (labels, LABELS[1])}
    return {name: steps_to(run, "loss", below=0.4 * math.log(number)) for name, (run, number) in arms.items()}


@step
def match_times(base, classes, labels):
    """Steps to 0.4 ln 2, with the first layer and the copy given, so that only the two labels shown are answers."""
    arms = {"base": base, "more classes": classes, "more labels": labels}
    return {name: steps_to(run, "loss", below=0.4 * math.log(2)) for name, run in arms.items()}


def planted(base, classes, labels):
    return {name: Value(at - 1.0, at) for name, at in (("base", base), ("more classes", classes), ("more labels", labels))}


@step
def labels_alone_slow():
    """Planted: more labels triple the time, more classes leave it."""
    return planted(200, 202, 600)


@step
def classes_alone_slow():
    """Planted: more classes take half as long again, more labels leave it."""
    return planted(200, 300, 202)


@claim(
    "ih-clamp/data-dissociates-subcircuits",
    arms={"base": COPY, "classes": COPY_CLASSES, "labels": COPY_LABELS},
    holds=above(0.0, unit="slope"),
    why="the ledger's slopes: above 0.5 on labels, within 0.1 on classes",
    documented="with the match clamped more labels (5, 10, 15) slow learning strongly, more classes (50, 100, 200) do not",
    controls=[
        positive(copy_times=labels_alone_slow),
        negative(copy_times=classes_alone_slow),
        negative(classes=COPY_LABELS, labels=COPY, label="more labels in the place of more classes"),
    ],
)
def labels_and_not_classes_slow_the_copy(copy_times, observe):
    """The smaller of two margins: slope of log steps on log labels beyond 0.5, and slope on log classes within 0.1 of none.

    The one head of the second layer attends to the right label throughout, so that the copy is what is left to learn. Steps to
    0.4 of the loss of naming any label; 5 and 15 labels, 50 and 200 classes.
    """
    slopes = {
        "classes": slope(copy_times["more classes"], copy_times["base"], CLASSES),
        "labels": slope(copy_times["more labels"], copy_times["base"], LABELS),
    }
    show(observe, copy_times, slopes)
    return margin(slopes["labels"], 0.5, slopes["classes"])


@claim(
    "ih-clamp/data-dissociates-subcircuits",
    arms={"base": MATCH, "classes": MATCH_CLASSES, "labels": MATCH_LABELS},
    holds=above(0.0, unit="slope"),
    why="the ledger's slopes: above 0.1 on classes, within 0.1 on labels",
    documented="with the first layer and the copy clamped more classes slow learning, more labels do not",
    controls=[
        positive(match_times=classes_alone_slow),
        negative(match_times=labels_alone_slow),
        negative(classes=MATCH, label="the same classes"),
    ],
)
def classes_and_not_labels_slow_the_match(match_times, observe):
    """The smaller of two margins: slope of log steps on log classes beyond 0.1, and slope on log labels within 0.1 of none.

    Keys of labels are their items, values and the stream are embeddings, and logits are the scores of the one head of the
    second layer: what is left to learn is the match of the query with its item. Steps to 0.4 ln 2.
    """
    slopes = {
        "classes": slope(match_times["more classes"], match_times["base"], CLASSES),
        "labels": slope(match_times["more labels"], match_times["base"], LABELS),
    }
    show(observe, match_times, slopes)
    return margin(slopes["classes"], 0.1, slopes["labels"])
