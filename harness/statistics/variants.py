"""Binding variants: a reasonable other choice must not point the other way."""

from __future__ import annotations

from .summary import EffectSummary, Judgement


def agrees(main: Judgement, variant: Judgement) -> bool:
    """Whether no effect of the variant has the opposite sign of the main one (effects are matched by name).

    Where zero lies inside the region (a null, an upper bound), and for rates and ratios, a sign says nothing: there the
    variant disagrees when its interval is outside the region.
    """
    others = {effect.name: effect for effect in variant.effects}
    return all(_agrees(effect, others[effect.name]) for effect in main.effects if effect.name in others)


def _agrees(main: EffectSummary, other: EffectSummary) -> bool:
    region = main.region
    if region.of == "rate" or region.scale != "linear" or region.low < 0 < region.high:
        return not region.disjoint(other.low, other.high)
    if main.estimate is None or other.estimate is None:
        return True
    return main.estimate * other.estimate >= 0
