"""A section of a model card: YAML as the Hugging Face Hub reads it, and Markdown as people do.

The `model-index` of a README needs no data set of the Hub. Files in `.eval_results/` name one, the benchmark's; whoever
publishes there has it, so its id is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import UsageError
from ..reporting import view, words
from ..reporting.markdown import escape
from .selection import select

_TASK = "text-generation"


def model_card(document: Mapping[str, Any]) -> str:
    """Front matter with a `model-index`, then a section of Markdown, of the one model that a completed document has.

    Raises:
        UsageError: no given model, or several.
    """
    import yaml
    from huggingface_hub import EvalResult
    from huggingface_hub.repocard_data import eval_results_to_model_index

    name, report = _one_model(document)
    entries = [
        EvalResult(
            task_type=_TASK,
            dataset_type=f"claimbench/{claim.finding.partition('/')[0]}",
            dataset_name=str(paper.paper["title"]),
            dataset_config=claim.finding.partition("/")[2],
            metric_type=str(effect["unit"]),
            metric_name=_metric(claim, result, effect),
            metric_value=effect["estimate"],
        )
        for paper in report.papers
        for claim in paper.claims
        for result in claim.results
        for effect in result["effects"]
        if effect["estimate"] is not None
    ]
    front = yaml.safe_dump(
        {"model-index": eval_results_to_model_index(name, entries)}, sort_keys=False, allow_unicode=True, width=120
    )
    return f"---\n{front if entries else ''}---\n\n{section(document)}"


def section(document: Mapping[str, Any]) -> str:
    """Markdown for the card of the one model that a completed document has."""
    _, report = _one_model(document)
    counts = ", ".join(f"{n} {verdict.replace('_', ' ')}" for verdict, n in report.counts.items())
    lines = ["## Findings about this model", "", ""]
    lines[-1] = f"Tested by claimbench {escape(document['claimbench'])}: {counts} on {words.count(len(report.claims), 'claim')}."
    lines.append(f"Profile {escape(document['profile'])}, seed {document['seed']}, {str(document['created'])[:10]}.")
    lines += ["", "| finding | verdict | measured | holds | n |", "| --- | --- | --- | --- | --- |"]
    for claim in report.claims:
        for result in claim.results:
            unsound = " (**unsound**)" if claim.sound is False else ""
            told = "; ".join(words.measured(effect) for effect in result["effects"] if effect["estimate"] is not None)
            holds = "; ".join(str(effect["region"].get("text", "")) for effect in result["effects"])
            cells = [f"{escape(claim.title)} (`{escape(claim.finding)}`)", f"{words.label(result)}{unsound}"]
            cells += [escape(told or result["reason"]), escape(holds), str(result["n"] or "")]
            lines.append("| " + " | ".join(cells) + " |")
    digest = next((r["subject_digest"] for r in report.results if r["subject_digest"]), None)
    lines += ["", "Only SUPPORTED and REFUTED are evidence; NOT APPLICABLE says that the model lacks what the finding is about."]
    lines += [f"Weights: `{digest}`."] if digest else []
    return "\n".join(lines) + "\n"


def eval_results(document: Mapping[str, Any], dataset: str) -> str:
    """A file for `.eval_results/` of the model's repository: one entry for each judged effect.

    Args:
        dataset: id of the benchmark's data set on the Hub, `user/name`.

    Raises:
        UsageError: no given model, several, or an id of another form.
    """
    import yaml
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    if dataset.count("/") != 1 or not all(dataset.split("/")):
        raise UsageError(f"--dataset {dataset!r} is no id of a data set on the Hub: write USER/NAME")
    _, report = _one_model(document)
    entries = [
        EvalResultEntry(
            dataset_id=dataset,
            task_id=claim.finding if effect["name"] == "effect" else f"{claim.finding}/{effect['name']}",
            value=effect["estimate"],
            date=document["created"],
            notes=f"{_metric(claim, result, effect)}; {words.measured(effect)}; n = {result['n']}; {document['profile']}",
        )
        for claim in report.claims
        for result in claim.results
        for effect in result["effects"]
        if effect["estimate"] is not None
    ]
    if not entries:
        raise UsageError("nothing was measured on this model: there is no value for .eval_results")
    return str(yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False, allow_unicode=True, width=120))


def _one_model(document: Mapping[str, Any]) -> tuple[str, view.Report]:
    models = list(dict.fromkeys(r["subject"] for r in document["results"] if r["subject_kind"] == "model" and not r["control"]))
    if len(models) != 1:
        found = (
            f"{len(models)}: {', '.join(models[:3])}{' ...' if len(models) > 3 else ''}; choose one with --subject"
            if models
            else "none"
        )
        raise UsageError(f"a model card is of one given model, and the results have {found}")
    return models[0], view.arrange(select(document, subjects=models))


def _metric(claim: view.ClaimView, result: view.Result, effect: Mapping[str, Any]) -> str:
    name = claim.title if effect["name"] == "effect" else f"{claim.title}, {effect['name']}"
    return f"{name}: {words.label(result)} (holds {effect['region'].get('text', '')})"
