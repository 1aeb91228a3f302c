"""A mistake in a declaration: a collection error of one line that names the place, what is wrong and what to write."""

from __future__ import annotations

import pytest
from lab import HEADER, Lab, claim, one_line

SLIPS = {
    "no control": (claim(controls="[]"), "no negative and no positive control"),
    "no negative": (claim(controls='[positive(on="strong-too"), guard(on="absent")]'), "no negative control"),
    "control of nothing": (claim(controls="[positive(), negative(level=nothing)]"), "positive() overrides nothing"),
    "unknown unit": (claim(holds='above(0.5, unit="nats")'), "unknown unit 'nats'"),
    "empty region": (claim(holds='interval(0.5, 0.2, unit="nat")'), "0.5"),
    "point region": (claim(holds='interval(0.5, 0.5, unit="nat")'), "0.5"),
    "NaN region": (claim(holds='above(float("nan"), unit="nat")'), "nan"),
    "unknown step": (claim(parameters="levle, rng", body="return levle"), "'levle', which is no step of its module"),
    "unknown step of a control": (claim(controls='[positive(on="strong-too"), negative(levle=nothing)]'), "'levle'"),
    "unknown arm": (claim(arms='{"dense": 1}', controls='[positive(on="strong-too"), negative(sparse=1)]'), "'sparse'"),
    "unknown choice of a variant": (claim(variants='[variant("zero", mode="zero")]'), "'mode', which is no choice"),
    "empty variant": (claim(variants='[variant("zero")]'), "variant 'zero' changes nothing"),
    "unknown scope": ("\n@step(scope='seed')\ndef once(lm):\n    return 1\n" + claim(), "'replicate' or 'subject'"),
    "unknown finding": (claim(finding='"toy/lage"'), "toy/large"),
    "malformed finding": (claim(finding='"large"'), "'paper/short-name'"),
    "another paper's finding": (claim(finding='"tou/large"'), "toy/large"),
    "unknown organism": (claim(on='causal_lm(organism="stong")'), "'stong'"),
    "unknown organism of a control": (claim(controls='[positive(on="stong"), negative(level=nothing)]'), "'stong'"),
    "no organism": (claim(on="causal_lm(organism=[])"), "names no subject"),
    "unknown evidence": (claim(evidence='"rumour"'), "'rumour'"),
    "no docstring": (claim().replace('    """Level, with a little noise."""\n', ""), "no docstring"),
    "four effects": (claim(holds='{n: above(0.5, unit="nat") for n in "abcd"}'), "4 judged effects"),
    "bound inside the region's edge": (claim(bounds="0.4"), "the bound must lie beyond every edge"),
    "variadic": (claim(parameters="level, *rest"), "cannot be injected by name"),
    "two claims of one name": (claim() + claim(body="return level"), "2 functions are called 'effect_is_large'"),
    "one claim under two names": (claim() + "\nagain = effect_is_large\n", "is also called again"),
    "two controls of one name": (
        claim(controls='[positive(on="strong-too"), negative(level=nothing), negative(level=nothing)]'),
        "two controls or variants are called",
    ),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_one_line_and_no_verdict(lab: Lab, slip: str) -> None:
    source, told = SLIPS[slip]
    lab.claims(source)
    result = lab.run("claims", "--with-controls", "--report", "report")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    line = one_line(result, told)
    assert line.startswith("E  ") is False
    result.assert_outcomes(errors=1)
    assert not (lab.path / ".claimbench").exists()


def test_the_line_names_the_place(lab: Lab) -> None:
    path = lab.claims(claim("first") + claim("second", controls="[]"))
    number = 1 + next(i for i, text in enumerate(path.read_text().splitlines()) if "controls=[]" in text)
    assert f"test_toy.py:{number}: claim second (toy/large): no negative" in one_line(lab.run("claims"), "claim second")


def test_other_files_are_still_collected(lab: Lab) -> None:
    lab.claims(claim("first", controls="[]"))
    lab.claims(claim("second"), file="claims/test_well.py")
    result = lab.run("claims", "--continue-on-collection-errors")
    result.assert_outcomes(passed=1, errors=1)


def test_a_claim_without_a_card_is_refused(lab: Lab) -> None:
    (lab.path / "claims/paper.toml").unlink()
    lab.claims()
    assert "needs its paper's card" in one_line(lab.run("claims"), "no paper.toml")


@pytest.mark.parametrize(
    ("card", "told"),
    [("slug = ", "no valid TOML"), ('slug = "toy"\n', "lacks"), ("year", "lists the finding 'toy/large' twice")],
)
def test_a_malformed_card_is_one_line(lab: Lab, card: str, told: str) -> None:
    path = lab.path / "claims/paper.toml"
    text = path.read_text()
    path.write_text(text + text[text.index("[[finding]]") :] if card == "year" else card)
    lab.claims()
    assert "paper.toml" in one_line(lab.run("claims"), told)


def test_an_organism_file_that_fails_is_one_line(lab: Lab) -> None:
    lab.write("organisms/broken.py", "import no_such_library\n")
    lab.claims()
    assert "No module named 'no_such_library'" in one_line(lab.run("claims"), "organism file")


def test_two_families_of_one_name_are_refused(lab: Lab) -> None:
    text = (lab.path / "organisms/numbers.py").read_text()
    lab.write("organisms/others.py", text + '\nnumber("strong", [2.0], seeds=3)\n')
    lab.claims()
    one_line(lab.run("claims"), "two organism families are called")


def test_an_ordinary_error_in_a_claim_file_keeps_its_traceback(lab: Lab) -> None:
    lab.claims(header=HEADER + "\n1 / 0\n")
    result = lab.run("claims")
    result.stdout.fnmatch_lines(["*ZeroDivisionError*"])
    result.assert_outcomes(errors=1)


def test_declaration_errors_are_one_line_under_xdist(lab: Lab) -> None:
    lab.claims(claim(controls="[]"))
    result = lab.run_apart("claims", "-n", "2")
    one_line(result, "no negative and no positive control")
    assert result.ret != pytest.ExitCode.OK
