"""Several seeds of a recipe as one program: weights of all seeds stacked, losses and gradients by one pass (`torch.func`).

Small networks spend their time in the overhead of many small operations, which is then paid once. A seed's numbers differ from
those of a run of its own by rounding alone: the first losses agree within 1e-5 of their size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ClaimbenchError, InvalidMeasurement
from .loop import Loop, StageData, set_rate
from .optimisers import is_elementwise, made_optimiser
from .streams import Batch
from .tasks import as_tensors
from .tokens import placed_token_loss, placed_tokens

if TYPE_CHECKING:
    import torch
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

#: So many programs are recorded, one for each shape of a batch; beyond that the pass is made anew each time.
PROGRAMS = 4

Grads = dict[str, "torch.Tensor"]


class NotStackable(ClaimbenchError):
    """The seeds of a recipe cannot be trained as one program; the text says why."""


class Stack:
    """The loops of several seeds of one recipe, in step. A seed that has ended leaves the stack, the others go on.

    problems: by seed, what ended a run that may not diverge.

    Raises:
        NotStackable: the recipe has something that belongs to one network at a time.
    """

    def __init__(self, loops: Sequence[Loop]) -> None:
        self.recipe, self.alive = loops[0].recipe, list(loops)
        self.problems: dict[int, InvalidMeasurement] = {}
        self.template = loops[0].model
        _check(loops)
        self.attention = getattr(getattr(self.template, "config", None), "_attn_implementation", None)
        if self.attention is not None:
            self.template.set_attn_implementation("eager")  # the others have no rule for stacked weights
        named = [dict(loop.model.named_parameters()) for loop in loops]
        learns = [name for name, parameter in named[0].items() if parameter.requires_grad]
        self.weights = {name: _stacked([each[name] for each in named]).requires_grad_() for name in learns}
        self.constant = {name: _stacked([each[name] for each in named]) for name in named[0] if name not in self.weights}
        self.optimiser = made_optimiser(self.recipe, list(self.weights.values()))
        self.kept: dict[str, tuple[Any, Any]] = {}
        self.programs: dict[Any, Callable[..., Any]] = {}  # by stage, seeds, shapes of a batch and what is no array in it

    def enter(self, index: int) -> None:
        """Begin a stage in all seeds."""
        for row, loop in enumerate(self.alive):
            self._write_back(row)
            loop.enter(index)
        self._keep()

    def go_on(self) -> None:
        """Take up loops that were restored at one step of a stage."""
        named = [dict(loop.model.named_parameters()) for loop in self.alive]
        for name, weight in self.weights.items():
            states = [loop.optimiser.state[each[name]] for loop, each in zip(self.alive, named, strict=True)]
            self.optimiser.state[weight] = {
                key: _stacked([state[key] for state in states]) if _of_weights(key, value, weight[0]) else value
                for key, value in states[0].items()
            }
        self._keep()

    def hand_back(self) -> None:
        """Give each loop its weights and its optimiser's state, so that it can be saved as if it were trained alone."""
        for row, loop in enumerate(self.alive):
            self._write_back(row)
            named = dict(loop.model.named_parameters())
            for name, weight in self.weights.items():
                loop.optimiser.state[named[name]] = {
                    key: value[row] if torch.is_tensor(value) and value.shape == weight.shape else value
                    for key, value in self.optimiser.state[weight].items()
                }

    def _keep(self) -> None:
        """Note the values that are held in this stage."""
        self.kept = {}
        for name in self.weights:
            masks = [loop.network.fixed.get(name) for loop in self.alive]
            if any(mask is not None for mask in masks):
                empty = torch.zeros_like(self.weights[name][0], dtype=torch.bool)
                mask = torch.stack([empty if found is None else found for found in masks])
                self.kept[name] = (mask, self.weights[name].detach().clone())

    def finish(self, after: Callable[[Stack], None] | None = None) -> dict[int, InvalidMeasurement]:
        """Train all seeds from where they are to their ends, `after` being called behind each step; what ended some before."""
        if self.attention is not None:
            self.template.set_attn_implementation("eager")  # the others have no rule for stacked weights
        begun, first = self.alive[0].run.steps > 0, self.alive[0].index
        try:
            if begun:
                self.go_on()
            for index in range(first, len(self.recipe.plan)):
                if self.alive and not (begun and index == first):
                    self.enter(index)
                while self.alive and not self.alive[0].ended:
                    self.step()
                    if after is not None:
                        after(self)
        finally:
            self.close()
        return self.problems

    def close(self) -> None:
        """Leave the networks as they are when they are used alone."""
        if self.attention is not None:
            self.template.set_attn_implementation(self.attention)

    def step(self) -> None:
        """One step of every seed that has not ended."""
        losses, grads = self.losses_and_grads([loop.data.drawn() for loop in self.alive])
        sound = [self._sound(loop, loss) for loop, loss in zip(self.alive, losses.tolist(), strict=True)]
        if not all(sound):
            grads = {name: grad[torch.tensor(sound)] for name, grad in grads.items()}
            self._leave([not each for each in sound])
            if not self.alive:
                return
        if self.recipe.clip is not None:
            _clip(grads, self.recipe.clip)
        for name, weight in self.weights.items():
            weight.grad = grads[name]
        set_rate(self.optimiser, self.recipe, self.alive[0].data.stage, self.alive[0].done)
        self.optimiser.step()
        with torch.no_grad():
            for name, (mask, values) in self.kept.items():
                self.weights[name].copy_(torch.where(mask, values, self.weights[name]))
        for row, loop in enumerate(self.alive):
            if loop.looks_next:
                self._write_back(row)
            loop.passed()
        if any(loop.over for loop in self.alive):
            self._leave([loop.over for loop in self.alive])

    def _sound(self, loop: Loop, loss: float) -> bool:
        try:
            return loop.sound(loss)
        except InvalidMeasurement as problem:  # the other seeds go on
            self.problems[loop.seed] = problem
            return False

    def losses_and_grads(self, batches: Sequence[Any]) -> tuple[torch.Tensor, Grads]:
        """Losses [seeds] and gradients by name [seeds, ...] on a batch of each seed."""
        loss_of, plain = self.alive[0].data.task.loss, dict[str, Any]()
        if isinstance(batches[0], Batch):
            tensors, loss_of = placed_tokens(batches), placed_token_loss
        else:
            tensors, plain = _stacked_batch(batches)
        flat = [*(weight.detach() for weight in self.weights.values()), *self.constant.values(), *tensors.values()]
        shapes = [(name, value.shape) for name, value in tensors.items()]
        key = (self.alive[0].index, len(self.alive), repr((shapes, plain)))
        if key not in self.programs:
            program = self._program(loss_of, list(tensors), plain)
            self.programs[key] = _recorded(program, flat) if len(self.programs) < PROGRAMS else program
        losses, *grads = self.programs[key](*flat)
        return losses, dict(zip(self.weights, grads, strict=True))

    def _program(self, loss_of: Callable[..., Any], names: Sequence[str], plain: Mapping[str, Any]) -> Callable[..., Any]:
        """(weights, constants, batch), all stacked and in a row -> (losses, gradients)."""
        from torch.func import functional_call, grad_and_value, vmap

        task = _loss_module(self.template, loss_of)
        learn, constant = [f"model.{name}" for name in self.weights], [f"model.{name}" for name in self.constant]

        def one(weights: Any, others: Any, arrays: Any) -> Any:
            named = {**dict(zip(learn, weights, strict=True)), **dict(zip(constant, others, strict=True))}
            return functional_call(task, named, ({**dict(zip(names, arrays, strict=True)), **plain},))

        each = vmap(grad_and_value(one), randomness="error")

        def all_of(*flat: Any) -> Any:
            parts = flat[: len(learn)], flat[len(learn) : len(learn) + len(constant)], flat[len(learn) + len(constant) :]
            grads, losses = each(*parts)
            return losses, *grads

        return all_of

    def _write_back(self, row: int) -> None:
        loop = self.alive[row]
        with torch.no_grad():
            for name, parameter in loop.model.named_parameters():
                if name in self.weights:
                    parameter.copy_(self.weights[name][row])

    def _leave(self, leaving: Sequence[bool]) -> None:
        """Seeds leave the stack, with the weights that they have now."""
        for row, leaves in enumerate(leaving):
            if leaves:
                self._write_back(row)
        stay = torch.tensor([not leaves for leaves in leaving])
        self.alive = [loop for loop, leaves in zip(self.alive, leaving, strict=True) if not leaves]
        self.constant = {name: value[stay] for name, value in self.constant.items()}
        self.kept = {name: (mask[stay], values[stay]) for name, (mask, values) in self.kept.items()}
        old = self.weights
        self.weights = {name: value.detach()[stay].requires_grad_() for name, value in old.items()}
        states = [self.optimiser.state.pop(value) if value in self.optimiser.state else {} for value in old.values()]
        self.optimiser.param_groups[0]["params"] = list(self.weights.values())
        for before, weight, state in zip(old.values(), self.weights.values(), states, strict=True):
            self.optimiser.state[weight] = {
                name: value[stay] if torch.is_tensor(value) and value.shape == before.shape else value
                for name, value in state.items()
            }


