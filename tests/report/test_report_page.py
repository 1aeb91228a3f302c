"""The HTML report: whole, escaped, self-contained, in order, and saying what it must."""

from __future__ import annotations

import itertools
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from claimbench.reporting import html, view, words
from claimbench.reporting.results import complete
from sample import HOSTILE, LONG, RIGHT_TO_LEFT, hostile, sample

VOID = {"meta", "link", "input", "br", "hr", "img"}


class Page(HTMLParser):
    """Elements with their attributes, headings with their text, and whether every element was closed."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.headings: list[tuple[int, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append((int(tag[1]), ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if "style" in self.open or "script" in self.open:
            return
        self.texts.append(data)
        if self.open and re.fullmatch("h[1-6]", self.open[-1]):
            level, text = self.headings[-1]
            self.headings[-1] = (level, text + data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def render(document: dict[str, Any]) -> str:
    return html.page(complete(document))


@pytest.fixture(scope="module")
def source() -> str:
    return render(sample())


@pytest.fixture(scope="module")
def page(source: str) -> Page:
    return Page(source)


def test_it_is_well_formed(page: Page) -> None:
    assert page.open == []
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_headings_are_in_order(page: Page) -> None:
    levels = [level for level, _ in page.headings]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_links_inside_lead_somewhere(page: Page) -> None:
    ids = {attributes.get("id") for _, attributes in page.elements}
    inside = [str(a["href"])[1:] for tag, a in page.elements if tag == "a" and str(a.get("href")).startswith("#")]
    assert len(inside) > 20
    assert set(inside) <= ids


@pytest.mark.parametrize("document", [sample, hostile])
def test_it_asks_nothing_of_any_network(document: Any) -> None:
    text = render(document())
    for tag, attributes in Page(text).elements:
        for name in ("src", "srcset", "data", "poster", "action", "background", "xlink:href"):
            assert name not in attributes, (tag, name)
        address = str(attributes.get("href") or "#")
        if tag == "a":
            assert address.startswith(("#", "https://arxiv.org/")), address
        elif tag == "link":
            assert address == "data:,"
        else:
            assert "href" not in attributes
    style = "".join(re.findall(r"<style>(.*?)</style>", text, re.S))
    assert "@import" not in style and "url(" not in style and "@font-face" not in style
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text


def test_it_runs_only_its_own_script(source: str) -> None:
    assert len(re.findall(r"<script\b", source)) == 1
    assert not re.search(r"\son[a-z]+\s*=", source)
    text = render(hostile())
    assert len(re.findall(r"<script\b", text)) == 1
    assert "javascript:" not in text


def test_hostile_names_are_escaped_and_whole() -> None:
    text = render(hostile())
    page = Page(text)
    assert page.open == []
    assert "alert(&#39;x&#39;)" in text and "<script>alert" not in text
    for name in (HOSTILE, RIGHT_TO_LEFT, LONG):
        assert page.text.count(name) > 3
    assert "{{ 7*7 }}" in page.text and " 49 " not in page.text
    assert text.count("<bdi") > 20  # a name written from right to left must not turn what stands beside it


def test_the_headline_counts(page: Page) -> None:
    report = view.arrange(complete(sample()))
    assert page.headings[0][1] == "14 verdicts on 8 claims of 3 papers"
    assert list(report.counts.items()) == list(zip(words.VERDICTS, (7, 1, 2, 1, 2, 1), strict=True))
    assert report.soundness == {"sound": 5, "unsound": 1, "unsettled": 2}
    assert "5 claims sound , 1 unsound , 2 unsettled" in page.text
    assert "10 made now , 4 on recorded weights" in page.text
    assert "Seed 2 of ih-clamp-eight was trained again: DISAGREES." in page.text
    assert "1 item was not measured" in page.text


def test_every_verdict_is_in_the_matrix_with_letter_word_and_link(source: str) -> None:
    matrix = source[source.index('class="matrix') : source.index("</table>")]
    report = view.arrange(complete(sample()))
    for claim in report.claims:
        for result in claim.results:
            chip = re.search(rf'<a class="chip v-(\w+)" href="#{claim.link(result)}">(.*?)</a>', matrix)
            assert chip and chip[1] == result["verdict"]
            assert f">{words.LETTERS[result['verdict']]}</b>" in chip[2]
            assert words.label(result) in chip[2]
    assert [name for name, _ in report.subjects][-3:] == ["stories260K", "TinyStories-656K", "gpt2-small"]
    assert matrix.count("data-marks=") == len(report.claims)
    assert 'class="mark broken"' in matrix and 'class="mark unknown"' in matrix and 'class="mark held"' in matrix


@pytest.mark.parametrize(
    "said",
    [
        "not reproduced on an analogue",
        "Expected: REFUTED, because a net of this size does not learn",
        "Unexpected. The committed expectation is NOT APPLICABLE",
        "Unsound. The negative control “one-head family” had to be REFUTED and came out INCONCLUSIVE.",
        "It would have seen the effect lying 0.19 correlation or more from the region's edge.",
        "5 more seeds may decide it.",
        "amended since (2026-11-23: margin from 0.04 to 0.05)",
        "A small trained net stands in",
        "0.28 share of gain",
        "(betting confidence sequence, clipped at ±1), and the region in which the finding holds; 0.4 % of values were clipped",
        "top 2 % of heads of every layer",
        "Hollow, not judged: seed 6 failed a precondition; seed 7 came after the decision.",
        "no interval yet",
        "without 2.1 2.3 3.2 (resample)",
        "4.61 nat",
        "(−∞, −0.4]",
        "Strongest, as layer.head: 2.1 (0.91)",
        "needs a sparse autoencoder",
        "2 findings registered, without a verdict here",
        "pytest 'claims/ih_clamp/test_add.py::heads_add_up[ih-clamp-eight]' --profile standard --seed 0",
        "9f2c41d07b6e85a3",
        "torch 2.13.0",
        "0 to 45; root seed 0",
        "peak memory 840 MB",
        "BROKEN: expected REFUTED",
        "Seed 2 was trained again now and DISAGREES with its record",
    ],
)
def test_the_cards_say(page: Page, said: str) -> None:
    assert said in page.text


def test_a_bound_that_clipped_nothing_is_said_to_have(source: str) -> None:
    document = sample()
    told = [effect for result in document["results"] for effect in result["effects"] if effect["clipped"]]
    for effect in told:
        effect["clipped"] = 0.0
    assert told and render(document).count("no value was clipped") == len(told) and "no value was clipped" not in source


def test_controls_are_closed_unless_one_broke(source: str) -> None:
    details = re.findall(r'<details class="block controls"( open)?>', source)
    assert details.count(" open") == 1 and len(details) > 4


def test_pictures_say_what_they_show(page: Page) -> None:
    pictures = [attributes for tag, attributes in page.elements if tag == "svg"]
    told = [a for a in pictures if a.get("role") == "img"]
    assert len(told) > 15
    assert all(len(str(a["aria-label"])) > 20 for a in told)
    assert any("typical effect" in str(a["aria-label"]) and "95 % interval" in str(a["aria-label"]) for a in told)


def test_a_document_without_results_is_a_page() -> None:
    text = render({**sample(), "results": [], "missing": [], "complete": True})
    page = Page(text)
    assert page.open == [] and "No claim was judged." in page.text
    assert page.headings[0][1] == "0 verdicts on 0 claims of 0 papers"


def test_controls_alone_are_a_page() -> None:
    document = sample()
    document["results"] = [result for result in document["results"] if result["control"]]
    page = Page(render(document))
    assert page.open == [] and "Only controls of this claim were run." in page.text


def test_a_shape_of_observation_that_is_not_known_is_shown() -> None:
    document = sample()
    document["results"][0]["observations"]["odd"] = {"kind": "heads", "title": "Odd", "values": "none"}
    document["results"][0]["observations"]["film"] = {"kind": "film", "title": "Film", "reel": 3}
    text = Page(render(document)).text
    assert '"reel": 3' in text and "Odd" in text


def test_it_is_small(source: str) -> None:
    assert len(source.encode()) < 250_000


def test_an_amendment_from_before_changes_were_named_is_shown() -> None:
    document = sample()
    amended = {"date": "2026-01-01", "reason": "an edge was mistyped", "measured_before": False}
    document["results"][0]["trust"] = {"audit": None, "robust": None, "amendments": [amended]}
    assert "an edge was mistyped" in Page(render(document)).text
