"""The pytest plugin: claims become test items, verdicts become outcomes, and a session becomes a report.

Registered as a `pytest11` entry point under this module's own name, so an in-repo conftest does not register it twice.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .claim import Claim
from .errors import ClaimbenchError, LoadError, StoreError
from .running.options import DEFAULT_FAIL_ON, Options, check_models, checked

_OPTIONS = (
    ("--base-model", "base_model", "PATH", "the model that --model was derived from, for claims about pairs"),
    ("--report", "report", "DIR", "write report.html, results.json and summary.md there"),
    ("--store", "store", "PATH", "where measurements are kept (default: $CLAIMBENCH_STORE or .claimbench/store)"),
    ("--profile", "profile", "NAME", "how much is spent: smoke, standard or full (default: standard)"),
    ("--seed", "seed", "N", "root of all random streams; draws which seed is retrained (default: 0)"),
    ("--device", "device", "NAME", "cpu, cuda, cuda:N or mps (default: cpu)"),
    ("--dtype", "dtype", "NAME", "float32, bfloat16, float16, float64 or auto (default: float32)"),
    ("--fail-on", "fail_on", "LIST", f"verdicts that fail the run (default: {DEFAULT_FAIL_ON})"),
)
_KEY = pytest.StashKey["Bench"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("claimbench", "claimbench: findings as executable claims")
    group.addoption(
        "--model",
        action="append",
        dest="claimbench_model",
        metavar="PATH_OR_NAME",
        help="run the claims on this Hugging Face causal language model in place of the shipped subjects; repeatable",
    )
    for flag, name, metavar, text in _OPTIONS:
        group.addoption(flag, dest=f"claimbench_{name}", metavar=metavar, default=None, help=text)
        parser.addini(f"claimbench_{name}", text, default=None)
    parser.addini("claimbench_model", "models to run the claims on, one a line", type="linelist", default=[])
    parser.addini("claimbench_organisms", "folders of organism files", type="paths", default=[])
    group.addoption(
        "--with-controls", action="store_true", dest="claimbench_with_controls", help="also run every control of a claim"
    )
    parser.addini("claimbench_with_controls", "also run every control of a claim", type="bool", default=False)
    group.addoption("--default-claims", dest="claimbench_default_claims", metavar="PATH", help=argparse.SUPPRESS)
    group.addoption(
        "--judge-only",
        action="store_true",
        dest="claimbench_judge_only",
        help="measure nothing: judge what the store holds and name what is missing",
    )
    group.addoption(
        "--plan",
        action="store_true",
        dest="claimbench_plan",
        help="show runs, forward passes, time and memory, and what is reused; measure nothing",
    )


def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> None:
    """Where no file is named, `claimbench run` names the claims; pytest knows best which of its words are files."""
    asked = early_config.known_args_namespace
    if asked.claimbench_default_claims and not asked.file_or_dir:
        args.append(asked.claimbench_default_claims)
        asked.file_or_dir = [asked.claimbench_default_claims]


def options_of(config: pytest.Config) -> Options:
    """Checked options from the command line, else from the ini file."""

    def asked(name: str) -> Any:
        given = config.getoption(f"claimbench_{name}")
        if given not in (None, []):
            return given
        found = config.getini(f"claimbench_{name}")
        if found and name in ("report", "store") and config.inipath is not None:
            return config.inipath.parent / found  # a path in a file is relative to that file
        return found

    values = {name: asked(name) for _, name, _, _ in _OPTIONS}
    return checked(
        models=asked("model") or (),
        with_controls=bool(config.getoption("claimbench_with_controls") or config.getini("claimbench_with_controls")),
        **{name: value for name, value in values.items() if value not in (None, "")},
    )


class Bench:
    """What the plugin keeps for one pytest session."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.options = options_of(config)
        self.received: list[dict[str, Any]] = []
        self.collected: dict[str, ClaimItem] = {}
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
            from .running.session import Session

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
        """Subjects named by --model."""
        if self._models is None:
            from .running.item import model_subject

            self._models = []
            for path in self.options.models:
                self._models.append(model_subject(path, [subject.name for subject in self._models]))
        return list(self._models)

    def load_organisms(self) -> None:
        """Register the shipped organisms and those of the user's own folders."""
        if self._organisms_loaded:
            return
        self._organisms_loaded = True
        from .running.collecting import load_all_organisms

        load_all_organisms(self.organism_folders(), Path(self.config.rootpath))

    def organism_folders(self) -> list[Path]:
        """Folders of the ini file, and those of where pytest was called, which need not be its root."""
        from .running.collecting import OWN_ORGANISMS

        here = Path(self.config.invocation_params.dir)
        return [*map(Path, self.config.getini("claimbench_organisms")), *(here / name for name in OWN_ORGANISMS)]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the result out of a report; with xdist the controller receives those of its workers here."""
        result = getattr(report, "claimbench", None)
        if result is not None:
            self.received.append(result)
        elif not getattr(report, "claimbench_unmeasured", False):
            self.finished.add(_plain_id(report.nodeid))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        """Under xdist only the workers collect; their node ids tell what may be missing in the end."""
        self.announced = [_plain_id(name) for name in ids]

    def missing(self) -> list[str]:
        """Ids of items that were collected and have no result."""
        done = {result["item"] for result in self.received} | self.finished
        return [name for name in self.collected or self.announced if name not in done]


def bench_of(config: pytest.Config) -> Bench:
    """What the plugin keeps for a session."""
    return config.stash[_KEY]


def _plain_id(nodeid: str) -> str:
    """A node id without the group that xdist's `--dist loadgroup` appends."""
    return re.sub(r"\]@[^\]]*$", "]", nodeid)


