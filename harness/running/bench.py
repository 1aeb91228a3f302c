"""What the plugin keeps for one pytest session: options, subjects, collected items, results as they come in."""

from __future__ import annotations

import contextlib
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ..claim import Claim
from .pytest_options import options_of


class Bench:
    """What the plugin keeps for one pytest session."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.options = options_of(config)
        self.received: list[dict[str, Any]] = []
        self.collected: dict[str, Any] = {}
        self.announced: list[str] = []
        self.finished: set[str] = set()
        self.claims: dict[str, Claim] = {}
        self.written: dict[str, Path] = {}
        self.trouble = ""
        self.summing_up = False
        self._session: Any = None
        self._models: Any = None
        self._organisms_loaded = False

    @property
    def session(self) -> Any:
        """The measuring session, opened when the first item runs."""
        if self._session is None:
            from .session import Session

            self._session = Session(self.options)
            self._session.store.say = self.say
        return self._session

    def say(self, text: str) -> None:
        """Show a line at once, past pytest's capturing."""
        manager = self.config.pluginmanager.getplugin("capturemanager")
        with manager.global_and_fixture_disabled() if manager else contextlib.nullcontext():
            print(f"\n{text}", file=sys.stderr, flush=True)

    @property
    def models(self) -> list[Any]:
        """Subjects named by --checkpoints, --models and --model."""
        if self._models is None:
            from .item import free_name, model_subject

            self._models = self.options.series.subjects if self.options.series else []
            taken = {subject.name for subject in self._models}
            for listed in self.options.listed.subjects if self.options.listed else ():
                self._models.append(replace(listed, name=free_name(listed.name, taken)))
                taken.add(self._models[-1].name)
            for path in self.options.models:
                self._models.append(model_subject(path, taken))
                taken.add(self._models[-1].name)
        return list(self._models)

    def compared(self, document: dict[str, Any]) -> dict[str, Any] | None:
        """The comparison of this run with the baseline; None without one, or where nothing came out."""
        if self.options.baseline is None or not document["results"]:
            return None
        from ..reporting.results import complete

        return self.options.baseline.against(complete(document))

    @property
    def yours(self) -> Any:
        """The user's own part of --recipe, None without it."""
        from .user_recipe import user_recipe

        return None if self.options.recipe is None else user_recipe(self.options.recipe)

    def load_organisms(self) -> None:
        """Register the shipped organisms and those of the user's own folders."""
        if self._organisms_loaded:
            return
        self._organisms_loaded = True
        from .collecting import load_all_organisms

        load_all_organisms(self.organism_folders(), Path(self.config.rootpath))

    def organism_folders(self) -> list[Path]:
        """Folders of the ini file, and those of where pytest was called, which need not be its root."""
        from .collecting import OWN_ORGANISMS

        here = Path(self.config.invocation_params.dir)
        return [*map(Path, self.config.getini("claimbench_organisms")), *(here / name for name in OWN_ORGANISMS)]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the result out of a report; with xdist the controller receives those of its workers here."""
        result = getattr(report, "claimbench", None)
        if result is not None:
            self.received.append(result)
        elif not getattr(report, "claimbench_unmeasured", False):
            self.finished.add(plain_id(report.nodeid))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        """Under xdist only the workers collect; their node ids tell what may be missing in the end."""
        self.announced = [plain_id(name) for name in ids]

    def missing(self) -> list[str]:
        """Ids of items that were collected and have no result."""
        done = {result["item"] for result in self.received} | self.finished
        return [name for name in self.collected or self.announced if name not in done]


def plain_id(nodeid: str) -> str:
    """A node id without the group that xdist's `--dist loadgroup` appends."""
    return re.sub(r"\]@[^\]]*$", "]", nodeid)
