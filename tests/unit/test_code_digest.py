"""Code digests: comments, docstrings, decorators and layout void nothing; whatever can change a number does."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from claimbench.running.code_digest import code_digest
from claimbench.running.collecting import load_module
from hypothesis import given, settings
from hypothesis import strategies as st

SOURCE = '''
import functools
import numpy as np
from claimbench import step
from claimbench.measures.gains import order_gain

SCALE = 2.0
TABLE = {"double": lambda x: 2 * x, "nested": [3, (4, "five")]}
WEIGHTS = np.array([1.0, 2.0])


def halve(x):
    """Half of x."""
    return x / 2


@functools.lru_cache
def cached(x):
    return x + 1


def by_partial(x, *more, factor, **named):
    return x * factor


tripled = functools.partial(by_partial, factor=3)


class Helper:
    def value(self):
        return halve(8)


def around(offset):
    def inner(x):
        return x + offset

    return inner


shifted = around(10)


@step
def level(lm, rng, depth=3):
    """Level."""
    return lm.facts["level"] + depth


def unused(x):
    return x - 1


def effect(lm, level, rng):
    """What is estimated."""
    # a remark
    gain = order_gain(lm, None) if lm is None else 0.0
    told = TABLE["double"](cached(1)) + tripled(2) + Helper().value() + shifted(1) + WEIGHTS.sum()
    return SCALE * halve(level) + told + gain
'''
COUNT = itertools.count()


@pytest.fixture(scope="module")
def digest(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """The digest of `effect` in a module of the given source, with helper modules beside it."""

    def of(source: str, name: str = "effect", **helpers: str) -> str:
        folder = tmp_path_factory.mktemp("module")
        for helper, text in helpers.items():
            (folder / f"{helper}.py").write_text(text)
        path = folder / "claims.py"
        path.write_text(source)
        sys.path.insert(0, str(folder))
        try:
            return code_digest([getattr(load_module(path), name)])
        finally:
            sys.path.remove(str(folder))
            for helper in helpers:
                sys.modules.pop(helper, None)

    return of


MATTERS = {
    "a constant of the module": ("SCALE = 2.0", "SCALE = 2.5"),
    "a helper": ("return x / 2", "return x / 2.0001"),
    "a cached helper": ("return x + 1", "return x + 2"),
    "a function in a table": ("lambda x: 2 * x", "lambda x: 3 * x"),
    "a number deep in a table": ('(4, "five")', '(6, "five")'),
    "an array": ("np.array([1.0, 2.0])", "np.array([1.0, 2.5])"),
    "an argument bound beforehand": ("factor=3", "factor=4"),
    "a function behind a binding": ("return x * factor", "return x * factor**2"),
    "a method": ("return halve(8)", "return halve(9)"),
    "a value enclosed": ("around(10)", "around(11)"),
    "a step's code": ('lm.facts["level"] + depth', 'lm.facts["level"] - depth'),
    "a choice's default": ("depth=3", "depth=4"),
    "the claim itself": ("+ gain", "- gain"),
    "which measure is reached": ("import order_gain", "import swap_gain as order_gain"),
}


@pytest.mark.parametrize("change", MATTERS)
def test_a_change_that_can_change_a_number_is_noticed(digest: Callable[..., str], change: str) -> None:
    old, new = MATTERS[change]
    assert SOURCE.count(old) == 1
    assert digest(SOURCE.replace(old, new)) != digest(SOURCE)


VOIDS_NOTHING = {
    "a remark": ("# a remark", "# another remark, longer"),
    "a docstring": ('"""Half of x."""', '"""One half.\n\n    In more words.\n    """'),
    "no docstring": ('    """Half of x."""\n', ""),
    "the claim's docstring": ("What is estimated.", "What this estimates."),
    "a function that nothing reaches": ("return x - 1", "return x - 2"),
    "a decorator": ("@functools.lru_cache", "@functools.cache"),
    "layout": ("return x / 2", "return (\n        x\n        / 2\n    )"),
    "the order of functions": ("def halve(x):", "def elsewhere():\n    pass\n\n\ndef halve(x):"),
}


@pytest.mark.parametrize("change", VOIDS_NOTHING)
def test_a_change_that_cannot_voids_nothing(digest: Callable[..., str], change: str) -> None:
    old, new = VOIDS_NOTHING[change]
    assert SOURCE.count(old) == 1
    assert digest(SOURCE.replace(old, new)) == digest(SOURCE)


@settings(max_examples=15, deadline=None)
@given(
    lines=st.sets(st.integers(0, SOURCE.count("\n"))),
    remark=st.text(st.characters(codec="ascii", categories=["L", "N", "P", "Zs"]), max_size=20),
    doc=st.text(st.characters(codec="ascii", categories=["L", "N", "Zs"]), min_size=1, max_size=20),
)
def test_remarks_and_docstrings_anywhere_void_nothing(
    digest: Callable[..., str], lines: set[int], remark: str, doc: str
) -> None:
    changed = "\n".join(
        f"{text}  # {remark}" if number in lines and text.strip() and '"""' not in text else text
        for number, text in enumerate(SOURCE.split("\n"))
    )
    assert digest(changed.replace("What is estimated.", doc)) == digest(SOURCE)