#: Marks that items carry, for `-m`: what they run on, and which of them are controls.
_MARKS = {
    "organism": "runs on a family of small networks",
    "model": "runs on one given model",
    "control": "a control of a claim, of any kind",
    "positive": "a control that must come out SUPPORTED",
    "negative": "a control that must come out REFUTED",
    "guard": "a control that must come out NOT_APPLICABLE",
    "xdist_group": "items of one subject stay on one worker under --dist loadgroup",
}


def pytest_configure(config: pytest.Config) -> None:
    for name, text in _MARKS.items():
        config.addinivalue_line("markers", f"{name}: {text}")
    if config.getoption("claimbench_plan") and hasattr(config.option, "dist"):
        config.option.dist = "no"  # a plan is one table, made where the items are, without xdist's workers
    try:
        bench = config.stash[_KEY] = Bench(config)
    except ClaimbenchError as error:
        raise pytest.UsageError(str(error)) from None
    config.pluginmanager.register(bench, "claimbench bench")


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: Any, name: str, obj: object) -> list[ClaimItem] | None:
    if isinstance(obj, pytest.MarkDecorator) and any(isinstance(given, Claim) for given in obj.args):
        raise collector.CollectError(f"claim {name}: write @pytest.mark.{obj.name} below @claim, next to the function")
    if not isinstance(obj, Claim) or obj.function.__module__ != collector.obj.__name__:
        return None
    from .running.collecting import check_names, claim_id
    from .running.item import items_of

    bench = collector.config.stash[_KEY]
    bench.load_organisms()
    identity = claim_id(obj, Path(collector.config.rootpath))
    try:
        check_names(collector.obj)
        _check_finding(bench, obj, identity)
        items = list(items_of(obj, identity, models=bench.models, with_controls=bench.options.with_controls))
    except ClaimbenchError as error:
        raise collector.CollectError(str(error)) from None
    bench.claims[identity] = obj
    return [
        ClaimItem.from_parent(collector, name=f"{name}[{item.label}]", nodeid=f"{collector.nodeid}::{name}[{item.label}]", item=item)
        for item in items
    ]


def _check_finding(bench: Bench, claim: Claim, identity: str) -> None:
    from .errors import DeclarationError
    from .paper import card_beside, find_finding

    paper = card_beside(Path(claim.file))
    if paper is None:
        raise DeclarationError(f"{claim.file}: no paper.toml beside it or above: a claim needs its paper's card")
    try:
        find_finding({paper.slug: paper}, claim.finding)
    except ClaimbenchError as error:
        raise DeclarationError(f"claim {claim.name}: {error} (card: {paper.folder / 'paper.toml'})") from None


class ClaimItem(pytest.Item):
    """One claim on one subject, or one control of it."""

    def __init__(self, *, item: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.claim_item = item
        self.own_markers.extend(getattr(item.claim.function, "pytestmark", []))  # marks below @claim
        self.extra_keyword_matches.add(item.claim.finding)
        self.add_marker(pytest.mark.xdist_group(item.subject.name))
        self.add_marker("organism" if item.subject.seeded else "model")
        if item.control is not None:
            self.add_marker("control")
            self.add_marker(item.control.kind)
        self.result: dict[str, Any] | None = None

    def runtest(self) -> None:
        bench = self.config.stash[_KEY]
        try:
            if self.config.getoption("claimbench_judge_only"):
                standing, replicates = bench.session.replay(self.claim_item)
                if standing.wants > len(replicates):
                    pytest.skip(f"not measured yet: {len(replicates)} of {standing.wants} replicates are in the store")
                self.result = bench.session.result(self.claim_item, standing, replicates)
                return
            for seed in bench.session.recorded.seeds(self.claim_item.subject):
                bench.session.recorded.retrain(self.claim_item.subject, seed)
            self.result = bench.session.run(self.claim_item)
        except (StoreError, LoadError) as error:
            # No later item can do better; what is measured stays measured, and the report says what is missing.
            if hasattr(self.config, "workerinput"):  # xdist takes an exiting worker for a crashed one
                self.session.shouldstop = str(error)
                pytest.fail(str(error), pytrace=False)
            pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)
        except ClaimbenchError as error:
            pytest.fail(str(error), pytrace=False)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, self.claim_item.claim.function.__code__.co_firstlineno - 1, self.name


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """A mistake in a declaration is one line with its place, not a traceback."""
    report: pytest.CollectReport = yield  # type: ignore[assignment, misc]
    call = getattr(report, "call", None)
    error = call.excinfo.value if call is not None and call.excinfo is not None else None
    if isinstance(error, ClaimbenchError) and report.outcome == "failed":
        from .running.collecting import place

        at = place(error)
        report.longrepr = f"{at}: {error}" if at else str(error)
    return report  # type: ignore[return-value]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    from .running.collecting import check_unique

    found = [item for item in items if isinstance(item, ClaimItem)]
    try:
        check_unique(item.claim_item.id for item in found)
    except ClaimbenchError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_collection_finish(session: pytest.Session) -> None:
    bench = session.config.stash[_KEY]
    bench.collected = {item.claim_item.id: item for item in session.items if isinstance(item, ClaimItem)}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report: pytest.TestReport = yield  # type: ignore[assignment, misc]
    if not isinstance(item, ClaimItem):
        return report  # type: ignore[return-value]
    if call.when != "call" or item.result is None:
        report.claimbench_unmeasured = True  # type: ignore[attr-defined]
        return report  # type: ignore[return-value]
    from .reporting import one_line
    from .running.outcome import outcome, word

    options = item.config.stash[_KEY].options
    report.claimbench = item.result  # type: ignore[attr-defined]  # plain JSON: travels between xdist workers
    report.outcome = outcome(item.result, options.fail_on, options.profile.name)  # type: ignore[assignment]
    text = f"{word(item.result)}: {item.result['reason']}"
    if report.outcome == "skipped":
        report.longrepr = (str(item.path), item.claim_item.claim.function.__code__.co_firstlineno, text)
    elif report.outcome == "failed":
        report.longrepr = one_line(item.result)
    return report  # type: ignore[return-value]


