"""ADOPT (arXiv 2411.02853): Adam whose second moment is one step old and normalises the gradient before momentum."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from .optimisers import optimiser
from .recipe import Recipe

if TYPE_CHECKING:
    import torch
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")


@optimiser("adopt", elementwise=True)
def adopt(parameters: list[Any], recipe: Recipe, eps: float = 1e-6, clip_power: float | None = 0.25) -> Any:
    """ADOPT with decoupled weight decay.

    The first step only sets v_0 = g_0^2. Step t >= 1: m_t = b1 m + (1 - b1) clip(g_t / max(sqrt(v_{t-1}), eps)), the weight
    falls by lr m_t, then v_t = b2 v + (1 - b2) g_t^2. The clip is to t^clip_power on both sides (None: no clip, the paper's
    Algorithm 1; 1/4: its Algorithm 2).
    """
    options = {"betas": recipe.betas, "weight_decay": recipe.weight_decay, "eps": eps, "clip_power": clip_power}
    return _class()(parameters, {"lr": recipe.lr, **options})


@cache
def _class() -> Any:
    class Adopt(torch.optim.Optimizer):  # made at first use: torch is not imported before
        def step(self, closure: Any = None) -> None:  # type: ignore[override]
            with torch.no_grad():
                for group in self.param_groups:
                    for parameter in group["params"]:
                        if parameter.grad is not None:
                            self._update(parameter, parameter.grad, group)

        def _update(self, parameter: Any, gradient: Any, group: dict[str, Any]) -> None:
            state, (beta1, beta2) = self.state[parameter], group["betas"]
            if not state:
                state["step"] = 0
                state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), gradient.square()
                return
            state["step"] += 1
            scaled = gradient / state["exp_avg_sq"].sqrt().clamp(min=group["eps"])
            if group["clip_power"] is not None:
                bound = float(state["step"]) ** group["clip_power"]
                scaled.clamp_(-bound, bound)
            state["exp_avg"].lerp_(scaled, 1 - beta1)
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.add_(state["exp_avg"], alpha=-group["lr"])
            state["exp_avg_sq"].lerp_(gradient.square(), 1 - beta2)

    return Adopt
