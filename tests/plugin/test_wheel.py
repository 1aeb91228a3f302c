"""The wheel, installed out of reach of the checkout, beside a user's own `claims` and `harness` packages."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from lab import CARD, HEADER, claim

CHECKOUT = Path(__file__).parents[2]
NETWORK = '''
"""A network of one layer and width eight, on which a claim reads what an intervention does."""
from claimbench.subjects.family import Built, organism
from claimbench.subjects.tokens import Tokens


def network(name, scale):
    @organism(name, evidence="organism", description="one layer, width eight")
    def make(seed):
        import torch
        from transformers import GPT2Config, GPT2LMHeadModel

        torch.manual_seed(seed)
        sizes = {"n_layer": 1, "n_head": 2, "n_embd": 8, "n_positions": 32, "vocab_size": 24}
        config = GPT2Config(**sizes, bos_token_id=None, eos_token_id=None)
        model = GPT2LMHeadModel(config)
        with torch.no_grad():
            for weight in (model.transformer.h[0].attn.c_proj.weight, model.lm_head.weight):
                weight.mul_(scale)
        return Built(model, Tokens(range(24)))


network("loud", 60.0)
network("quiet", 0.01)
'''
CLAIM = claim(
    "heads_matter",
    body="""
    ids = rng.integers(24, size=(8, 12))
    return float(abs(lm.logits(ids) - lm.without([(0, 0), (0, 1)], mode="zero").logits(ids)).mean())
    """,
    parameters="lm, rng",
    on='causal_lm(organism="loud")',
    holds='above(0.01, unit="logit")',
    controls='[positive(on="loud", label="planted"), negative(on="quiet")]',
)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment that holds the wheel, and sees the libraries of this one but not its claimbench."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in ("harness", "claims", "fixtures"):
        shutil.copytree(CHECKOUT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", os.fspath(folder)]
    subprocess.run([*pip, *build, os.fspath(source)], check=True)
    shutil.rmtree(source)
    (wheel,) = folder.glob("claimbench-*.whl")
    venv.create(folder / "venv", with_pip=False)
    found = folder / "venv" / "bin" / "python"
    install = ["--python", os.fspath(found), "install", "--no-deps", "--no-index", os.fspath(wheel)]
    subprocess.run([*pip, *install], check=True)
    asked = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(subprocess.run([found, "-c", asked], check=True, capture_output=True, text=True).stdout.strip())
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Someone's folder, with packages of their own that are called `claims` and `harness`."""
    for name in ("claims", "harness"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"WHOSE = 'mine: {name}'\n")
    (tmp_path / "claims" / "paper.toml").write_text(CARD)
    (tmp_path / "claims" / "test_mine.py").write_text(HEADER + CLAIM)
    (tmp_path / "organisms").mkdir()
    (tmp_path / "organisms" / "networks.py").write_text(NETWORK)
    return tmp_path


def run(python: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    own = python == Path(sys.executable)
    environment = {n: value for n, value in os.environ.items() if own or n not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return subprocess.run([python, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_one_claim_and_one_organism_in_somebody_s_folder(python: Path, folder: Path) -> None:
    (folder / "claims" / "test_packages.py").write_text(
        "import claims, harness, claimbench\n\n\ndef test_whose():\n"
        "    assert (claims.WHOSE, harness.WHOSE) == ('mine: claims', 'mine: harness')\n"
        f"    assert claimbench.__file__.startswith({os.fspath(python.parents[1])!r})\n"
    )
    words = [
        "-m",
        "pytest",
        "--with-controls",
        "--report",
        "report",
        "-W",
        "error",
        "--strict-markers",
        "-p",
        "no:hypothesispytest",
    ]
    result = run(python, folder, *words)
    assert result.returncode == 0, result.stdout + result.stderr
    document = json.loads((folder / "report" / "results.json").read_text())
    verdicts = {r["item"].rpartition("::")[2]: r["verdict"] for r in document["results"]}
    assert verdicts == {
        "heads_matter[loud]": "SUPPORTED",
        "heads_matter[positive: planted]": "SUPPORTED",
        "heads_matter[negative: quiet]": "REFUTED",
    }
    (plain,) = [r for r in document["results"] if r["control"] is None]
    assert plain["sound"] is True and plain["receipts"][0]["wired"] and plain["forward_passes"] > 0
    assert not (folder / "claimbench").exists()


@pytest.mark.slow
def test_what_ships_is_found_inside_the_wheel(python: Path, tmp_path: Path) -> None:
    """Claims, organisms, a real model; the digests of a claim are those of the checkout, so a store can be shared."""
    script = (
        "import json\nfrom pathlib import Path\n"
        "from claimbench.running.collecting import claims_root, load_all_organisms, load_claims\n"
        "from claimbench.running.code_digest import code_digest\n"
        "from claimbench.subjects.family import families\nfrom claimbench.subjects.shipped import shipped_models\n"
        "load_all_organisms([], Path.cwd())\n"
        "claims = load_claims([claims_root()], Path.cwd())\n"
        "print(json.dumps([str(claims_root()), {n: code_digest([c.function]) for n, c in claims.items()},"
        " {n: f.digest(0) for n, f in families().items()}, sorted(shipped_models())]))\n"
    )
    there, here = run(python, tmp_path, "-c", script), run(Path(sys.executable), tmp_path, "-c", script)
    assert there.returncode == 0 == here.returncode, there.stderr + here.stderr
    (root, *wheel), (_, *checkout) = json.loads(there.stdout), json.loads(here.stdout)
    assert root.startswith(os.fspath(python.parents[1])) and wheel == checkout and all(wheel)


@pytest.mark.slow
def test_the_command_is_installed_and_runs_the_shipped_claims(python: Path, tmp_path: Path) -> None:
    listing = run(python, tmp_path, os.fspath(python.parent / "claimbench"), "list", "--json")
    assert listing.returncode == 0, listing.stderr
    assert len(json.loads(listing.stdout)) >= 10
    collected = run(python, tmp_path, os.fspath(python.parent / "claimbench"), "run", "--collect-only", "-q")
    assert collected.returncode == 0, collected.stdout + collected.stderr
    assert "test_heads.py::top_induction_heads_are_load_bearing[copying]" in collected.stdout
