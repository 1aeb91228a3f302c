"""Nets written by hand: stock GPT-2 models, attention only, whose circuit is known exactly.

The residual stream holds a vector u twice, as (u, -u). Its mean is then zero, so LayerNorm only divides by its
length, and a constant `ballast` entry keeps that length within a few per cent of one value: every LayerNorm is the
identity on u up to that.
u is divided into named slots (the token's code, the position's code, slots that heads write into). A head is a sum of
`Term`s for its scores, in nats, and one `Move` from slot to slot. At last the basis of u is rotated at random and the
heads of each layer are shuffled, so that no index and no axis gives the circuit away.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DeclarationError

if TYPE_CHECKING:
    import torch
    import transformers
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")
    transformers = LazyModule("transformers")

Array = NDArray[np.float64]

BALLAST = (
    8.0  # squared 64, against about 2 to 4 for everything else: lengths differ by a few per cent, even after bfloat16
)


@dataclass(frozen=True)
class Term:
    """One summand of an attention score, in nats: <u_i query + bias, u_j key> for query position i and key position j.

    query, key: [m, k]; bias: [k] or None. A term occupies k of the head's dimensions.
    """

    query: Array
    key: Array
    bias: Array | None = None


@dataclass(frozen=True)
class Move:
    """What a head adds to u_i: the attention-weighted mean of u_j read, times write. read: [m, k], write: [k, m]."""

    read: Array
    write: Array


@dataclass(frozen=True)
class Head:
    """A head: its role (the name under which `Construction.heads` finds it), its score terms, and what it moves.

    Without terms it attends uniformly.
    """

    role: str
    terms: tuple[Term, ...]
    move: Move


class Construction:
    """Collects embeddings and heads in terms of the slots of u, and builds the GPT-2 model.

    Every random choice comes from `rng`, a function of name and seed, so the same arguments give the same weights.
    """

    def __init__(
        self,
        name: str,
        seed: int,
        *,
        slots: Mapping[str, int],
        vocab: int,
        head_dim: int,
        heads: int = 8,
        layers: int = 2,
        context: int = 256,
    ) -> None:
        """slots: name -> dimensions, in order; `ballast` (1) is added, and what is left of u is the slot `noise`."""
        self.name, self.vocab, self.head_dim, self.context = name, vocab, head_dim, context
        self.size = heads * head_dim // 2  # m, the length of u
        self.rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        self.slots: dict[str, slice] = {}
        used = 0
        for slot, dimensions in {**slots, "ballast": 1}.items():
            self.slots[slot] = slice(used, used + dimensions)
            used += dimensions
        if used >= self.size:
            raise DeclarationError(
                f"{name}: slots take {used} of {self.size} dimensions, none are left for noise; raise head_dim"
            )
        self.slots["noise"] = slice(used, self.size)
        self.token_codes: Array = np.zeros((vocab, self.size))
        self.position_codes: Array = np.zeros((context, self.size))
        self.readout: Array = np.zeros((self.size, vocab))  # logits = u readout
        self.position_codes[:, self.slots["ballast"]] = BALLAST
        self._rotation: Array = np.linalg.qr(self.rng.standard_normal((self.size, self.size)))[0]
        self._order = [self.rng.permutation(heads) for _ in range(layers)]
        self._layers: list[list[Head]] = [[] for _ in range(layers)]

    def select(self, slot: str) -> Array:
        """[m, k]: reads the slot out of u."""
        return np.eye(self.size)[:, self.slots[slot]]

    def layer(self, index: int, heads: Sequence[Head]) -> None:
        """Declares all heads of a layer; their places are shuffled by the seed."""
        if len(heads) != len(self._order[index]):
            raise DeclarationError(f"{self.name}: layer {index} has {len(self._order[index])} heads; got {len(heads)}")
        self._layers[index] = list(heads)

    def heads(self, role: str) -> list[tuple[int, int]]:
        """(layer, head) of the heads with this role, in the order of their declaration."""
        return [
            (layer, int(self._order[layer][place]))
            for layer, heads in enumerate(self._layers)
            for place, head in enumerate(heads)
            if head.role == role
        ]

    def build(self) -> transformers.GPT2LMHeadModel:
        """The model: eval mode, float32, nothing requires a gradient. Leaves torch's global generator as it was."""
        width = 2 * self.size
        config = transformers.GPT2Config(
            vocab_size=self.vocab, n_positions=self.context, n_embd=width, n_layer=len(self._layers),
            n_head=width // self.head_dim, n_inner=8, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
            tie_word_embeddings=False, bos_token_id=None, eos_token_id=None, pad_token_id=None,
        )  # fmt: skip
        with torch.random.fork_rng(devices=[]):
            model: Any = transformers.GPT2LMHeadModel(config)
        model.eval().requires_grad_(False)
        for parameter in model.parameters():
            parameter.zero_()
        body = model.transformer
        _set(body.wte.weight, self._write(self.token_codes))
        _set(body.wpe.weight, self._write(self.position_codes))
        _set(model.lm_head.weight, self._read(self.readout).T)
        length = np.linalg.norm(self.token_codes[0] + self.position_codes[1])  # of an ordinary token and place
        gain = float(np.sqrt(length**2 / self.size + config.layer_norm_epsilon))  # undoes LayerNorm's division
        for norm in [body.ln_f, *(norm for block in body.h for norm in (block.ln_1, block.ln_2))]:
            norm.weight.fill_(gain)
        for block, heads, order in zip(body.h, self._layers, self._order, strict=True):
            for head, place in zip(heads, order, strict=True):
                self._place(block.attn, head, int(place))
        built: transformers.GPT2LMHeadModel = model
        return built

    def _place(self, attention: Any, head: Head, place: int) -> None:
        """Writes one head's columns of c_attn (query, key and value side by side) and rows of c_proj."""
        width, start = 2 * self.size, place * self.head_dim
        weight, bias = np.zeros((3, width, self.head_dim)), np.zeros(self.head_dim)
        at = 0
        for term in head.terms:
            part = slice(at, at + term.query.shape[1])
            at = part.stop
            if at > self.head_dim:
                raise DeclarationError(
                    f"{self.name}: scores of head {head.role!r} need more than {self.head_dim} dimensions"
                )
            weight[0][:, part] = self._read(term.query)
            weight[1][:, part] = self._read(term.key)
            if term.bias is not None:
                bias[part] = term.bias
        scale = np.sqrt(self.head_dim)  # GPT-2 divides scores by it
        carried = head.move.read.shape[1]
        weight[2][:, :carried] = self._read(head.move.read)
        for index, factor in enumerate((scale, 1.0, 1.0)):
            columns = slice(index * width + start, index * width + start + self.head_dim)
            _set(attention.c_attn.weight[:, columns], weight[index] * factor)
        _set(attention.c_attn.bias[start : start + self.head_dim], bias * scale)
        _set(attention.c_proj.weight[start : start + carried], self._write(head.move.write))

    def _read(self, reader: Array) -> Array:
        """[m, k] on u -> [2m, k] on the stream (u, -u), in the rotated basis."""
        rotated = self._rotation @ reader / 2
        return np.concatenate([rotated, -rotated])

    def _write(self, rows: Array) -> Array:
        """[n, m] of u -> [n, 2m] of the stream (u, -u), in the rotated basis."""
        rotated = rows @ self._rotation.T
        return np.concatenate([rotated, -rotated], axis=1)


def _set(parameter: torch.Tensor, values: Array) -> None:
    parameter.copy_(torch.from_numpy(np.ascontiguousarray(values)))