@settings(max_examples=15, deadline=None)
@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_two_constants_share_a_digest_only_if_they_are_one(
    digest: Callable[..., str], one: float, other: float
) -> None:
    same = digest(SOURCE.replace("SCALE = 2.0", f"SCALE = {one!r}".replace("inf", "float('inf')"))) == digest(
        SOURCE.replace("SCALE = 2.0", f"SCALE = {other!r}".replace("inf", "float('inf')"))
    )
    assert same == (repr(one) == repr(other))


HELPED = {
    "from helpers import f": "f(1)",
    "import helpers": "helpers.f(1)",
    "import helpers as h": "h.f(1)",
}


@pytest.mark.parametrize("line", HELPED)
def test_a_helper_module_of_the_author_is_followed(digest: Callable[..., str], line: str) -> None:
    source = f"{line}\n\ndef effect(lm):\n    return {HELPED[line]}\n"
    text = "INNER = 1\n\ndef g(x):\n    return x\n\ndef f(x):\n    return g(x) + INNER\n\ndef other(x):\n    return 0\n"
    plain = digest(source, helpers=text)
    assert digest(source, helpers="# remark\n" + text) == plain
    assert digest(source, helpers=text.replace("return 0", "return 5")) == plain
    assert digest(source, helpers=text.replace("return x\n", "return -x\n")) != plain
    assert digest(source, helpers=text.replace("INNER = 1", "INNER = 2")) != plain


def test_code_typed_without_a_file_is_told_apart_by_its_constants() -> None:
    spaces: list[dict[str, Any]] = []
    for number in (1, 2, 1):
        spaces.append({"__name__": "notebook"})
        exec(f"def effect(lm):\n    return {number}\n", spaces[-1])
    first, second, third = (code_digest([space["effect"]]) for space in spaces)
    assert first == third != second


def test_the_digest_does_not_depend_on_what_is_imported_or_on_the_process(tmp_path: Path) -> None:
    """Worker processes, notebooks and pytest must come to one key, or everything is measured twice."""
    script = (
        "import json, sys\nfrom pathlib import Path\n{}\n"
        "from claimbench.running.collecting import claims_root, load_all_organisms, load_claims\n"
        "from claimbench.running.code_digest import code_digest\n"
        "load_all_organisms([], Path.cwd())\n"
        "claims = load_claims([claims_root()], Path.cwd())\n"
        "print(json.dumps({{n: code_digest([c.function]) for n, c in claims.items()}}))\n"
    )
    everything = (
        "import torch, claimbench.subjects.loading, claimbench.reporting, claimbench.training, claimbench.running.live"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", script.format(first)], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        for first in ("", everything)
    ]
    bare, full = (json.loads(output.stdout) for output in outputs)
    assert bare == full and len(bare) >= 8
    assert len(set(bare.values())) == len(bare)


def test_every_shipped_claim_depends_on_the_measures_it_uses() -> None:
    """Also on those it reaches through a table, as the gains of the ablation claim."""
    from claimbench.running import code_digest as room
    from claimbench.running.collecting import claims_root, load_claims

    claims = load_claims([claims_root()], claims_root().parent)
    (heads,) = [c for c in claims.values() if c.name == "top_induction_heads_are_load_bearing"]
    plain, real = code_digest([heads.function]), room._module_dump

    def with_changed(module: str) -> str:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                room, "_module_dump", lambda name: "changed" if name == f"claimbench.{module}" else real(name)
            )
            return code_digest([heads.function])

    for module in ("measures.gains", "measures.matched", "measures.scores", "interventions.removing", "subjects.lm"):
        assert with_changed(module) != plain, module
    for module in ("running.judging", "statistics.judge", "reporting.html", "measures.labels"):
        assert with_changed(module) == plain, module


def test_a_claim_that_receives_no_network_depends_on_no_intervention(
    digest: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import claimbench.running.code_digest as room

    source = "import numpy as np\n\n\ndef effect({}rng, observe, scale=2.0):\n    return scale * rng.normal()\n"
    before = {given: digest(source.format(given)) for given in ("", "lm, ", "trained, ")}
    dump = room._module_dump
    monkeypatch.setattr(room, "_module_dump", lambda name: dump(name) + ("changed" if name.endswith("subjects.lm") else ""))
    after = {given: digest(source.format(given)) for given in before}
    assert [before[given] == after[given] for given in before] == [True, False, False]
