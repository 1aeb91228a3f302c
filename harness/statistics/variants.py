"""Binding variants: a reasonable other choice must not point the other way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..verdict import Verdict
from .summary import EffectSummary, Judgement


def agrees(main: Judgement, variant: Judgement) -> bool:
    """Whether no effect of the variant has the opposite sign of the main one.

    For a region around zero (a null) and for a rate a sign says nothing: there the variant disagrees where its interval
    is outside the region.
    """
    others = {effect.name: effect for effect in variant.effects}
    return all(_effect_agrees(effect, others[effect.name]) for effect in main.effects if effect.name in others)


def _effect_agrees(main: EffectSummary, other: EffectSummary) -> bool:
    region = main.region
    if region.of == "rate" or region.low < 0 < region.high or region.scale != "linear":
        return not region.disjoint(other.low, other.high)
    if main.estimate is None or other.estimate is None:
        return True
    return main.estimate * other.estimate >= 0


def bind(main: Judgement, variants: Mapping[str, Judgement]) -> Judgement:
    """`main`, made INCONCLUSIVE where it is SUPPORTED and a binding variant has the opposite sign."""
    against = [name for name, variant in variants.items() if not agrees(main, variant)]
    if main.verdict is not Verdict.SUPPORTED or not against:
        return main
    return replace(
        main,
        verdict=Verdict.INCONCLUSIVE,
        reason=f"{main.reason}; but the binding variant {', '.join(against)} has the opposite sign",
    )
