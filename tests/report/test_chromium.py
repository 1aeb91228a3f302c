"""The page in a real browser, where there is one: it fits every width, its script runs, it loads nothing, it prints."""

from __future__ import annotations

import html as escaping
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from claimbench.reporting import html
from claimbench.reporting.results import complete
from sample import hostile, sample

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]  # fmt: skip
WIDTHS = (320, 360, 768, 1440)
pytestmark = [pytest.mark.skipif(BROWSER is None, reason="no Chromium here"), pytest.mark.slow]

MEASURE = """
const out = [];
for (const frame of document.querySelectorAll("iframe")) {
  const page = frame.contentDocument, view = frame.contentWindow, root = page.documentElement;
  const box = (node) => node.getBoundingClientRect();
  const form = page.querySelector(".tools");
  const rows = () => [...page.querySelectorAll(".claim-row")].filter((row) => row.offsetParent !== null).length;
  const all = rows();
  form.elements.verdict.value = "ERROR";
  form.dispatchEvent(new Event("input"));
  const failed = rows();
  form.elements.verdict.value = "";
  form.elements.order.value = "verdict";
  form.dispatchEvent(new Event("input"));
  const first = page.querySelector(".claim-row").dataset.name, sorted = rows();
  form.elements.order.value = "";
  form.dispatchEvent(new Event("input"));
  for (const details of page.querySelectorAll("details")) details.open = true;
  out.push({
    width: frame.clientWidth, content: root.scrollWidth, tools: box(form).height > 0, all, failed, first, sorted,
    restored: rows(), loaded: view.performance.getEntriesByType("resource").length,
    dark: view.getComputedStyle(page.body).backgroundColor,
    thin: [...page.querySelectorAll(".forest svg.plot")].filter((plot) => box(plot).width < 90).length,
    empty: [...page.querySelectorAll("h1,h2,h3,h4,h5")].filter((node) => box(node).height < 8).length,
    small: [...page.querySelectorAll("p,li,dd,td")].map((node) => parseFloat(view.getComputedStyle(node).fontSize))
      .filter((size) => size < 11).length,
  });
}
document.body.textContent = "MEASURED" + JSON.stringify(out) + "END";
"""


def browse(tmp_path: Path, *arguments: str) -> str:
    command = [str(BROWSER), *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout


def measure(tmp_path: Path, document: dict[str, Any], scheme: int) -> list[dict[str, Any]]:
    """The page in a frame of each width, measured from the page around it (`scheme` 0 is dark, 1 is light)."""
    inside = escaping.escape(html.page(complete(document)))
    frames = "".join(f'<iframe width="{width}" height="900" srcdoc="{inside}"></iframe>' for width in WIDTHS)
    around = tmp_path / "around.html"
    script = f"addEventListener('load', () => {{ {MEASURE} }});"
    around.write_text(f"<!doctype html><meta charset=utf-8><body>{frames}<script>{script}</script>", encoding="utf-8")
    settings = f"--blink-settings=preferredColorScheme={scheme}"
    found = re.search(r"MEASURED(.*)END", browse(tmp_path, settings, "--dump-dom", around.as_uri()), re.S)
    assert found, "the browser did not load the page"
    return list(json.loads(escaping.unescape(found[1])))


@pytest.mark.parametrize(("document", "scheme"), [(sample, 1), (hostile, 0)])
def test_it_fits_every_width_and_its_script_works(tmp_path: Path, document: Any, scheme: int) -> None:
    measured = measure(tmp_path, document(), scheme)
    assert [one["width"] for one in measured] == list(WIDTHS)
    for one in measured:
        assert one["content"] <= one["width"], "the page scrolls sideways"
        assert one["tools"], "the script did not run: filters stay hidden"
        assert (one["all"], one["failed"], one["sorted"], one["restored"]) == (8, 1, 8, 8)
        assert one["loaded"] == 0
        assert one["thin"] == one["empty"] == one["small"] == 0
    assert {one["dark"] for one in measured} == {"rgb(246, 246, 243)" if scheme else "rgb(18, 21, 24)"}


def test_it_prints(tmp_path: Path) -> None:
    source, printed = tmp_path / "report.html", tmp_path / "report.pdf"
    source.write_text(html.page(complete(sample())), encoding="utf-8")
    browse(tmp_path, "--no-pdf-header-footer", f"--print-to-pdf={printed}", source.as_uri())
    assert printed.read_bytes().startswith(b"%PDF")
    assert printed.stat().st_size > 50_000
