"""The hand-written induction head with a tokenizer of words, so that tasks of text can be asked of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from claimbench.running.collecting import load_all_organisms
from claimbench.subjects.family import family
from claimbench.subjects.lm import LM
from claimbench.subjects.tokens import sample_text

#: Words as a model's tokenizer has them: the most frequent of the shipped text.
NAMES = [word for word, _ in Counter(sample_text().split()).most_common(126)]


def word_tokenizer() -> Any:
    """Ids 0 to 125 are words, 126 begins a text, 127 separates."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: number for number, word in enumerate([*NAMES, "<s>", "<sep>"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<sep>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", unk_token="<sep>", eos_token="<sep>")


def word_net(seed: int = 0) -> LM:
    """The constructed induction head of a seed, which copies b after "a b ... a"."""
    load_all_organisms([], Path.cwd())
    net = family("constructed-induction-head").subject(seed)
    return LM(net.model, tokens=net.tokens, tokenizer=word_tokenizer(), name="words", facts=net.facts)


def lines(n: int = 24, seed: int = 0, pairs: tuple[int, int] = (2, 6), bos: bool = True) -> list[dict[str, str]]:
    """Items "a1 b1 a2 b2 ... ai" of various lengths, whose target is bi and whose distractor another b."""
    import numpy as np

    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        k = int(rng.integers(pairs[0], pairs[1] + 1))
        words = rng.choice(NAMES, 2 * k, replace=False).tolist()
        right, wrong = rng.choice(k, 2, replace=False)
        prompt = " ".join([*["<s>"] * bos, *words, words[2 * right]])
        found.append({"prompt": prompt, "target": words[2 * right + 1], "distractor": words[2 * wrong + 1]})
    return found
