"""The pytest plugin: claims become test items, verdicts become outcomes, and a session becomes a report.

Registered as a `pytest11` entry point under this module's own name, so an in-repo conftest does not register it twice.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .claim import Claim
from .errors import ClaimbenchError, LoadError, StoreError, UsageError
from .running.bench import Bench
from .running.options import check_models
from .running.pytest_options import MARKS, add_options

_KEY = pytest.StashKey[Bench]()


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> None:
    """Where no file is named, `claimbench run` names the claims; pytest knows best which of its words are files."""
    asked = early_config.known_args_namespace
    if asked.claimbench_default_claims and not asked.file_or_dir:
        args.append(asked.claimbench_default_claims)
        asked.file_or_dir = [asked.claimbench_default_claims]


def bench_of(config: pytest.Config) -> Bench:
    """What the plugin keeps for a session."""
    return config.stash[_KEY]


def pytest_configure(config: pytest.Config) -> None:
    for name, text in MARKS.items():
        config.addinivalue_line("markers", f"{name}: {text}")
    if config.getoption("claimbench_plan") and hasattr(config.option, "dist"):
        config.option.dist = "no"  # a plan is one table, made where the items are, without xdist's workers
    try:
        bench = config.stash[_KEY] = Bench(config)
        if bench.options.budget is not None and getattr(config.option, "dist", "no") != "no":
            raise UsageError("--budget needs all items in one process: use `claimbench run --jobs N` in place of -n N")
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
    from .running.item import items_of, with_yours

    bench = collector.config.stash[_KEY]
    bench.load_organisms()
    identity = claim_id(obj, Path(collector.config.rootpath))
    try:
        check_names(collector.obj)
        _check_finding(bench, obj, identity)
        if (yours := bench.yours) is not None:
            item = with_yours(obj, identity, yours)
            items = [] if item is None else [item]
        else:
            items = list(items_of(obj, identity, models=bench.models, with_controls=bench.options.with_controls))
    except ClaimbenchError as error:
        raise collector.CollectError(str(error)) from None
    bench.claims[identity] = obj
    return [
        ClaimItem.from_parent(
            collector, name=f"{name}[{item.label}]", nodeid=f"{collector.nodeid}::{name}[{item.label}]", item=item
        )
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
    report: pytest.CollectReport = yield  # type: ignore[assignment]
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
    if (yours := config.stash[_KEY].yours) is not None and not found:
        raise pytest.UsageError(f"--recipe {yours.name}: none of these claims has a place for a user's own {yours.kind}")
    try:
        check_unique(item.claim_item.id for item in found)
    except ClaimbenchError as error:
        raise pytest.UsageError(str(error)) from None
    held_alone = [subject for subject in config.stash[_KEY].models if subject.series is not None]
    place = {subject: number for number, subject in enumerate(held_alone)}
    # Items on a step of a series, or on a model of a file, come one after the other, behind all others: only one is in memory.
    items.sort(key=lambda item: place.get(item.claim_item.subject, -1) if isinstance(item, ClaimItem) else -1)


def pytest_collection_finish(session: pytest.Session) -> None:
    bench = session.config.stash[_KEY]
    bench.collected = {item.claim_item.id: item for item in session.items if isinstance(item, ClaimItem)}
    if bench.options.baseline is not None and bench.collected and not hasattr(session.config, "workerinput"):
        try:
            bench.options.baseline.check(item.claim_item for item in bench.collected.values())
        except ClaimbenchError as error:
            raise pytest.UsageError(str(error)) from None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report: pytest.TestReport = yield  # type: ignore[assignment]
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
    then = options.baseline.regressed(item.result) if options.baseline and "regression" in options.fail_on else None
    regressed = f"; a regression: {then['verdict'].replace('_', ' ')} in the baseline" if then else ""
    report.outcome = "failed" if then else report.outcome
    text = f"{word(item.result)}: {item.result['reason']}"
    if report.outcome == "skipped":
        report.longrepr = (str(item.path), item.claim_item.claim.function.__code__.co_firstlineno, text)
    elif report.outcome == "failed":
        report.longrepr = one_line(item.result) + regressed
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
    asked, bench = session.config.option, session.config.stash[_KEY]
    planned = asked.claimbench_plan
    budgeted = bench.options.budget is not None and not asked.claimbench_judge_only and not asked.collectonly
    if session.testsfailed or not (planned or budgeted):
        return None
    from .running.plan import check_budget, plan_table

    items = [item.claim_item for item in bench.collected.values()]
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    try:
        if planned and reporter is not None:
            reporter.ensure_newline()
            reporter.write_line(plan_table(items, bench.session))
        check_budget(items, bench.session)
    except ClaimbenchError as error:
        raise pytest.UsageError(str(error)) from None
    return True if planned else None


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
    from .running.trends import attach_history

    document = _document(session.config)
    try:
        attach_history(document["results"], bench.session.history)
        bench.written = write_report(document, bench.options.report, comparison=bench.compared(document))
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
    document = _document(config)
    terminalreporter.write_line(terminal_table(document, terminalreporter._tw.fullwidth))
    if (comparison := bench.compared(document)) is not None:
        from .comparing import table

        terminalreporter.section("compared with the baseline", sep="=")
        terminalreporter.write_line(table(comparison, terminalreporter._tw.fullwidth))
    for kind, path in bench.written.items():
        terminalreporter.write_line(f"{kind}: {path}")
    if bench.written and config.option.xmlpath:
        terminalreporter.write_line(f"junit: {config.option.xmlpath}")


def main(arguments: list[str] | None = None) -> int:
    """Run pytest with this plugin, as `claimbench run` does."""
    return int(pytest.main(arguments if arguments is not None else sys.argv[1:]))
