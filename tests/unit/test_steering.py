"""Low-rank filters, flux and denoising heads on a network written by hand, of which all this is known."""

from __future__ import annotations

import numpy as np
import pytest
from claimbench.errors import NotApplicable
from claimbench.measures.filters import Filter, eccentricity, flux, last_states, principal_filter, probe_accuracy
from claimbench.measures.labelled import PARTS, TokenTasks, label_tasks, open_accuracy
from claimbench.measures.steering import accuracies, denoising, filters_of, flux_without_heads, hits, others, rank_for, zero_shot
from claimbench.subjects.family import family, load_organisms
from claimbench.subjects.lm import LM
from claimbench.subjects.shipped import shipped_root

from tiny_models import tiny_lm


@pytest.fixture(scope="module")
def planted() -> LM:
    load_organisms([shipped_root() / "fixtures" / "organisms"])
    return family("constructed-task-codes").subject(3)


@pytest.fixture(scope="module")
def tasks(planted: LM) -> TokenTasks:
    found = label_tasks(planted, None)
    assert isinstance(found, TokenTasks)
    return found


def test_parts_share_no_item_and_demonstrations_are_as_asked(tasks: TokenTasks) -> None:
    parts = [set(tasks.items(part)) for part in ("fit", "choose", "test")]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 64 and len(PARTS["all"]) == 4
    rng = np.random.default_rng(0)
    for shown in ("seen", "unseen"):
        asked = tasks.asked(rng, 40, 1, 4, "test", shown)
        labels = asked.ids[:, 2:-1:2]
        assert ((labels == asked.answer[:, None]).any(1) == (shown == "seen")).all()
        assert (
            set(asked.ids[:, -1]) <= parts[2] and (np.sort(asked.ids[:, 1::2])[:, 1:] != np.sort(asked.ids[:, 1::2])[:, :-1]).all()
        )


def test_without_demonstrations_exactly_one_task_in_three_is_answered(planted: LM, tasks: TokenTasks) -> None:
    rng = np.random.default_rng(0)
    each = [open_accuracy(planted, tasks.asked(rng, 64, task, 0, "all")) for task in range(3)]
    assert sum(each) == pytest.approx(1.0) and max(each) < 0.7
    assert open_accuracy(planted, tasks.asked(rng, 64, 0, 1, "all")) == 1.0


def test_a_filter_picks_its_task_on_items_it_never_saw_and_another_does_not(planted: LM, tasks: TokenTasks) -> None:
    rng = np.random.default_rng(1)
    filters = filters_of(planted, tasks, rng, layers=[1])[1]
    sets = zero_shot(planted, tasks, rng, 1, "test")
    assert rank_for(planted) == 8 and all(1 <= len(each.reads) <= 8 for each in filters)  # a wide stream: rank 8
    assert accuracies(planted, 1, filters, sets, tasks.judged) > 0.75
    assert accuracies(planted, 1, others(filters), sets, tasks.judged) < 0.1
    wrong = filters_of(planted, tasks, rng, layers=[1], permuted=True)[1]
    assert accuracies(planted, 1, wrong, sets, tasks.judged) < 0.5


def test_the_heads_that_remove_are_found_and_matter(planted: LM, tasks: TokenTasks) -> None:
    rng = np.random.default_rng(2)
    filters = filters_of(planted, tasks, rng, layers=[1])
    asked = [tasks.asked(rng, 48, task, 4, "choose") for task in tasks.judged]
    change = flux_without_heads(planted, tasks, filters, asked)
    found = denoising(change)
    removers = [tuple(head) for head in planted.facts["removers"]]
    assert sorted(found) == sorted(removers) and change[found[0]] == change.min()
    views = [planted, planted.without(found, mode="zero")]
    assert hits(tasks, views, rng, 48, "unseen")[0] == 1.0 and hits(tasks, views, rng, 48, "unseen")[1] < 0.5
    assert hits(tasks, views, rng, 48, "seen")[1] == 1.0


def test_flux_and_eccentricity_by_hand() -> None:
    states = np.random.default_rng(0).normal(size=(4000, 4)) * [2.0, 1.0, 1.0, 0.0]
    first = Filter(np.diag([1.0, 0, 0, 0]), np.zeros(4))
    assert flux(states, first) == pytest.approx(4 / 6, abs=0.03) and eccentricity(states) == pytest.approx(4 / 6, abs=0.03)
    assert flux(states, principal_filter(states, 1)) == pytest.approx(4 / 6, abs=0.03)
    assert first(np.ones((1, 4))).tolist() == [[1.0, 0, 0, 0]]


def test_a_probe_is_right_on_what_can_be_read_off_and_at_chance_on_noise() -> None:
    rng = np.random.default_rng(0)
    answer = rng.integers(4, size=400)
    states = np.eye(4)[answer] + 0.1 * rng.normal(size=(400, 4))
    assert probe_accuracy((states[:200], answer[:200]), (states[200:], answer[200:])) == 1.0
    assert probe_accuracy((states[:200], rng.permutation(answer[:200])), (states[200:], answer[200:])) < 0.5


def test_states_are_those_of_the_last_token_whatever_the_padding(planted: LM, tasks: TokenTasks) -> None:
    asked = tasks.asked(np.random.default_rng(0), 3, 0, 2, "test")
    alone = [last_states(planted, type(asked)(asked.ids[[row]], asked.mask[[row]], asked.answer[[row]]), 0) for row in range(3)]
    assert np.allclose(np.concatenate(alone), last_states(planted, asked, 0), atol=1e-5)


def test_other_subjects_have_no_such_tasks() -> None:
    with pytest.raises(NotApplicable, match="several labelling tasks are needed"):
        label_tasks(tiny_lm(), None)
