"""The update rules behind the claims on ADOPT: held to torch's optimisers, and to what the paper says of one step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from claimbench.errors import EffectError
from claimbench.simulations.rare_gradients import Moments, adam, adopt, amsgrad, descend, only_delayed, rare_gradients, sgd

BETA2 = (0.1, 0.9, 0.999)


def by_torch(gradients: np.ndarray, beta2: float, rate: float, **options: object) -> list[float]:
    """The path of torch's Adam on these gradients, kept within [-1, 1]."""
    x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([x], lr=rate, betas=(0.9, beta2), eps=1e-8, **options)  # type: ignore[arg-type]
    path = []
    for gradient in gradients:
        x.grad = torch.tensor([gradient], dtype=torch.float64)
        optimiser.step()
        with torch.no_grad():
            x.clamp_(-1, 1)
        path.append(float(x.detach()[0]))
    return path


@pytest.mark.parametrize(("rule", "options"), [(adam, {}), (amsgrad, {"amsgrad": True})])
def test_rules_go_where_torch_goes(rule, options) -> None:
    gradients = rare_gradients(np.random.default_rng(0), 5.0, 300)
    ours = descend(rule, gradients, beta2=BETA2, rate=0.01, decay=0.0)
    for column, beta2 in enumerate(BETA2):
        theirs = by_torch(gradients, beta2, 0.01, **options)
        assert ours.iterates[:, column] == pytest.approx([theirs[s - 1] for s in ours.recorded], abs=1e-10)


def test_the_first_gradient_moves_nothing_and_the_second_is_divided_by_the_first() -> None:
    moments, beta2 = Moments.of(np.zeros(1)), np.array([0.9])
    assert adopt(moments, np.array([4.0]), 0.0, beta2) == 0
    assert adopt(moments, np.array([6.0]), 0.0, beta2) == pytest.approx(1.5)


def test_the_scale_of_gradients_does_not_matter() -> None:
    gradients = rare_gradients(np.random.default_rng(1), 5.0, 500)
    paths = [descend(adopt, scale * gradients, beta2=BETA2, rate=0.01).iterates for scale in (1.0, 1000.0)]
    assert paths[0] == pytest.approx(paths[1])


def test_without_momentum_the_delay_alone_is_adopt_and_with_it_it_is_not() -> None:
    gradients = rare_gradients(np.random.default_rng(2), 5.0, 500)
    for beta1, same in ((0.0, True), (0.9, False)):
        ends = [descend(rule, gradients, beta2=BETA2, beta1=beta1).iterates for rule in (adopt, only_delayed)]
        assert np.allclose(*ends) is same


def test_gradients_are_one_on_average_and_the_same_for_every_rule() -> None:
    gradients = rare_gradients(np.random.default_rng(3), 10.0, 200_000)
    assert gradients.mean() == pytest.approx(1.0, abs=0.3) and set(np.unique(gradients)) == {-10.0, 100.0}
    assert set(rare_gradients(np.random.default_rng(3), 1.0, 10)) == {1.0}
    with pytest.raises(EffectError, match="k of 1 or more"):
        rare_gradients(np.random.default_rng(0), 0.5, 10)


def test_a_time_that_was_not_reached_is_open() -> None:
    path = descend(sgd, np.ones(5), beta2=(0.9,), rate=0.003)
    assert (path.steps_to_optimum(0.9).low, path.steps_to_optimum(0.9).high) == (5.0, np.inf)
    reached = descend(sgd, np.ones(50), beta2=(0.9,), rate=0.1, decay=0.0).steps_to_optimum(0.9)
    assert reached.low == reached.high == 10.0
