"""One grammar for the places at which a model is read or changed.

    L3.H5.z          output of query head 5 of layer 3, before the output projection
    L3.H1,5.q        queries of two heads (after rotation); k and v: the keys and values that query head 5 sees
    L3.G1.k          keys of key-value group 1, for all query heads that share it
    L3.H5.pattern    attention weights; the position is that of the query
    L3.pre  L3.post  residual stream before and after layer 3
    L3.attn L3.mlp   what attention and MLP add to the residual stream
    L3.N17.neurons   inputs of the last linear map of the MLP
    ...@-1 @0,3 @2:5 positions;  @bos @separator @token=17,19  tokens of a class

Without heads or neurons all of them are meant, without a position every one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..errors import DeclarationError

if TYPE_CHECKING:
    import torch

    from ..subjects.tokens import Tokens
else:
    from ..lazy import LazyModule

    torch = LazyModule("torch")

#: Kinds that have one entry for each query head; `scores` are added to before the softmax and are named by edges only.
PER_HEAD = ("z", "q", "k", "v", "pattern")
STREAM = ("pre", "post", "attn", "mlp")
KINDS = (*PER_HEAD, *STREAM, "neurons")
CLASSES = ("bos", "separator")

_FORM = re.compile(r"L(?P<layer>\d+)(?:\.(?P<by>[HGN])(?P<index>\d+(?:,\d+)*))?\.(?P<kind>[a-z]+)(?:@(?P<where>.+))?")
_EXAMPLE = "L3.H5.z, L3.G1.k, L3.post@-1, L3.N17.neurons, L3.H5.pattern@bos"


@dataclass(frozen=True)
class Where:
    """Positions (negative ones count from the end), a range of them, or the places of tokens of a class."""

    positions: tuple[int, ...] | None = None
    span: tuple[int | None, int | None] | None = None
    token_class: str | None = None
    tokens: tuple[int, ...] | None = None

    @classmethod
    def parse(cls, given: Any) -> Where:
        """A `Where` from text (`-1`, `0,3`, `2:5`, `bos`, `token=17,19`), an integer, a slice or integers."""
        if isinstance(given, Where):
            return given
        if isinstance(given, slice) and given.step is None:
            return cls(span=(given.start, given.stop))
        if isinstance(given, int) and not isinstance(given, bool):
            return cls(positions=(given,))
        if not isinstance(given, str):
            try:
                return cls(positions=_some(tuple(int(number) for number in given), given))
            except (TypeError, ValueError):
                raise _no_place(given) from None
        if given in CLASSES:
            return cls(token_class=given)
        if match := re.fullmatch(r"(-?\d+)?:(-?\d+)?", given):
            return cls(span=(_number(match[1]), _number(match[2])))
        if match := re.fullmatch(r"(token=)?(-?\d+(?:,-?\d+)*)", given):
            numbers = tuple(int(number) for number in match[2].split(","))
            return cls(tokens=numbers) if match[1] else cls(positions=numbers)
        raise _no_place(given)

    def __str__(self) -> str:
        if self.positions is not None:
            return ",".join(map(str, self.positions))
        if self.span is not None:
            return ":".join("" if end is None else str(end) for end in self.span)
        return self.token_class or "token=" + ",".join(map(str, self.tokens or ()))

    def mask(
        self,
        ids: torch.Tensor,
        tokens: Tokens | None,
        start: int | torch.Tensor = 0,
        whole: int | torch.Tensor | None = None,
        ends: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """bool [rows, seq]: which of ids [rows, seq] are meant, `start` being the position of the first column.

        Args:
            whole: length that negative positions and open ranges count from; the length of ids by default.
            ends: [rows, 1], where the tokens of each row end and padding begins. `start` and `whole` may be such too.

        Raises:
            DeclarationError: positions beyond a sequence, or a token class that the subject does not have.
        """
        place = torch.arange(ids.shape[1], device=ids.device) + start
        if self.positions is not None or self.span is not None:
            length = ends if whole is None and ends is not None else start + ids.shape[1] if whole is None else whole
            return self._places(place, length).expand(ids.shape)
        if self.tokens is not None:
            found = torch.isin(ids, torch.tensor(self.tokens, device=ids.device))
        else:
            token = getattr(tokens, self.token_class or "", None)
            if token is None:
                raise DeclarationError(f"the subject has no {self.token_class} token: name positions, or token=ID")
            found = ids == int(token)
        return found if ends is None else found & (place < ends)

    def _places(self, place: torch.Tensor, length: int | torch.Tensor) -> torch.Tensor:
        """bool [seq] or [rows, seq]: which places are named, in sequences of some length or of [rows, 1] lengths."""
        least, most = (int(length.min()), int(length.max())) if isinstance(length, torch.Tensor) else (length, length)
        whose = "the sequences have" if least == most else "the shortest sequence has"
        if self.positions is not None:
            wrong = [at for at in self.positions if not -least <= at < least]
            if wrong:
                raise DeclarationError(f"position {wrong[0]} is out of range: {whose} positions 0 to {least - 1}")
            found = torch.zeros_like(place, dtype=torch.bool)
            for at in self.positions:
                found = found | (place == at % length)
            return found
        begin, end = self.span or (None, None)
        low, high = (
            torch.as_tensor(given if at is None else at if at >= 0 else length + at).clamp_min(0)
            for at, given in ((begin, 0), (end, length))
        )
        high = torch.minimum(high.to(place.device), torch.as_tensor(length, device=place.device))
        if not bool((low.to(place.device) < high).any()):
            raise DeclarationError(f"positions {self} are empty: {whose} positions 0 to {most - 1}")
        return (place >= low.to(place.device)) & (place < high)

@dataclass(frozen=True)
class Size:
    """What a model has: sites are checked against it. `neurons` is 0 where they cannot be reached."""

    family: str
    layers: int
    heads: int
    groups: int
    head_dim: int
    width: int
    neurons: int = 0


@dataclass(frozen=True)
class Site:
    """Where a model is read or changed; see the grammar above. `index`: heads or neurons; `group`: how it was named."""

    layer: int
    kind: str
    index: tuple[int, ...] | None = None
    where: Where | None = None
    by: str = ""

    @classmethod
    def parse(cls, given: str | Site) -> Site:
        """The site that a text names; DeclarationError with the nearest form."""
        if isinstance(given, Site):
            return given
        match = _FORM.fullmatch(given) if isinstance(given, str) else None
        if match is None:
            raise DeclarationError(f"{given!r} names no site: sites are written like {_EXAMPLE}")
        kind, by = match["kind"], match["by"] or ""
        if kind not in KINDS:
            near = difflib.get_close_matches(kind, KINDS, n=1, cutoff=0.4)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise DeclarationError(f"{given!r}: there is no kind {kind!r}: use {', '.join(KINDS)}{hint}")
        fits = "HG" if kind in PER_HEAD else "N" if kind == "neurons" else ""
        if by and by not in fits:
            what = {"H": "heads", "G": "key-value groups", "N": "neurons"}[by]
            raise DeclarationError(f"{given!r}: {kind} has no {what}: did you mean 'L{match['layer']}.{kind}'?")
        index = tuple(dict.fromkeys(int(number) for number in match["index"].split(","))) if by else None
        where = Where.parse(match["where"]) if match["where"] else None
        return cls(int(match["layer"]), kind, index, where, by)

    def __str__(self) -> str:
        index = "" if self.index is None else f".{self.by or 'H'}{','.join(map(str, self.index))}"
        where = "" if self.where is None else f"@{self.where}"
        return f"L{self.layer}{index}.{self.kind}{where}"

    def checked(self, size: Size) -> Site:
        """This site, if the model has it; DeclarationError naming what it has and the nearest valid site."""
        if not 0 <= self.layer < size.layers:
            near = replace(self, layer=min(max(self.layer, 0), size.layers - 1))
            raise DeclarationError(f"{self}: {size.family} has layers 0 to {size.layers - 1}; the nearest site is {near}")
        if self.index is not None:
            many = {"G": size.groups, "N": size.neurons}.get(self.by, size.heads)
            what = {"G": "key-value groups", "N": "neurons"}.get(self.by, "query heads")
            wrong = [number for number in self.index if not 0 <= number < many]
            if wrong or not self.index:
                kept = tuple(dict.fromkeys(min(max(number, 0), many - 1) for number in self.index)) or (0,)
                raise DeclarationError(
                    f"{self}: layer {self.layer} of {size.family} has {what} 0 to {many - 1}; the nearest site is "
                    f"{replace(self, index=kept)}"
                )
        return self

    def members(self, size: Size) -> tuple[int, ...] | None:
        """Query heads or neurons that are meant; None for all, and for what has neither."""
        if self.by != "G" or self.index is None:
            return self.index
        each = size.heads // size.groups
        return tuple(group * each + part for group in self.index for part in range(each))

    def unit(self, size: Size) -> tuple[int, ...]:
        """Shape of what the site holds at one row and position; -1 stands for the length of the sequence."""
        if self.kind in STREAM:
            return (size.width,)
        members = self.members(size)
        if self.kind == "neurons":
            return (size.neurons if members is None else len(members),)
        heads = size.heads if members is None else len(members)
        return (heads, -1 if self.kind == "pattern" else size.head_dim)


def sites_of(given: str | Site | Iterable[str | Site], size: Size) -> tuple[Site, ...]:
    """Checked sites from one or several; DeclarationError for none, and for one that is named twice."""
    several = [given] if isinstance(given, str | Site) else list(given)
    found = tuple(Site.parse(one).checked(size) for one in several)
    if not found:
        raise DeclarationError(f"an empty set of sites was given: name at least one, like {_EXAMPLE}")
    if len(set(found)) != len(found):
        twice = next(site for site in found if found.count(site) > 1)
        raise DeclarationError(f"{twice} is named twice")
    return found


def _some(numbers: tuple[int, ...], given: Any) -> tuple[int, ...]:
    if not numbers:
        raise _no_place(given)
    return numbers


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def _no_place(given: Any) -> DeclarationError:
    return DeclarationError(
        f"{given!r} names no positions: use integers (-1 is the last), a range 2:5, {', '.join(CLASSES)} or token=ID"
    )
