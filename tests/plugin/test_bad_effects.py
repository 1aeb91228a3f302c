"""What a claim function must not return: ERROR with a line that says so, INVALID where a rerun differs."""

from __future__ import annotations

import pytest
from lab import Lab, claim, one_line

RETURNS = {
    "nan": ("return float('nan')", "NaN"),
    "infinite point": ("return float('inf')", "infinite"),
    "text": ("return 'large'", "must be a number, found str 'large'"),
    "nothing": ("level + 1", "found nothing (None)"),
    "an array": ("return np.ones(3)", "must be a number"),
    "yes or no": ("return True", "only a rate takes yes or no"),
    "three ends": ("return (0.0, 1.0, 2.0)", "pair"),
    "reversed ends": ("return (1.0, 0.0)", "smaller end first"),
    "an unknown name": ("return {'efect': 1.0}", "'efect'"),
    "raises": ("raise KeyError('no such head')", "KeyError: 'no such head'"),
    "leaves": ("raise SystemExit(3)", "SystemExit"),
    "divides by zero": ("return level / 0", "ZeroDivisionError"),
}


@pytest.mark.parametrize("what", RETURNS)
def test_it_is_an_error_with_one_line_and_a_place(lab: Lab, what: str) -> None:
    body, told = RETURNS[what]
    lab.claims(claim(body=body))
    result = lab.run("claims", "--report", "report")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    (found,) = lab.results()["results"]
    assert found["verdict"] == "ERROR" and told in found["reason"] and "\n" not in found["reason"]
    assert "test_toy.py:" in found["reason"] and not found["effects"]
    one_line(result, "ERROR  toy/large")


def test_the_place_is_the_author_s_line_where_a_library_raised(lab: Lab) -> None:
    path = lab.claims(claim(body="return float(np.linalg.inv(np.zeros((2, 2)))[0, 0])"))
    lab.run("claims", "--report", "report")
    (found,) = lab.results()["results"]
    number = 1 + next(i for i, text in enumerate(path.read_text().splitlines()) if "np.linalg" in text)
    assert "LinAlgError" in found["reason"] and f"test_toy.py:{number}" in found["reason"]


def test_an_interval_may_be_open_at_one_end(lab: Lab) -> None:
    lab.claims(claim(body="return (level, float('inf'))"))
    lab.run("claims", "--report", "report")
    (found,) = lab.results()["results"]
    assert found["verdict"] == "SUPPORTED"
    assert found["replicates"][0]["effects"] == {"effect": [1.0, None]}


@pytest.mark.parametrize(
    ("value", "need", "told"),
    [
        ("float('nan')", "at_least(0.5, 'nat', wanted)", "is NaN"),
        ("'much'", "at_least(0.5, 'nat', wanted)", "not a number"),
        ("None", "at_least_one(wanted)", "not something to count"),
        ("1 / 0", "at_least_one(wanted)", "ZeroDivisionError"),
    ],
)
def test_a_precondition_must_be_a_number(lab: Lab, value: str, need: str, told: str) -> None:
    lab.claims(f"\n@step\ndef wanted(level):\n    return {value}\n" + claim(requires=f"[{need}]"))
    lab.run("claims", "--report", "report")
    (found,) = lab.results()["results"]
    assert found["verdict"] == "ERROR" and told in found["reason"]


IMPURE = {
    "a counter": ("global COUNT\nCOUNT += 1\nreturn level + COUNT", "COUNT = 0\n"),
    "a global generator": ("return level + np.random.rand()", ""),
    "the clock": ("import time\nreturn level + time.time_ns() % 1000 / 1000", ""),
}


@pytest.mark.parametrize("what", IMPURE)
def test_a_claim_that_is_not_pure_is_invalid(lab: Lab, what: str) -> None:
    body, before = IMPURE[what]
    lab.claims(before + claim(body=body))
    result = lab.run("claims", "--report", "report")
    (found,) = lab.results()["results"]
    assert found["verdict"] == "INVALID" and "not pure" in found["reason"]
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_step_that_is_not_pure_is_found_as_well(lab: Lab) -> None:
    lab.claims(
        "\n@step\ndef drift(level):\n    return level + np.random.rand()\n"
        + claim(parameters="drift", body="return drift")
    )
    lab.run("claims", "--report", "report")
    (found,) = lab.results()["results"]
    assert found["verdict"] == "INVALID" and "not pure" in found["reason"]


def test_what_does_not_apply_to_a_variant_says_nothing_of_the_claim(lab: Lab) -> None:
    body = "if source == 'natural':\n    raise NotApplicable('there is no text')\nreturn level"
    parameters = "level, source='frequent'"
    lab.claims(claim(body=body, parameters=parameters, variants="[variant('natural', source='natural')]"))
    lab.run("claims", "--report", "report")
    (found,) = lab.results()["results"]
    assert found["verdict"] == "SUPPORTED" and found["variants"][0]["effects"] == []
    lab.claims(claim(body=body, parameters=parameters, variants="[variant('natural', binding=True, source='natural')]"))
    lab.run("claims", "--report", "report")
    (found,) = lab.results()["results"]
    assert found["verdict"] == "INCONCLUSIVE" and "'natural' could not be measured" in found["reason"]


def test_a_binding_variant_of_the_opposite_sign_vetoes_support(lab: Lab) -> None:
    variants = "[variant('reversed', binding=True, sign=-1.0)]"
    lab.claims(claim(body="return sign * level", parameters="level, sign=1.0", variants=variants))
    lab.run("claims", "--report", "report")
    (found,) = lab.results()["results"]
    assert found["verdict"] == "INCONCLUSIVE" and "points the other way" in found["reason"]
    lab.claims(
        claim(body="return sign * level", parameters="level, sign=1.0", variants=variants.replace("binding=True, ", ""))
    )
    lab.run("claims", "--report", "report")
    (found,) = lab.results()["results"]
    assert found["verdict"] == "SUPPORTED" and found["variants"][0]["agrees"] is False
