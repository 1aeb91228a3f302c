"""A user's own network, optimiser or data in a claim (`--recipe`), and what is said where it is no good."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from claimbench import Claim, above, at_least, claim, log_ratio, negative, positive, step, steps_to, yours
from claimbench.errors import DeclarationError, InvalidMeasurement, UsageError
from claimbench.running import measure as measuring
from claimbench.running.collecting import claims_in, load_module
from claimbench.running.item import with_yours
from claimbench.running.options import checked
from claimbench.running.session import Session
from claimbench.running.user_recipe import user_recipe
from claimbench.simulations.by_torch import descend_by
from claimbench.simulations.rare_gradients import adam, descend, rare_gradients
from claimbench.subjects.family import load_organisms
from claimbench.training import Recipe, Yours, functional, load, network, record, task, train

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "recipes.md").read_text()


@network("user-linear")
def linear(width: int = 3) -> Any:
    return functional({"a": (width, width)}, lambda weights, x: x @ weights.a)


@task("user-identity")
class Same:
    def batch(rng: np.random.Generator, n: int, seed: int = 0, scale: float = 1.0) -> dict[str, Any]:
        return {"x": scale * rng.normal(size=(n, 3))}

    def loss(model: Any, batch: Any) -> Any:
        return ((model(batch["x"]) - batch["x"]) ** 2).mean()


BASE = Recipe(
    name="base", version=1, model={"class": "user-linear"}, data="user-identity", steps=60, batch=16, lr=0.02, evaluate_every=2,
    evaluate_rows=32, curve_points=99, std=0.3,
)  # fmt: skip
SLOW = BASE.with_(name="slow", lr=0.005)


@step
def learns(net):
    """One minus the distance of the trained matrix from the identity."""
    weights = next(iter(net.model.parameters())).detach()
    return 1 - float((weights - torch.eye(3)).norm())


def sooner(net, slow):
    """Log steps of the slow arm to a loss of 0.5, over those of the other."""
    return log_ratio(steps_to(slow, "loss", below=0.5), steps_to(net, "loss", below=0.5))


def declared(**more: Any) -> Claim:
    return claim(
        "paper/sooner", arms={"net": BASE, "slow": SLOW}, holds=above(0.0, unit="log steps"), why="-", documented="-",
        controls=[positive(net=BASE.with_(lr=0.1)), negative(net=SLOW)], yours=[yours("network", "optimiser", "data", net=BASE)],
        **more,
    )(sooner)  # fmt: skip


def given(function: Any) -> Yours:
    return Yours(f"test:{function.__name__}", function)


def verdict(function: Any, folder: Path, **more: Any) -> dict[str, Any]:
    item = with_yours(declared(**more), "id", given(function))
    assert item is not None
    return Session(checked(store=folder, profile="smoke")).run(item)


class Diagonal(torch.nn.Module):
    def __init__(self, start: float = 0.0) -> None:
        super().__init__()
        self.d = torch.nn.Parameter(torch.rand(3) * 0.1 + start)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.d


def diagonal(seed: int) -> Any:
    return Diagonal(0.8)


def momentum(parameters: list[Any], lr: float) -> Any:
    return torch.optim.SGD(parameters, lr=20 * lr, momentum=0.5)


def wide(rng: np.random.Generator, n: int, seed: int, scale: float = 1.0) -> Any:
    return {"x": 0.1 * scale * rng.normal(size=(n, 3))}


def nothing(seed: int) -> Any:
    return {"weights": 3}


def wild(parameters: list[Any], lr: float) -> Any:
    return torch.optim.SGD(parameters, lr=1e4 * lr)


def moody(seed: int) -> Any:
    made = Diagonal(0.8)
    made.register_forward_pre_hook(lambda _, inputs: (inputs[0] + float(np.random.default_rng().normal()),))
    return made


def other_arrays(rng: np.random.Generator, n: int, seed: int) -> Any:
    return {"z": rng.normal(size=(n, 3))}


def stuck(parameters: list[Any], lr: float) -> Any:
    return torch.optim.SGD(parameters, lr=1e-9 * lr)


@pytest.mark.parametrize("function", [diagonal, momentum, wide])
def test_a_network_an_optimiser_or_data_take_the_place_of_an_arm_s(function: Any, tmp_path: Path) -> None:
    found = verdict(function, tmp_path)
    assert found["subject"] == f"test:{function.__name__}" and found["subject_kind"] == "recipe"
    assert found["verdict"] == "SUPPORTED", found["reason"]


@pytest.mark.parametrize(
    ("function", "expected", "words"),
    [
        (nothing, "ERROR", r'network "test:nothing" gave a dict; it must return a torch\.nn\.Module'),
        (moody, "INVALID", r"not deterministic: at seed 0 the loss of step 0 was .* and is"),
        (other_arrays, "ERROR", r"test:other_arrays must give x by name, as user-identity does; found z"),
        (stuck, "NOT_APPLICABLE", r"learns .*0\.9"),
        (wild, "NOT_APPLICABLE", r"base with test:wild diverged at seed 0: the loss of step \d+ was not finite"),
    ],
)
def test_what_is_no_good_is_one_line(function: Any, expected: str, words: str, tmp_path: Path) -> None:
    found = verdict(function, tmp_path, requires=[at_least(0.9, "1", learns)])
    assert found["verdict"] == expected and re.search(words, found["reason"]) and "\n" not in found["reason"], found["reason"]


def test_a_run_that_diverges_is_censored_and_the_step_is_named(tmp_path: Path) -> None:
    found = verdict(wild, tmp_path)
    assert found["verdict"] == "INCONCLUSIVE", "that it would have been later than the slow arm is not known"
    said = [shown["text"] for shown in found["observations"].values() if "diverged" in shown["title"]]
    assert said and re.match(r"The loss of step \d+ was not finite; times are open", said[0])


def test_initial_weights_are_the_user_s_own_and_others_in_each_seed(tmp_path: Path) -> None:
    recipe = given(diagonal).in_place(BASE).with_(steps=1, lr=0.0)
    first, again, other = (train(recipe, seed).model for seed in (0, 0, 1))
    assert torch.equal(first.d, again.d) and not torch.equal(first.d, other.d)
    assert bool(((first.d > 0.8) & (first.d < 0.9)).all()), "not what the trainer draws for other networks"
    assert torch.equal(load(recipe, record(train(recipe, 1), tmp_path)).d, other.d)


def test_an_optimiser_keeps_its_own_rate_as_a_share_of_the_schedule() -> None:
    made = given(momentum).optimiser([torch.nn.Parameter(torch.zeros(2))], 0.1, (0.9, 0.99))
    assert made.param_groups[0]["share"] == pytest.approx(20.0)
    with pytest.raises(DeclarationError, match=r"test:nothing gave a dict; it must return a torch\.optim\.Optimizer"):
        given(nothing).optimiser([], 0.1, (0.9, 0.99))


def test_an_optimiser_of_torch_goes_where_the_rule_goes() -> None:
    gradients = rare_gradients(np.random.default_rng(0), 5.0, 200)
    made = Yours("adam", lambda parameters, lr, betas: torch.optim.Adam(parameters, lr=lr, betas=betas, eps=1e-8))
    theirs, said = descend_by(made.optimiser, gradients, beta2=(0.1, 0.9), rate=0.01)
    ours = descend(adam, gradients, beta2=(0.1, 0.9), rate=0.01)
    assert not said and theirs.recorded == ours.recorded
    np.testing.assert_allclose(theirs.iterates, ours.iterates, atol=1e-10)


class Ends(torch.optim.Optimizer):
    """Moves by a tenth, and at its seventh step nowhere."""

    def __init__(self, parameters: Any, value: float = float("nan")) -> None:
        super().__init__(parameters, {"lr": 1.0})
        self.count, self.value = 0, value

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        self.count += 1
        with torch.no_grad():
            for weight in self.param_groups[0]["params"]:
                weight.sub_(0.1).mul_(self.value if self.count == 7 else 1.0)


def test_a_path_that_is_not_finite_stays_where_it_was_and_names_the_step() -> None:
    path, said = descend_by(lambda parameters, lr, betas: Ends(parameters), np.ones(50), beta2=(0.5,))
    assert path.end[0] == pytest.approx(-0.6) and said == ["beta2 0.5: step 6 gave no finite x, so x stays where it was"]
    assert path.steps_to_optimum(0.5).high == float("inf")


def test_an_optimiser_that_draws_numbers_is_found_out() -> None:
    drawn = np.random.default_rng(0)
    with pytest.raises(InvalidMeasurement, match="not deterministic: at step 6 x was"):
        descend_by(lambda parameters, lr, betas: Ends(parameters, float(drawn.normal())), np.ones(50), beta2=(0.5,))


FILE = """
import functools
def fine(seed): ...
def seedless(width=3): ...
def rows(rng, n): ...
class Net: ...
"""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mine", "write module:function or file.py:function"),
        ("{}/none.py:f", "there is no file .*none.py"),
        ("no_such_module:f", "No module named 'no_such_module'; name a file"),
        ("{}/mine.py:fin", "mine.py has no fin; did you mean fine"),
        ("{}/mine.py:Net", "Net is a type; write a function that returns one"),
        ("{}/mine.py:seedless", r"seedless takes no seed, .*write def seedless\(seed\)"),
        ("{}/mine.py:rows", r"rows takes no seed, .*write def rows\(rng, n, seed\)"),
        ("{}/broken.py:f", r"cannot be loaded: ZeroDivisionError: division by zero \(.*broken.py:1\)"),
    ],
)
def test_mistakes_are_told_before_anything_is_trained(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FILE)
    (tmp_path / "broken.py").write_text("1 / 0\n")
    with pytest.raises(UsageError, match=words) as caught:
        checked(recipe=text.format(tmp_path), store=tmp_path / "store")
    assert "\n" not in str(caught.value)
    assert checked(recipe=f"{tmp_path}/mine.py:fine", store=tmp_path / "store").recipe == f"{tmp_path}/mine.py:fine"


def test_a_place_that_no_claim_has_is_refused() -> None:
    with pytest.raises(DeclarationError, match=r"name kinds of network, optimiser, data"):
        yours("model", net=BASE)
    with pytest.raises(DeclarationError, match="overrides 'nett', which is no arm of it"):
        claim(
            "paper/sooner", arms={"net": BASE, "slow": SLOW}, holds=above(0.0, unit="log steps"), why="-", documented="-",
            controls=[positive(net=SLOW), negative(slow=BASE)], yours=[yours("network", nett=BASE)],
        )(sooner)  # fmt: skip
    assert with_yours(claims_of("claims/adopt/test_optimisers.py")["amsgrad_converges_slowly"], "id", given(diagonal)) is None


def claims_of(path: str) -> dict[str, Claim]:
    load_organisms([ROOT / "fixtures" / "organisms"])
    return {found.name: found for found in claims_in(load_module(ROOT / path))}


def test_the_page_s_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0])
    adopt, layer = (
        claims_of("claims/adopt/test_optimisers.py")["adopt_converges_where_adam_does_not"],
        claims_of("claims/icl_gd/test_one_layer.py")["the_layer_answers_as_one_gradient_step"],
    )
    monkeypatch.setitem(adopt.function.__globals__, "STEPS", 3000)
    session = Session(checked(store=tmp_path / "store"))
    found = {}
    for made, name in ((adopt, "sign_momentum"), (layer, "projections")):
        item = with_yours(made, "id", user_recipe(f"{tmp_path}/mine.py:{name}"))
        assert item is not None
        body = session.measurer._measure(item, measuring.Part("effect"), 0, measuring.Shared())
        assert body["problem"] is None, body["problem"]
        found |= body["effects"]
    assert found["ADOPT's worst end"][0] > 0.5, "it goes to the wrong end"
    assert found["cosine"][0] > 0.99, "one matrix for each projection learns the gradient step too"