def _check(loops: Sequence[Loop]) -> None:
    recipe, model = loops[0].recipe, loops[0].model
    if recipe.clamps:
        raise NotStackable("clamps hold in one network at a time")
    if any(stage.release or stage.settle for stage in recipe.plan):
        raise NotStackable("stages release or settle heads")
    if any(stage.stop is not None for stage in recipe.plan[:-1]):
        raise NotStackable("a stage before the last may stop early, so seeds would not stay in step")
    for part in model.modules():
        name = type(part).__name__
        if (name.endswith("Dropout") and getattr(part, "p", None)) or getattr(part, "track_running_stats", False):
            raise NotStackable(f"{name} draws numbers or keeps a state of its own")
    if not is_elementwise(recipe.optimiser):
        raise NotStackable(f"optimiser {recipe.optimiser} is not known to treat every weight by itself")
    learns = [[p.requires_grad for p in loop.model.parameters()] for loop in loops]
    buffers = [dict(loop.model.named_buffers()) for loop in loops]
    same = all(torch.equal(value, other[name]) for other in buffers for name, value in buffers[0].items())
    if any(each != learns[0] for each in learns) or not same:
        raise NotStackable("what is held or what is constant differs between seeds")
    shared = len(list(model.named_parameters())) != len(list(model.named_parameters(remove_duplicate=False)))
    if shared:
        raise NotStackable("weights are shared between places")