def pytest_report_teststatus(report: Any, config: pytest.Config) -> tuple[str, str, str] | None:
    result = getattr(report, "claimbench", None)
    if result is None or report.when != "call":
        return None
    if report.outcome == "skipped" and config.stash[_KEY].summing_up:
        return None  # pytest heads all lines of skipped items with the first one's word; each line tells its verdict
    from .running.outcome import letter, word

    return report.outcome, letter(result), word(result)


def pytest_sessionstart(session: pytest.Session) -> None:
    if session.config.option.collectonly or session.config.getoption("claimbench_plan"):
        return
    bench = session.config.stash[_KEY]
    if not hasattr(session.config, "workerinput"):
        try:
            check_models(bench.options)
        except ClaimbenchError as error:
            raise pytest.UsageError(str(error)) from None


def pytest_runtestloop(session: pytest.Session) -> bool | None:
    if not session.config.getoption("claimbench_plan") or session.testsfailed:
        return None
    from .running.plan import plan_table

    bench = session.config.stash[_KEY]
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    try:
        text = plan_table([item.claim_item for item in bench.collected.values()], bench.session)
    except ClaimbenchError as error:
        raise pytest.UsageError(str(error)) from None
    reporter.ensure_newline()
    reporter.write_line(text)
    return True


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    bench = session.config.stash[_KEY]
    if hasattr(session.config, "workerinput") or bench.options.report is None:
        return
    if not (bench.received or bench.collected or bench.announced):
        return
    if session.config.option.collectonly or session.config.getoption("claimbench_plan"):
        return
    from .reporting import write_report

    try:
        bench.written = write_report(_document(session.config), bench.options.report)
    except (ClaimbenchError, OSError) as error:
        bench.trouble = f"the report could not be written: {error}"
        session.exitstatus = pytest.ExitCode.USAGE_ERROR


def _document(config: pytest.Config) -> dict[str, Any]:
    from .paper import card_beside
    from .running.document import document

    bench = config.stash[_KEY]
    from .running.collecting import claims_in_results

    claims = bench.claims or claims_in_results(bench.received, Path(config.rootpath))
    papers = {}
    for claim in claims.values():
        paper = card_beside(Path(claim.file))
        if paper is not None:
            papers[paper.slug] = paper
    words = [str(word) for word in config.invocation_params.args if not str(word).startswith("--default-claims")]
    return document(
        list(bench.received),
        claims=claims,
        papers=papers.values(),
        options=bench.options,
        command=shlex.join(["pytest", *words]),
        missing=bench.missing(),
    )


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    bench = config.stash[_KEY]
    bench.summing_up = True
    if bench.trouble:
        terminalreporter.write_line(f"ERROR: {bench.trouble}", red=True)
    if not bench.received or hasattr(config, "workerinput"):
        return
    from .reporting import terminal_table

    terminalreporter.section("verdicts", sep="=")
    terminalreporter.write_line(terminal_table(_document(config)))
    for kind, path in bench.written.items():
        terminalreporter.write_line(f"{kind}: {path}")
    if bench.written and config.option.xmlpath:
        terminalreporter.write_line(f"junit: {config.option.xmlpath}")


def main(arguments: list[str] | None = None) -> int:
    """Run pytest with this plugin, as `claimbench run` does."""
    return int(pytest.main(arguments if arguments is not None else sys.argv[1:]))
