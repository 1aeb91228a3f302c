"""AMSGrad as it was published and as others correct it; torch's own is the optimiser `amsgrad` (and `adamw` with amsgrad=True).

Reddi et al. 2018 (arXiv:1904.09237) keep the largest second moment so far and correct no bias. Torch takes the largest of the
uncorrected ones and corrects that; optax corrects each first and takes the largest of these.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from ..errors import DeclarationError
from .optimisers import optimiser
from .recipe import Recipe

if TYPE_CHECKING:
    import torch
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

_CORRECTIONS = ("none", "before")


@optimiser("amsgrad-published", elementwise=True)
def amsgrad_published(parameters: list[Any], recipe: Recipe, eps: float = 1e-8, correction: str = "none") -> Any:
    """AMSGrad with decoupled weight decay. correction: "none" as published, "before" the largest is taken (optax)."""
    if correction not in _CORRECTIONS:
        raise DeclarationError(f'amsgrad-published: correction "{correction}" is unknown; use one of {", ".join(_CORRECTIONS)}')
    options = {"betas": recipe.betas, "weight_decay": recipe.weight_decay, "eps": eps, "correction": correction}
    return _class()(parameters, {"lr": recipe.lr, **options})


@cache
def _class() -> Any:
    class AMSGrad(torch.optim.Optimizer):  # made at first use: torch is not imported before
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
                state |= {name: torch.zeros_like(parameter) for name in ("exp_avg", "exp_avg_sq", "largest")}
            state["step"] += 1
            corrected = group["correction"] == "before"
            first, second = ((1 - beta ** state["step"]) if corrected else 1.0 for beta in (beta1, beta2))
            state["exp_avg"].lerp_(gradient, 1 - beta1)
            state["exp_avg_sq"].lerp_(gradient.square(), 1 - beta2)
            state["largest"] = torch.maximum(state["largest"], state["exp_avg_sq"] / second)
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.addcdiv_(state["exp_avg"], state["largest"].sqrt().add_(group["eps"]), value=-group["lr"] / first)

    return AMSGrad
