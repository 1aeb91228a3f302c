"""Families of organisms: the registry, seeds, digests without building, folders of one's own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from claimbench.errors import DeclarationError, UsageError
from claimbench.subjects import family as family_module
from claimbench.subjects.family import KEPT, Built, Family, families, family, load_organisms, organism, trained_organism
from claimbench.subjects.shipped import shipped_models, shipped_root
from claimbench.subjects.source import source_digest
from claimbench.subjects.tokens import Tokens
from claimbench.training import Recipe, record, train

from tiny_models import tiny_model

TOKENS = Tokens(np.arange(3, 20))
ORGANISMS = "_claimbench_organisms_"


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty registry, and no organism file counts as imported, nor do those of these tests later."""
    monkeypatch.setattr(family_module, "_FAMILIES", {})
    before = {name for name in sys.modules if name.startswith(ORGANISMS)}
    for name in before:
        monkeypatch.delitem(sys.modules, name)
    yield
    for name in [name for name in sys.modules if name.startswith(ORGANISMS)]:
        del sys.modules[name]


def declare(name: str = "tiny", **options: Any) -> list[int]:
    """A constructed family; the list grows with each seed that is built."""
    built: list[int] = []

    @organism(name, evidence="organism", **options)
    def make(seed: int) -> Built:
        """A tiny random network."""
        built.append(seed)
        return Built(tiny_model("llama", seed), TOKENS, {"task": "none"})

    return built


def test_a_family_makes_subjects_by_seed() -> None:
    declare(seeds=3, description="three of them")
    found = family("tiny")
    lm = found.subject(2)
    assert (found.description, found.evidence, found.version, found.seeds) == ("three of them", "organism", 1, 3)
    assert lm.name == "tiny (seed 2)"
    assert lm.evidence == "organism"
    assert lm.facts == {"task": "none", "family": "tiny", "seed": 2}
    assert lm.digest == found.digest(2)
    assert not any(parameter.requires_grad for parameter in lm.model.parameters())
    torch.testing.assert_close(lm.model.lm_head.weight, tiny_model("llama", 2).lm_head.weight)


def test_the_last_few_subjects_stay_in_memory() -> None:
    built = declare(seeds=9)
    first = family("tiny").subject(0)
    assert family("tiny").subject(0) is first
    for seed in range(1, KEPT + 1):
        family("tiny").subject(seed)
    assert family("tiny").subject(KEPT).facts["seed"] == KEPT
    assert family("tiny").subject(0) is not first
    assert built == [*range(KEPT + 1), 0]


@pytest.mark.parametrize("seed", [-1, 3, 2**70])
def test_a_seed_that_the_family_lacks_is_named(seed: int) -> None:
    declare(seeds=3)
    for ask in (family("tiny").subject, family("tiny").digest):
        with pytest.raises(UsageError, match=f"tiny has seeds 0 to 2; seed {seed} was asked for"):
            ask(seed)


def test_digests_are_taken_without_building_and_differ() -> None:
    built = declare("one") + declare("two")
    digests = [family(name).digest(seed) for name in ("one", "two") for seed in range(11)]
    assert len(set(digests)) == 22
    assert built == []
    before = family("one").digest(0)
    family_module._FAMILIES.clear()
    declare("one", version=2)
    assert family("one").digest(0) != before


def test_unknown_names_and_double_declarations() -> None:
    declare("copying")
    with pytest.raises(UsageError, match="no organism family is called 'copyin': nearest are copying"):
        family("copyin")

    with pytest.raises(DeclarationError, match="two organism families are called 'copying'"):

        @organism("copying", evidence="organism")
        def other(seed: int) -> Built:
            return Built(tiny_model("gpt2", seed), TOKENS)

    with pytest.raises(DeclarationError, match="evidence 'strong' is unknown: use one of instrument"):
        organism("new", evidence="strong")(lambda seed: Built(tiny_model("gpt2", seed), TOKENS))
    assert set(families()) == {"copying"}


ORGANISM = '''
"""An organism."""
from claimbench.subjects.family import Built, organism
from claimbench.subjects.construct import Construction

def help(seed):
    return seed {plus}

@organism("theirs", evidence="organism")
def make(seed):
    """Docs{docs}."""
    # {comment}
    raise NotImplementedError({of!r})
'''