def _recorded(program: Callable[..., Any], example: Sequence[Any]) -> Callable[..., Any]:
    """The program as a row of plain operations, for arrays of these shapes; as it is, where it looks at values."""
    from torch.fx.experimental.proxy_tensor import make_fx

    try:
        found: Callable[..., Any] = make_fx(program)(*example).forward
    except RuntimeError:
        return program
    return found


def _stacked(values: Sequence[Any]) -> Any:
    return torch.stack([value.detach() for value in values])


def _of_weights(key: str, value: Any, weight: Any) -> bool:
    """Whether an entry of an optimiser's state belongs to each weight, as moments do and the number of steps does not."""
    return torch.is_tensor(value) and key != "step" and value.shape == weight.shape


def _stacked_batch(batches: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tensors [seeds, ...] of the arrays, and what is no array, which must be the same in all."""
    arrays, plain = {}, {}
    for name, value in batches[0].items():
        values = [batch[name] for batch in batches]
        if isinstance(value, np.ndarray):
            if any(each.shape != value.shape for each in values):
                raise NotStackable(f'"{name}" of the batches differs in shape between seeds')
            arrays[name] = np.stack(values)
        elif any(each != value for each in values):
            raise NotStackable(f'"{name}" of the batches differs between seeds and is no array')
        else:
            plain[name] = value
    return as_tensors(arrays), plain


def _clip(grads: Grads, most: float) -> None:
    """Scale the gradients of each seed to a norm of at most `most`, as `clip_grad_norm_` does for one."""
    squares = sum(grad.flatten(1).square().sum(1) for grad in grads.values())
    assert torch.is_tensor(squares)
    factor = (most / (squares.sqrt() + 1e-6)).clamp(max=1.0)
    for grad in grads.values():
        grad.mul_(factor.view(-1, *[1] * (grad.dim() - 1)))


def _loss_module(model: Any, loss_of: Callable[..., Any]) -> Any:
    class Loss(torch.nn.Module):
        """The loss as a module, so that weights can be given to it from outside, wherever in the network it looks."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, batch: Any) -> Any:
            return loss_of(self.model, batch)

    return Loss()


def choose(loops: Sequence[Loop], measured: Callable[[Callable[[], Any]], float]) -> Stack | None:
    """A stack of these loops where one step of it takes less time than their steps one after another; else None."""
    try:
        stack = Stack(loops)
        for loop in loops:
            loop.data = StageData.of(loop.recipe, 0, loop.seed)
            loop.model.train()
        drawn = [loop.data.drawn() for loop in loops]
        together = measured(lambda: stack.losses_and_grads(drawn))
    except (NotStackable, RuntimeError, ValueError, NotImplementedError):
        return None
    stack.close()
    alone = measured(lambda: loops[0].loss_and_backward(as_tensors(drawn[0])))
    if together > 0.9 * alone * len(loops):
        return None
    return stack
