"""A causal language model as a subject: one path for organisms and for any model a user brings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import NotApplicable
from ..interventions.attention import Instrument, Plan, identity_error
from ..interventions.heads import Head, Removal, removal, replacements
from ..interventions.receipts import Receipt, Recorder, check_receipt
from .digest import model_digest
from .tokens import Tokens

if TYPE_CHECKING:
    import torch
    from numpy.random import Generator

    Ids = Any  # LongTensor or int64 array [n, t]
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

#: Logits of one batch may take this many bytes; larger ones are split over rows. Results do not depend on it.
LOGIT_BYTES = 256 * 2**20
MOST_ROWS = 64
#: Largest relative difference of logits that the attached instrument may make before it is refused.
IDENTITY = 1e-5
PROBE_ROWS = 2


class LM:
    """A causal language model with the instruments that claims use. Views made by `without` share model and recorder.

    Args:
        model: a stock transformers causal language model; put in eval mode, gradients off.
        tokens: what probes may draw from.
        digest: identity of configuration and weights; computed when not given.
        evidence: what verdicts on it rest on.
        facts: what the subject's family says of it.
    """

    def __init__(
        self,
        model: Any,
        *,
        tokens: Tokens,
        tokenizer: Any = None,
        name: str = "model",
        digest: str | None = None,
        evidence: str = "model",
        facts: Mapping[str, Any] | None = None,
        batch_size: int | None = None,
    ) -> None:
        self.model = model.eval().requires_grad_(False)
        self.tokens = tokens
        self.tokenizer = tokenizer
        self.name = name
        self.evidence = evidence
        self.facts = facts or {}
        self.batch_size = batch_size
        self.recorder = Recorder()
        self.removals: tuple[Removal, ...] = ()
        self._digest = digest
        self._shared: dict[str, Any] = {"wired": {}}

    # What the model is

    @property
    def digest(self) -> str:
        """sha256 of configuration and weights."""
        if self._digest is None:
            self._digest = model_digest(self.model)
        return self._digest

    @property
    def config(self) -> Any:
        """The text configuration (of the language part, where a model has several)."""
        return self.model.config.get_text_config(decoder=True)

    @property
    def heads(self) -> int:
        """Query heads in each layer; NotApplicable when the model has none."""
        for name in ("num_attention_heads", "n_head", "num_heads", "n_heads"):
            found = getattr(self.config, name, None)
            if isinstance(found, int) and found > 0:
                return found
        raise NotApplicable(f"no attention heads: {self.model.config.model_type} has none in its configuration")

    @property
    def kv_heads(self) -> int:
        """Key-value heads in each layer."""
        return int(getattr(self.config, "num_key_value_heads", None) or self.heads)

    @property
    def layers(self) -> int:
        """Attention layers."""
        return self.instrument.layers

    @property
    def context(self) -> int:
        """Longest sequence in tokens."""
        for name in ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length"):
            found = getattr(self.config, name, None)
            if isinstance(found, int) and found > 0:
                return found
        return 2048  # families with relative positions state no limit

    @property
    def vocab(self) -> int:
        return int(self.config.vocab_size)

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return int(sum(p.numel() for p in self.model.parameters()))

    @property
    def device(self) -> torch.device:
        found: torch.device = self.model.device
        return found

    @property
    def dtype(self) -> torch.dtype:
        found: torch.dtype = self.model.dtype
        return found

    @property
    def instrument(self) -> Instrument:
        """The attached instrument, checked once: logits with it in place equal the plain model's."""
        if "instrument" not in self._shared:
            made = Instrument(self.model, self.heads)
            rng = np.random.default_rng(0)
            probe = rng.choice(self.tokens.frequent, size=(PROBE_ROWS, min(16, self.context)))
            error = identity_error(self.model, made, self._tensor(probe))
            if not error <= IDENTITY:
                raise NotApplicable(
                    f"cannot be intervened on exactly: with the instrument in place the logits of "
                    f"{self.model.config.model_type} differ by {error:.2g} (allowed {IDENTITY:g})"
                )
            self._shared["identity_error"] = error
            self._shared["instrument"] = made
        found: Instrument = self._shared["instrument"]
        return found

    # What it computes

    def logits(self, ids: Ids) -> torch.Tensor:
        """Logits float32 [n, t, vocab]."""
        rows = [batch.cpu() for batch in self._batches(self._tensor(ids))]
        return torch.cat(rows)

    def nll(self, ids: Ids) -> torch.Tensor:
        """-log p of each token given those before it, nats, float32 [n, t - 1]; log-softmax in float32."""
        tensor = self._tensor(ids)
        found, begin = [], 0
        for logits in self._batches(tensor):
            targets = tensor[begin : begin + len(logits), 1:]
            begin += len(logits)
            logp = torch.log_softmax(logits[:, :-1], dim=-1)
            found.append(-logp.gather(-1, targets.unsqueeze(-1)).squeeze(-1).cpu())
        return torch.cat(found)

    def attend(self, ids: Ids, reduce: Callable[[int, torch.Tensor, slice], None]) -> None:
        """Show every attention pattern once: `reduce(layer, pattern float32 [rows, heads, t, t], rows)`; nothing is kept.

        Patterns are softmax weights of the query heads, from the model's own eager attention function.
        """
        tensor = self._tensor(ids)
        self._check_length(tensor)
        changes = self._changes(tensor)
        for rows in self._row_slices(tensor):
            plan = Plan(
                edit=self._editor(changes, rows, {}) if changes else None,
                read=lambda layer, weights, rows=rows: reduce(layer, weights.float(), rows),
            )
            with torch.no_grad(), self.instrument.attached(plan):
                self.model(input_ids=tensor[rows], use_cache=False)
            self.recorder.forward_passes += rows.stop - rows.start

    # Interventions

    def without(self, heads: Iterable[Head], mode: str = "resample", rng: Generator | None = None) -> LM:
        """The model with the outputs of these query heads removed in every forward pass.

        Args:
            heads: (layer, head) pairs.
            mode: "resample", "mean" or "zero"; see `Removal`.
            rng: draws which row each row takes its donor from (resample).

        Raises:
            DeclarationError: heads out of range, an empty set, an unknown mode.
            InvalidMeasurement: when a receipt says that the removal did not happen.
        """
        seed = int(rng.integers(2**63)) if rng is not None and mode == "resample" else 0
        made = removal(heads, mode, seed, self.layers, self.heads)
        view: LM = object.__new__(LM)
        view.__dict__.update(self.__dict__)
        view.removals = (*self.removals, made)
        return view

    def only(
        self, heads: Iterable[Head], layers: Iterable[int], mode: str = "resample", rng: Generator | None = None
    ) -> LM:
        """The model without all other heads of these layers."""
        kept = set(heads)
        return self.without(
            [(layer, head) for layer in layers for head in range(self.heads) if (layer, head) not in kept], mode, rng
        )

    # Inside

    def _tensor(self, ids: Ids) -> torch.Tensor:
        tensor = torch.as_tensor(np.asarray(ids) if not torch.is_tensor(ids) else ids, dtype=torch.long)
        return tensor.to(self.model.device)

    def _check_length(self, ids: torch.Tensor) -> None:
        if ids.shape[1] > self.context:
            raise NotApplicable(f"sequences of {ids.shape[1]} tokens, and the context holds {self.context}")

    def _row_slices(self, ids: torch.Tensor) -> Iterator[slice]:
        n, t = ids.shape
        size = self.batch_size or max(1, min(MOST_ROWS, LOGIT_BYTES // max(1, 4 * t * self.vocab)))
        for begin in range(0, n, size):
            yield slice(begin, min(n, begin + size))

    def _batches(self, ids: torch.Tensor) -> Iterator[torch.Tensor]:
        """Logits float32 batch by batch under the removals of this view, with receipts for each of them."""
        self._check_length(ids)
        changes = self._changes(ids)
        fired: dict[tuple[int, int], int] = {}
        moved: dict[int, float] = {}
        first: torch.Tensor | None = None
        count = 0
        for rows in self._row_slices(ids):
            count += 1
            with torch.no_grad():
                if not changes:
                    logits = self.model(input_ids=ids[rows], use_cache=False).logits.float()
                else:
                    plan = Plan(edit=self._editor(changes, rows, fired, moved if count == 1 else None))
                    with self.instrument.attached(plan):
                        logits = self.model(input_ids=ids[rows], use_cache=False).logits.float()
            self.recorder.forward_passes += rows.stop - rows.start
            if changes and first is None:
                first = logits[:PROBE_ROWS]
            yield logits
        if changes and first is not None:
            self._receipts(ids, first, fired, moved, count)

    def _changes(self, ids: torch.Tensor) -> list[tuple[Removal, dict[int, Any]]]:
        """What each removal writes at each layer, from one plain run over all rows."""
        wanted: dict[int, set[int]] = {}
        for made in self.removals:
            if made.mode != "zero":
                for layer, heads in made.by_layer.items():
                    wanted.setdefault(layer, set()).update(heads)
        plain = self._capture(ids, {layer: sorted(heads) for layer, heads in wanted.items()}) if wanted else {}
        changes = []
        for made in self.removals:
            mine = {}
            if made.mode != "zero":
                for layer, heads in made.by_layer.items():
                    kept = sorted(wanted[layer])
                    mine[layer] = plain[layer][:, :, [kept.index(head) for head in heads]]
            changes.append((made, replacements(made, mine, len(ids))))
        return changes

    def _capture(self, ids: torch.Tensor, heads: Mapping[int, list[int]]) -> dict[int, torch.Tensor]:
        """Plain outputs of the asked heads, by layer [n, seq, heads, head_dim]; nothing else is kept."""
        found: dict[int, list[torch.Tensor]] = {layer: [] for layer in heads}

        def keep(layer: int, output: torch.Tensor) -> torch.Tensor:
            if layer in heads:
                found[layer].append(output[:, :, heads[layer]].clone())
            return output

        for rows in self._row_slices(ids):
            with torch.no_grad(), self.instrument.attached(Plan(edit=keep)):
                self.model(input_ids=ids[rows], use_cache=False)
            self.recorder.forward_passes += rows.stop - rows.start
        return {layer: torch.cat(outputs) for layer, outputs in found.items()}

    def _editor(
        self,
        changes: list[tuple[Removal, dict[int, Any]]],
        rows: slice,
        fired: dict[tuple[int, int], int],
        moved: dict[int, float] | None = None,
    ) -> Callable[[int, torch.Tensor], torch.Tensor]:
        """Writes the replacements, in the order in which the removals were asked for; later ones win."""

        def edit(layer: int, output: torch.Tensor) -> torch.Tensor:
            edited = None
            for number, (made, writes) in enumerate(changes):
                if layer not in writes:
                    continue
                edited = output.clone() if edited is None else edited
                heads, new = made.by_layer[layer], writes[layer]
                if torch.is_tensor(new) and new.dim() == 4:
                    new = new[rows]
                if moved is not None:
                    change = (edited[:, :, heads] - new)[:PROBE_ROWS].abs().max()
                    moved[number] = max(moved.get(number, 0.0), float(change))
                edited[:, :, heads] = new
                fired[number, layer] = fired.get((number, layer), 0) + 1
            return output if edited is None else edited

        return edit

    def _receipts(
        self,
        ids: torch.Tensor,
        first: torch.Tensor,
        fired: Mapping[tuple[int, int], int],
        moved: Mapping[int, float],
        batches: int,
    ) -> None:
        with torch.no_grad():
            plain = self.model(input_ids=ids[: len(first)], use_cache=False).logits.float()
        self.recorder.forward_passes += len(first)
        moved_logits = float((plain - first).abs().max())
        for number, made in enumerate(self.removals):
            activation = moved.get(number, 0.0)
            reads = any(self.instrument.writes(layer, head) for layer, head in made.heads)
            receipt = Receipt(
                str(made),
                fired=sum(count for (which, _), count in fired.items() if which == number),
                wired=all(self._wired(layer, head) for layer, head in made.heads),
                moved_activation=activation,
                moved_logits=moved_logits,
                neutral=activation == 0.0 or not reads,
            )
            check_receipt(receipt, expected=batches * len(made.by_layer))
            self.recorder.receipts.append(receipt)

    def _wired(self, layer: int, head: int) -> bool:
        """Whether a NaN written at a head's output reaches the logits; asked once per head of a model."""
        known: dict[Head, bool] = self._shared["wired"]
        if (layer, head) not in known:

            def poison(at: int, output: torch.Tensor) -> torch.Tensor:
                if at == layer:
                    output = output.clone()
                    output[:, :, head] = float("nan")
                return output

            ids = self._tensor(self.tokens.frequent[:2][None, :])
            with torch.no_grad(), self.instrument.attached(Plan(edit=poison)):
                known[layer, head] = bool(self.model(input_ids=ids, use_cache=False).logits.isnan().any())
            self.recorder.forward_passes += 1
        return known[layer, head]


def require_layers(lm: LM, least: int) -> None:
    """NotApplicable unless the subject has at least this many attention layers."""
    if lm.layers < least:
        raise NotApplicable(f"needs at least {least} attention layers, the subject has {lm.layers}")