def write(folder: Path, name: str = "theirs.py", **values: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(ORGANISM.format(**{"plus": "", "docs": "", "comment": "", "of": "nothing", **values}))
    return path


def digest_of(path: Path) -> str:
    family_module._FAMILIES.clear()
    load_organisms([path.parent])
    return family("theirs").digest(0)


def test_a_folder_of_ones_own_is_loaded_once(tmp_path: Path) -> None:
    write(tmp_path / "organisms")
    (tmp_path / "organisms" / "_helper.py").write_text("raise AssertionError('private files are not imported')")
    load_organisms([tmp_path / "organisms"])
    first = family("theirs")
    load_organisms([tmp_path / "organisms", tmp_path / "missing"])
    assert family("theirs") is first


@pytest.mark.parametrize(
    "text", ["def broken(:\n", "import no_such_module_anywhere\n", "raise ValueError('two\\nlines')"]
)
def test_a_broken_organism_file_is_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(text)
    with pytest.raises(DeclarationError, match=r"organism file .*broken\.py cannot be imported: \w+Error") as found:
        load_organisms([tmp_path])
    assert "\n" not in str(found.value)


def test_code_that_makes_the_network_enters_the_digest_and_comments_do_not(tmp_path: Path) -> None:
    plain = digest_of(write(tmp_path / "a"))
    assert digest_of(write(tmp_path / "b", docs=" of another kind", comment="why")) == plain
    assert digest_of(write(tmp_path / "c", plus="+ 1")) != plain


def test_makers_that_are_imported_enter_the_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from claimbench.subjects import source

    plain = digest_of(write(tmp_path / "a"))
    real = source._dump

    def edited(path: Path) -> str:
        return real(path) + ("edited" if path.name == "construct.py" else "")

    monkeypatch.setattr(source, "_dump", edited)
    assert digest_of(write(tmp_path / "b")) != plain


def test_families_that_are_built_on_enter_the_digest(tmp_path: Path) -> None:
    path = write(tmp_path / "a", of="tiny")
    family_module._FAMILIES.clear()
    load_organisms([path.parent])
    alone = family("theirs").digest(0)
    declare("tiny", version=1)
    first = family("theirs").digest(0)
    del family_module._FAMILIES["tiny"]
    declare("tiny", version=2)
    assert len({alone, first, family("theirs").digest(0)}) == 3


def test_functions_without_source_are_identified_by_their_code() -> None:
    made: dict[str, Any] = {}
    exec("def one(seed): return seed + 1\ndef two(seed): return seed + 2", made)
    assert source_digest(made["one"]) != source_digest(made["two"])


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    model = dict(
        vocab_size=55, hidden_size=16, intermediate_size=8, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=8,
    )  # fmt: skip
    return Recipe(name="briefly", version=1, model={"class": "llama", **model}, data="labels", batch=4, steps=2)


def test_a_trained_family_reads_its_records_and_else_trains(recipe: Recipe, tmp_path: Path) -> None:
    run = train(recipe, 0)
    record(run, tmp_path / "briefly")
    made = trained_organism(
        "briefly",
        recipe=recipe,
        tokens=TOKENS,
        seeds=3,
        facts=lambda seed: {"odd": seed % 2},
        recorded=tmp_path / "briefly",
    )
    assert isinstance(made, Family)
    assert made.recipe is recipe
    assert made.weights(0) == tmp_path / "briefly" / "0.safetensors"
    assert made.weights(1) is None
    for seed in (0, 1):
        lm = made.subject(seed)
        assert lm.facts["odd"] == seed
        for name, weight in train(recipe, seed).model.state_dict().items():
            torch.testing.assert_close(lm.model.state_dict()[name], weight)
    before = made.digest(0), made.digest(1)
    path = tmp_path / "briefly" / "0.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert made.digest(0) != before[0]
    assert made.digest(1) == before[1]


def test_what_a_trained_family_tells_enters_its_digest(recipe: Recipe) -> None:
    def digest(**changes: Any) -> str:
        family_module._FAMILIES.clear()
        options: dict[str, Any] = {"recipe": recipe, "tokens": TOKENS, "facts": {"a": 1}, **changes}
        return trained_organism("briefly", **options).digest(0)

    changed = [
        digest(),
        digest(recipe=recipe.with_(lr=0.1)),
        digest(tokens=Tokens(np.arange(3, 21))),
        digest(tokens=Tokens(np.arange(3, 20), bos=1)),
        digest(facts={"a": 2}),
        digest(version=2),
    ]
    assert len(set(changed)) == len(changed)
    assert digest() == changed[0]


def test_shipped_families_have_distinct_digests() -> None:
    import sys

    kept = {name: module for name, module in sys.modules.items() if name.startswith("_claimbench_organisms")}
    for name in kept:
        del sys.modules[name]
    try:
        load_organisms([shipped_root() / "fixtures" / "organisms"])
        found = families()
        digests = [f.digest(seed) for f in found.values() for seed in range(f.seeds)]
    finally:
        sys.modules.update(kept)
    assert len(found) >= 8
    assert len(set(digests)) == len(digests)
    assert "stories260K" in shipped_models()


def test_a_partial_function_has_a_digest_of_its_function_and_arguments() -> None:
    from functools import partial

    from claimbench.subjects.source import source_digest

    def draw(size: int, rng: object, length: int) -> int:
        return size * length

    assert source_digest(partial(draw, 3)) == source_digest(partial(draw, 3))
    assert source_digest(partial(draw, 3)) != source_digest(partial(draw, 4))
