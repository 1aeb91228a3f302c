"""Purity: the same replicates in a fresh process, and in another order, without anything stored."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import ClaimbenchError
from .executor import Order
from .item import Item
from .measure import differs
from .options import Options
from .store import Store
from .workers import follow_parent

ORDERS = ((0, 1, 2), (2, 0, 1))


def impurity(item: Item, options: Options, root: Path, seconds: float | None = None) -> str | None:
    """What differs between two fresh processes that measure replicates in different orders; None where nothing does.

    Raises:
        TimeoutError: they take longer than `seconds`; both are ended.
    """
    first, second = _apart(item, options, root, seconds)
    for index in ORDERS[0]:
        one, other = first[index], second[index]
        if one.get("problem") != other.get("problem"):
            return f"replicate {index} came out otherwise in another process: {_said(one)}, and {_said(other)}"
        if name := differs(one.get("effects", {}), other.get("effects", {})):
            return f"replicate {index} gave another value of {name!r} in another process and order"
    return None


def _said(body: dict[str, Any]) -> str:
    problem = body.get("problem")
    return f"{problem['verdict']} ({problem['reason']})" if problem else "an effect"


def _apart(item: Item, options: Options, root: Path, seconds: float | None) -> list[dict[int, dict[str, Any]]]:
    """What each order gives, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    others = multiprocessing.active_children()
    pools = [ProcessPoolExecutor(1, mp_context=context, initializer=follow_parent) for _ in ORDERS]
    try:
        futures = [pool.submit(_measured, Order.of(item), options, root, o) for pool, o in zip(pools, ORDERS, strict=True)]
        if wait(futures, seconds).not_done:
            for process in multiprocessing.active_children():
                if process not in others:
                    process.terminate()
            raise TimeoutError
        return [future.result() for future in futures]
    except BrokenProcessPool:
        raise ClaimbenchError("a measuring process died (killed, or out of memory): run again") from None
    finally:
        for pool in pools:
            pool.shutdown(wait=False, cancel_futures=True)


def _measured(order: Order, options: Options, root: Path, indices: Sequence[int]) -> dict[int, dict[str, Any]]:
    from .collecting import load_all_organisms
    from .runs import Runs
    from .session import Session

    load_all_organisms([], root)
    item = order.item()
    item = replace(item, claim=replace(item.claim, variants=(), shows=()))  # only effects are compared
    with tempfile.TemporaryDirectory() as folder:
        session = Session(replace(options, store=Path(folder)))
        session.measurer.runs = Runs(Store(options.store))  # trained arms are not what is in question
        found = {}
        for index in indices:
            replicate = session.measurer.replicate(item, index)
            assert replicate is not None
            body = replicate.parts.get("effect:") or next(iter(replicate.parts.values()))
            found[index] = {name: body.get(name) for name in ("effects", "problem") if body.get(name) is not None}
    return found
