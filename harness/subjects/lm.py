"""A causal language model as a subject: one path for organisms and for any model a user brings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidMeasurement, NotApplicable, UsageError
from ..interventions.attachable import Weights, check_weights, weights_of
from ..interventions.attention import Plan
from ..interventions.changes import Change
from ..interventions.changing import Capture, Changing, meant
from ..interventions.heads import Removal
from ..interventions.identity import Identity, check_identity, check_layout, check_patterns
from ..interventions.instrument import Instrument, plain_forward
from ..interventions.padding import Batch
from ..interventions.receipts import Recorder
from ..interventions.removing import PlainRuns, Removing
from ..interventions.sites import Site
from ..interventions.views import Sites, Views
from .digest import combined, model_digest
from .tokens import Tokens

if TYPE_CHECKING:
    import torch

    Ids = Any  # LongTensor or int array [n, t], or a mapping with input_ids and attention_mask
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

#: Logits of one batch, and patterns of one layer, may take this many bytes; more rows are split.
LOGIT_BYTES = 256 * 2**20
#: Beyond this many tokens a pass only takes more memory and is no faster.
MOST_TOKENS = 8192
#: Attention rows must sum to one within this, by dtype.
ROW_SUM = {"float32": 1e-4, "float64": 1e-4}  # eager functions take the softmax in float32


class LM(Views):
    """A causal language model with what claims use of it. Views (`without`, ...) share model, recorder and instrument.

    Args:
        model: a stock transformers causal language model; put in eval mode.
        tokens: what probes may draw from, or a function that finds out when it is first asked.
        tokenizer: where there is text.
        name: what reports call it.
        digest: identity of configuration, weights and tokens; computed when not given.
        evidence: the level that verdicts on it rest on.
        facts: what the subject's family says of it.
        batch_size: most rows in one pass; by default as many as `LOGIT_BYTES` of logits allow, and about `MOST_TOKENS`.
    """

    def __init__(
        self,
        model: Any,
        *,
        tokens: Tokens | Callable[[], Tokens],
        tokenizer: Any = None,
        name: str = "model",
        digest: str | None = None,
        evidence: str = "model",
        facts: Mapping[str, Any] | None = None,
        batch_size: int | None = None,
    ) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.name = name
        self.evidence = evidence
        self.facts: Mapping[str, Any] = facts or {}
        self.batch_size = batch_size
        self.recorder = Recorder()
        self.removals: tuple[Removal, ...] = ()
        self.changes: tuple[Change, ...] = ()
        self._tokens = tokens
        self._digest = digest
        self._digest_of: Weights = () if digest is None else weights_of(self.model)
        self._shared: dict[str, Any] = {"runs": PlainRuns()}  # between a subject and all its views

    # ---- what the model is

    @property
    def tokens(self) -> Tokens:
        """What probes may draw from; NotApplicable where a tokenizer would be needed and there is none."""
        if callable(self._tokens):
            if "tokens" not in self._shared:
                self._shared["tokens"] = self._tokens()
            found: Tokens = self._shared["tokens"]
            return found
        return self._tokens

    @property
    def digest(self) -> str:
        """sha256 of configuration, weights and tokens; computed anew when weights were written to since."""
        now = weights_of(self.model)
        if self._digest is None or self._digest_of != now:
            self._digest_of = now
            try:
                tokens = self.tokens.identity
            except NotApplicable:
                tokens = ""
            self._digest = combined(model_digest(self.model), tokens)
        return self._digest

    @property
    def config(self) -> Any:
        """The text configuration (of the language part, where a model has several)."""
        return self.model.config.get_text_config(decoder=True)

    @property
    def layers(self) -> int:
        """Layers of the model; an intervention asks that each has attention."""
        return int(self.config.num_hidden_layers)

    @property
    def heads(self) -> int:
        """Query heads in each layer; NotApplicable when the model has none."""
        for name in ("num_attention_heads", "n_head", "n_heads"):
            found = getattr(self.config, name, None)
            if isinstance(found, int) and found > 0:
                return found
        raise NotApplicable(f"{self.name} has no attention heads: it is a {self.model.config.model_type} model")

    @property
    def kv_heads(self) -> int:
        """Key-value heads in each layer; fewer than `heads` when query heads share them."""
        if getattr(self.config, "multi_query", False) and not getattr(self.config, "new_decoder_architecture", False):
            return 1
        found = getattr(self.config, "num_key_value_heads", None) or getattr(self.config, "num_kv_heads", None)
        return int(found or self.heads)

    @property
    def context(self) -> int:
        """Longest sequence in tokens."""
        for name in ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length"):
            found = getattr(self.config, name, None)
            if isinstance(found, int) and found > 0:
                return found
        return 2048  # families without absolute positions that state no limit

    @property
    def vocab(self) -> int:
        return int(self.config.vocab_size)

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return int(sum(parameter.numel() for parameter in self.model.parameters()))

    @property
    def device(self) -> torch.device:
        found: torch.device = self.model.device
        return found

    @property
    def dtype(self) -> torch.dtype:
        found: torch.dtype = self.model.dtype
        return found

    # ---- what it computes

    def logits(self, ids: Ids) -> torch.Tensor:
        """Logits, float32 [n, t, vocab], on the CPU; 0 in padding.

        ids: integers [n, t]; or, where rows have unequal lengths, what a tokenizer gives: a mapping with `input_ids` and
            `attention_mask` [n, t], padded left or right. It is run without padding before or between tokens.
        """
        batch = self._batch(ids)
        return batch.placed(torch.cat([found.cpu() for found, _ in self._passes(batch.compact())]))

    def nll(self, ids: Ids) -> torch.Tensor:
        """-log p of each token given those before it, nats, float32 [n, t - 1], on the CPU; log-softmax in float32.

        0 where there is no such pair of tokens, because of padding.
        """
        batch = self._batch(ids)
        compact, found = batch.compact(), []
        for logits, rows in self._passes(compact):
            target = compact.ids[rows, 1:]
            loss = torch.nn.functional.cross_entropy(logits[:, :-1].transpose(1, 2), target, reduction="none")
            found.append(loss.cpu())
        return batch.placed(torch.cat(found))

    def attend(self, ids: Ids, reduce: Callable[[int, torch.Tensor, slice], None]) -> None:
        """Show every attention pattern once: `reduce(layer, pattern float32 [rows, heads, t, t], rows)`; none is kept.

        Patterns are softmax weights of the query heads, from the family's own eager attention function.
        InvalidMeasurement when their rows do not sum to one. With padding t is the length of the longest row, and
        patterns are 0 behind the end of each.
        """
        batch = self._batch(ids).compact()
        instrument = self.instrument
        if "patterns" not in self._shared:
            self._shared["patterns"] = check_patterns(instrument, self._probe())
        tolerance = ROW_SUM.get(str(self.dtype).removeprefix("torch."), 2e-2)

        def show(layer: int, weights: torch.Tensor, rows: slice) -> None:
            pattern, real = weights.float(), batch[rows].real
            sums = pattern.sum(-1)
            if real is not None:
                pattern = pattern.masked_fill(~real[:, None, :, None], 0)
                sums = sums.transpose(1, 2)[real]
            most = float(sums.max())
            # A family with sink logits leaves a part of each row to a key that does not exist.
            least = 1.0 if hasattr(instrument.modules[layer], "sinks") else float(sums.min())
            if not (abs(least - 1) <= tolerance and most <= 1 + tolerance):
                raise InvalidMeasurement(f"attention of layer {layer} sums to {least:.4g} to {most:.4g}, not to one")
            reduce(layer, pattern, rows)

        for _ in self._passes(batch, show):
            pass

    def capture(self, ids: Ids, sites: Sites, reduce: Callable[[Site, torch.Tensor, slice], None]) -> None:
        """Show what stands at these sites once, under this view's interventions: `reduce(site, values, rows)`.

        values: [rows, seq, ...], [rows, k, ...] where the site names k positions, [places, ...] where it names tokens.
        With padding, row i's token p stands at [i, p], and 0 behind the row's end. Nothing is kept.
        """
        batch, found = self._batch(ids).compact(), self._sites(sites)
        tokens = self.known_tokens

        def put(site: Site, part: torch.Tensor, rows: slice) -> None:
            reduce(site, meant(site, part, batch[rows], tokens), rows)

        for _ in self._passes(batch, capture=Capture(found, put)):
            pass

    def activations(self, ids: Ids, sites: Sites) -> dict[Site, torch.Tensor]:
        """What stands at these sites, of all rows, on the CPU; see `capture` for shapes."""
        kept: dict[Site, list[torch.Tensor]] = {}
        self.capture(ids, sites, lambda site, values, rows: kept.setdefault(site, []).append(values.cpu().clone()))
        return {site: torch.cat(parts) for site, parts in kept.items()}

    # ---- interventions

    @property
    def instrument(self) -> Instrument:
        """What interventions attach to; checked once against the plain model, NotApplicable when they differ."""
        if "instrument" not in self._shared:
            probe = self._probe()
            made = Instrument(self.model, self.heads, self.layers, probe)
            self._shared["identity"] = check_identity(made, probe)
            check_layout(made, self._ordinary(), np.random.default_rng(0))
            self._shared["instrument"] = made
        found: Instrument = self._shared["instrument"]
        return found

    @property
    def identity(self) -> Identity:
        """What the identity check measured."""
        _ = self.instrument
        found: Identity = self._shared["identity"]
        return found

    # ---- inside

    def _passes(
        self,
        ids: torch.Tensor | Batch,
        show: Callable[[int, torch.Tensor, slice], None] | None = None,
        capture: Capture | None = None,
        slices: Callable[[torch.Tensor], Iterable[slice]] | None = None,
    ) -> Iterator[tuple[torch.Tensor, slice]]:
        """Logits float32 [rows, t, vocab] batch by batch, under this view's interventions; receipts at the end."""
        if any(part.training for part in self.model.modules()):
            raise InvalidMeasurement(f"{self.name} was put in training mode, so dropout may act: call its eval() first")
        slices = slices or (self._slices if show is None else self._pattern_slices)
        batch = Batch.of(ids)
        run = others = None
        if self.removals:
            run = Removing(self.instrument, self.removals, batch, slices, self.recorder, self._shared["runs"], self.some_token)
        if self.changes or capture is not None:
            others = Changing(self, batch, list(slices(batch.ids)), capture)
        if run is not None:
            run.others = others
        before = weights_of(self.model) if run is not None or others is not None else None
        for rows in slices(batch.ids):
            read = None if show is None else _bound(show, rows)
            if run is not None:
                logits = run.forward(rows, read)
            else:
                self.recorder.forward_passes += rows.stop - rows.start
                if read is None and others is None:
                    logits = plain_forward(self.model, batch[rows]).logits.float()
                else:
                    plan = Plan() if others is None else others.plan(rows)
                    plan.read = read
                    logits = self.instrument.forward(batch[rows], plan).float()
            if others is not None:
                others.saw(rows, logits)
            yield logits, rows
        if before is not None:
            check_weights(self.model, before, self.name)
        for made in (run, others):
            if made is not None:
                made.finish()

    def _slices(self, ids: torch.Tensor, numbers: int = 0) -> Iterator[slice]:
        """Batches of rows, each of which takes `numbers` and its logits at four bytes a number."""
        n, t = ids.shape
        fits = max(1, min(MOST_TOKENS // t, LOGIT_BYTES // (4 * max(numbers, t * self.vocab))))
        size = min(self.batch_size or fits, fits)
        for begin in range(0, n, size):
            yield slice(begin, min(n, begin + size))

    def _pattern_slices(self, ids: torch.Tensor) -> Iterator[slice]:
        return self._slices(ids, self.heads * ids.shape[1] ** 2)

    def _checked(self, ids: Ids) -> torch.Tensor:
        tensor = ids if torch.is_tensor(ids) else _tensor(ids, self.name)
        whole = not (tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool)
        if tensor.dim() != 2 or 0 in tensor.shape or not whole:
            raise UsageError(f"{self.name}: ids must be integers [n, t]; {tensor.dtype} {tuple(tensor.shape)} was given")
        tensor = tensor.long().to(self.device)
        self._fitting(Batch(tensor))
        return tensor

    def _batch(self, ids: Ids) -> Batch:
        """Checked sequences in the columns in which they were given."""
        if not isinstance(ids, Mapping):
            return Batch(self._checked(ids))
        if "input_ids" not in ids or "attention_mask" not in ids:
            raise UsageError(f"{self.name}: a padded batch holds input_ids and attention_mask; {', '.join(map(str, ids))} given")
        if not torch.is_tensor(found := ids["input_ids"]):
            found = _tensor(found, self.name)
        if found.dim() != 2:
            raise UsageError(f"{self.name}: ids must be integers [n, t]; {found.dtype} {tuple(found.shape)} was given")
        batch = Batch.masked(found, ids["attention_mask"])
        self._checked(batch.compact().ids)  # what stands in padding may be no token at all
        return batch.to(self.device)

    def _fitting(self, batch: Batch) -> None:
        """UsageError for ids that the model does not have, NotApplicable for sequences beyond its context."""
        real = batch.compact().ids
        low, high = int(real.min()), int(real.max())
        if low < 0 or high >= self.vocab:
            raise UsageError(f"{self.name}: ids must be 0 to {self.vocab - 1}; {low if low < 0 else high} was given")
        if real.shape[1] > self.context:
            raise NotApplicable(f"sequences of {real.shape[1]} tokens are needed; the context of {self.name} holds {self.context}")

    def _ordinary(self) -> np.ndarray:
        """Token ids for probes of the instrument, which need no sense."""
        try:
            return self.tokens.frequent
        except NotApplicable:
            return np.arange(self.vocab)

    @property
    def some_token(self) -> int:
        """An ordinary token, for probes."""
        return int(self._ordinary()[0])

    def _probe(self) -> torch.Tensor:
        rng = np.random.default_rng(0)
        ids = rng.choice(self._ordinary(), size=(2, min(24, self.context)))
        return torch.from_numpy(ids.astype(np.int64)).to(self.device)


def _tensor(ids: Any, name: str) -> torch.Tensor:
    """A copy, so that read-only and reversed arrays will do."""
    try:
        array = np.array(ids, order="C")
        return torch.from_numpy(array.astype(np.int64) if array.dtype.kind in "iu" else array)
    except (ValueError, TypeError):
        raise UsageError(f"{name}: ids must be integers [n, t]; what was given is no rectangle of numbers") from None


def _bound(show: Callable[[int, torch.Tensor, slice], None], rows: slice) -> Callable[[int, torch.Tensor], None]:
    return lambda layer, weights: show(layer, weights, rows)


def require_layers(lm: LM, least: int) -> None:
    """NotApplicable unless the subject has at least this many layers."""
    if lm.layers < least:
        raise NotApplicable(f"needs at least {least} layers with attention heads; {lm.name} has {lm.layers}")
