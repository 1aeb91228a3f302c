"""icml-circuits: the number of classes decides which phases there are (arXiv:2505.16694, on moderators in the data)."""

from __future__ import annotations

import numpy as np
from claimbench import above, at_least, claim, negative, positive, recipe, step
from claimbench.measures.curves import plateau_index

FEW, SOME, MANY = recipe("circuits-few-classes"), recipe("circuits-free"), recipe("circuits-many-classes")
SOLVED = 0.95


@step
def courses(few, some, many):
    """Steps, accuracy with right and with permuted labels, and both ceilings, for 8, 32 and 128 classes."""
    found = []
    for run in (few, some, many):
        course = {name: np.array(run.values(name)[1]) for name in ("accuracy", "permuted")}
        ceilings = {name: run.values(name)[1][-1] for name in ("query ceiling", "bag ceiling")}
        found.append({"step": np.array(run.values("accuracy")[0])} | course | ceilings)
    return found


@step
def learned(courses):
    """Best accuracy of the worst net."""
    return min(course["accuracy"].max() for course in courses)


def planted(first, second, query=0.35, bag=0.8):
    """Steps in log time: solved at 500; the query known from 50 if `first`, the bag of labels used from 200 if `second`."""
    steps = np.geomspace(10, 2000, 60).round()
    early, middle, late = (1 / (1 + (at / steps) ** 25) for at in (50, 200, 500))
    known = (early if first else late) * (query - 0.1)
    by_bag = (middle if second else late) * (bag - query)
    accuracy = 0.1 + known + by_bag + late * (0.98 - bag)
    permuted = 0.1 + known + by_bag * (1 if second else 0.3)
    return {"step": steps, "accuracy": accuracy, "permuted": permuted, "query ceiling": query, "bag ceiling": bag}


@step
def as_said():
    """Planted: 8 classes without the first phase, 128 without the second."""
    return [planted(False, True), planted(True, True), planted(True, False)]


@step
def all_alike():
    """Planted: three phases whatever the number of classes."""
    return [planted(True, True)] * 3


def first_phase(course):
    """Share of log steps within 0.05 of the query-only ceiling, minus that of a steady curve from half of it to 0.95."""
    low = course["query ceiling"]
    return plateau_index(course["step"], course["accuracy"], level=low, within=0.05, leaving=low / 2, reaching=SOLVED)


def second_phase(course):
    """How far accuracy with permuted labels rises over the query-only ceiling."""
    return course["permuted"].max() - course["query ceiling"]


@claim(
    "icml-circuits/data-moderators",
    arms={"few": FEW, "some": SOME, "many": MANY},
    requires=[at_least(0.8, "accuracy", learned)],
    holds=above(0.1, unit="share"),
    why="the paper shows phases present or absent; a tenth is our smallest plateau, and our smallest difference of levels",
    documented="few classes skip the first phase, 128 and more hide the second; noise, skew, p_B and pairs act too",
    controls=[
        positive(courses=as_said),
        negative(courses=all_alike),
        negative(few=MANY, some=MANY, many=SOME, label="numbers of classes exchanged"),
    ],
)
def classes_decide_which_phases_there_are(courses, observe):
    """The smaller difference: dwell on the query-only ceiling, 128 classes over 8; height of the second phase, 32 over 128.

    Dwell: share of log steps within 0.05 of the ceiling, minus that of a steady curve, from half of the ceiling to 0.95. Height:
    the best accuracy with the context's labels permuted among its items, which the bag of labels gives and the third circuit
    does not, over the query-only ceiling. Ceilings are exact for each seed's tasks. Of the paper's moderators this is one.
    """
    for classes, course in zip((8, 32, 128), courses, strict=True):
        lines = {name: course[name] for name in ("accuracy", "permuted")}
        observe.curve(f"Accuracy, {classes} classes", course["step"], lines, x_label="step", unit="share")
    names = ("query ceiling", "bag ceiling")
    rows = [[n, *(c[name] for name in names), first_phase(c), second_phase(c)] for n, c in zip((8, 32, 128), courses, strict=True)]
    observe.table("Phases by number of classes", ["classes", *names, "dwell on the first", "height of the second"], rows)
    few, some, many = courses
    return min(first_phase(many) - first_phase(few), second_phase(some) - second_phase(many))
