"""Reproduces every figure of docs/statistics.md by simulation: `python benchmarks/statistics.py [--write] [SECTION ...]`.

Prints one table a section; with --write the tables and pictures in docs/ are replaced. One thread, a few minutes.
"""

from __future__ import annotations

import sys

# A script's folder comes first on the path, where this file would hide the standard library's `statistics`.
sys.path.pop(0)

import argparse
import itertools
import math
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from claimbench.effect import Value
from claimbench.region import above, below
from claimbench.statistics import Judgement, Prompts, Seeds, adjust, judge, judge_correlation, restricted_mean
from claimbench.statistics.betting import Bets, first_crossing
from claimbench.statistics.means import t_interval
from claimbench.verdict import Verdict
from scipy import optimize, stats

DOCS = Path(__file__).resolve().parents[1] / "docs"
ERROR, DRAWS = 0.025, 4000
S, R = Verdict.SUPPORTED, Verdict.REFUTED
Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]

#: Shapes that effects take over seeds, each moved so that its median is zero, with its mean there.
SHAPES: dict[str, tuple[Draw, float]] = {
    "normal": (lambda rng, size: rng.normal(size=size), 0.0),
    "skewed (log-normal)": (lambda rng, size: rng.lognormal(size=size) - 1, math.exp(0.5) - 1),
    "heavy-tailed (t, 2 degrees)": (lambda rng, size: rng.standard_t(2, size), 0.0),
    # one seed in ten fails: of the others five ninths of a half lie above the median of all
    "bimodal (1 seed in 10 fails)": (
        lambda rng, size: np.where(rng.random(size) < 0.1, -9.0, rng.normal(0.0, 0.05, size) + 0.05 * 0.13971),
        0.9 * 0.05 * 0.13971 - 0.9,
    ),
    "discrete (three values)": (lambda rng, size: rng.choice([-1.0, 0.0, 1.0], p=[0.3, 0.25, 0.45], size=size), 0.15),
}


def points(numbers: Iterable[float]) -> list[dict[str, Value]]:
    return [{"effect": Value(float(x), float(x))} for x in numbers]


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def seeds() -> str:
    """Over both looks, by the judge itself; beside it what the t interval of six seeds would have done."""
    rng, rows = np.random.default_rng(1), []
    for name, (draw, mean) in SHAPES.items():
        covered, false, t_covered, t_false = 0, [0, 0], 0, [0, 0]
        for x in draw(rng, (DRAWS, 11)):
            found = judge(points(x), {"effect": above(0.0)}, Seeds())
            covered += found.effects[0].low <= 0 <= found.effects[0].high
            false[0] += found.verdict is S
            false[1] += judge(points(x), {"effect": below(0.0)}, Seeds()).verdict is S
            low, high = t_interval(x[:6], x[:6], 0.95)
            assert low is not None and high is not None
            t_covered += low <= mean <= high
            t_false[0] += low > mean
            t_false[1] += high < mean
        figures = (covered, max(false), t_covered, max(t_false))
        rows.append([name, *(percent(figure / DRAWS) for figure in figures)])
    head = ["effects", "median covered", "false SUPPORTED, worse edge", "mean covered by t", "false by t, worse edge"]
    return table(head, rows)


def rates() -> str:
    """Exact: over all outcomes of 6, then 5 more seeds, for 999 rates."""
    design, worst, least = Seeds(), 0.0, 1.0
    from claimbench.statistics.rates import interval

    limits = {(n, k): interval(k, k, n, design.error_at(n)) for n in (6, 11) for k in range(n + 1)}
    for rate in np.arange(1, 1000) / 1000:
        six, five = stats.binom.pmf(range(7), 6, rate), stats.binom.pmf(range(6), 5, rate)
        false = covered = 0.0
        for a, b in itertools.product(range(7), range(6)):
            low, high = limits[6, a]
            if low <= rate <= high:
                low, high = limits[11, a + b]
            false += six[a] * five[b] * (low > rate)
            covered += six[a] * five[b] * (low <= rate <= high)
        worst, least = max(worst, false), min(least, covered)
    return table(
        ["rate of an event, any true rate", "figure"],
        [["least coverage, both looks", percent(least)], ["most false SUPPORTED, both looks", percent(worst)]],
    )


#: Batches in [0, 1] (the clipped range), with their mean.
BATCHES: dict[str, tuple[Draw, float]] = {
    "normal": (lambda rng, size: np.clip(rng.normal(0.5, 0.15, size), 0, 1), 0.5),
    "skewed": (lambda rng, size: rng.beta(0.5, 4.5, size), 0.1),
    "heavy-tailed, clipped": (lambda rng, size: np.clip(0.5 + 0.1 * rng.standard_t(2, size), 0, 1), 0.5),
    "bimodal (1 batch in 10 fails)": (lambda rng, s: np.where(rng.random(s) < 0.1, 0.0, rng.beta(20, 5, s)), 0.72),
    "discrete (a rate of 0.1)": (lambda rng, size: (rng.random(size) < 0.1).astype(float), 0.1),
}


def prompts() -> str:
    """Looking after every one of 200 batches, at the true mean; beside it the t interval at every look from 6 on."""
    rng, rows, n = np.random.default_rng(2), [], np.arange(1, 201)
    quantile = np.array([math.inf, *stats.t.ppf(0.975, n[:-1])])
    for name, (draw, mean) in BATCHES.items():
        x = draw(rng, (DRAWS, 200))
        over = np.array([math.isfinite(first_crossing(Bets.on(row, 133).log_capital(mean), ERROR, 1)) for row in x])
        under = [math.isfinite(first_crossing(Bets.on(1 - row, 133).log_capital(1 - mean), ERROR, 1)) for row in x]
        average = np.cumsum(x, axis=1) / n
        spread = np.sqrt(np.maximum(0, np.cumsum(x**2, axis=1) / n - average**2) * n / np.maximum(1, n - 1))
        margin = quantile[1:] * spread[:, 1:] / np.sqrt(n[1:])
        t_over, t_under = (average[:, 1:] - margin > mean)[:, 4:], (average[:, 1:] + margin < mean)[:, 4:]
        at_end = 1 - (t_over[:, -1] | t_under[:, -1]).mean()
        false, t_false = max(over.mean(), np.mean(under)), max(t_over.any(1).mean(), t_under.any(1).mean())
        figures = (1 - (over | under).mean(), false, at_end, t_false)
        rows.append([name, *map(percent, figures)])
    head = ["batches", "mean covered, all looks", "false SUPPORTED, worse edge", "t covers at 200", "false by t, all looks"]
    return table(head, rows)


def templates() -> str:
    """40 templates of five prompts, looked at after each whole template; beside it the same prompts, each taken for a replicate."""
    rng, rows, draws, each = np.random.default_rng(10), [], 2000, 5
    for name, (draw, mean) in BATCHES.items():
        template = draw(rng, (draws, 40, 1))
        prompt = template + 0.5 * np.minimum(template, 1 - template) * rng.uniform(-1, 1, (draws, 40, each))
        figures: list[float] = []
        for x, planned in ((prompt.mean(2), 40), (prompt.reshape(draws, -1), 200)):
            wrong = [
                [math.isfinite(first_crossing(Bets.on(row, planned).log_capital(m), ERROR, 1)) for row, m in both]
                for both in (((row, mean) for row in x), ((1 - row, 1 - mean) for row in x))
            ]
            figures += [1 - float(np.any(wrong, 0).mean()), max(map(float, np.mean(wrong, 1)))]
        rows.append([name.replace("batch", "template"), *map(percent, figures)])
    head = ["templates", "mean covered, all looks", "false SUPPORTED, worse edge", "covered by prompt", "false by prompt"]
    return table(head, rows)


def order() -> str:
    """One look at 60 batches, normal with a spread of 0.3 b, as they were drawn and in another random order."""
    rng, rows, n, sd, draws = np.random.default_rng(9), [], 60, 0.3, 2000
    region, design = {"effect": above(0.0)}, Prompts({"effect": 1.0}, most=n, least=n, tuned_for=n)
    distance = (1.96 + 1.2816) * sd / math.sqrt(design.planned)
    for times in (0, 0.5, 1, 1.5, 2):
        found = []
        for x in rng.normal(times * distance, sd, (draws, n)):
            found.append({judge(points(some), region, design).verdict for some in (x, rng.permutation(x))})
        counted = (
            found.count({S}),
            found.count({R}),
            sum(S in one or R in one for one in found if len(one) > 1),
            found.count({S, R}),
        )
        rows.append([f"{times:g} d*", *(percent(figure / draws) for figure in counted)])
    return table(["true mean", "SUPPORTED in both orders", "REFUTED in both", "in one order only", "turned round"], rows)


def beta(rng: np.random.Generator, mean: float, sd: float, size: tuple[int, ...]) -> np.ndarray:
    """Draws in [0, 1] with this mean and standard deviation: of a beta distribution, or coins at sd 0.5."""
    if sd == 0.5:
        return (rng.random(size) < mean).astype(float)
    total = mean * (1 - mean) / sd**2 - 1
    return rng.beta(mean * total, (1 - mean) * total, size)


def stops(x: np.ndarray, edge: float, planned: float) -> np.ndarray:
    return np.array([first_crossing(Bets.on(row, planned).log_capital(edge), ERROR, 1) for row in x])


def effort() -> str:
    """The bets are tuned to the fixed design's n, cut off at 1.5 n; the edge is the middle of the range."""
    rng, rows, edge, draws = np.random.default_rng(3), [], 0.5, 1000
    for fixed, spread in itertools.product((33, 67, 133, 333, 667), (0.1, 0.2, 0.3, 0.4, 0.6, 1.0)):
        sd, cells = spread / 2, []
        distance = (1.96 + 1.2816) * sd / math.sqrt(fixed)
        for times in (1, 2, 3):
            mean = edge + times * distance
            if not 0 < mean < 1 or (sd < 0.5 and sd**2 >= mean * (1 - mean)):
                cells.append("–")
                continue
            x = beta(rng, mean, sd, (draws, fixed * 3 // 2))
            found = stops(x, edge, fixed)
            if times == 1:
                cells.append(f"{np.isfinite(found).mean():.2f}")
            cells.append(f"{np.minimum(found, 1.5 * fixed).mean() / fixed:.2f} ({limit(x, edge) / fixed:.2f})")
        margin = (1.96 + 1.6449) * sd / math.sqrt(fixed)
        x = beta(rng, edge, sd, (draws, fixed * 3 // 2))
        null = np.maximum(stops(x, edge - margin, fixed), stops(1 - x, edge - margin, fixed))
        cells.append(f"{np.isfinite(null).mean():.2f}")
        cells.append(f"{np.minimum(null, 1.5 * fixed).mean() / fixed:.2f}")
        rows.append([f"{fixed}, {spread:g}", *cells])
    return table(["n, sd / b", "power at d*", "at d*", "at 2 d*", "at 3 d*", "power, null", "null"], rows)


def limit(x: np.ndarray, edge: float) -> float:
    """The mean number of values that the best constant bet needs: that of someone who knows the distribution."""
    values = x.ravel()[:100_000]
    best = optimize.minimize_scalar(
        lambda stake: -np.log1p(stake * (values / edge - 1)).mean(), bounds=(0, 0.9999), method="bounded"
    )
    return float(math.log(1 / ERROR) / -best.fun)


def widths() -> str:
    """Mean width, both sides, tuned to a maximum of 200 throughout."""
    rng, rows = np.random.default_rng(4), []
    try:
        import ville
    except ImportError:
        ville = None
    for n, (name, (draw, _)) in itertools.product((10, 100, 1000), BATCHES.items()):
        ours, theirs, theirs_own = 0.0, 0.0, 0.0
        for x in draw(rng, (20, n)):
            ours += 1 - Bets.on(x, 133).lower_limit(ERROR) - Bets.on(1 - x, 133).lower_limit(ERROR)
            theirs += 1 - published(x) - published(1 - x)
            if ville is not None:
                low, high = ville.BettingCS(alpha=2 * ERROR).fit(x).interval()
                theirs_own += high - low
        library = f"{ours / theirs_own:.2f}" if ville is not None else "not installed"
        rows.append([f"{n}, {name}", f"{ours / 20:.3f}", f"{ours / theirs:.2f}", library])
    return table(["n, batches", "width, of the range", "over the paper's sequence", "over ville 0.1.0"], rows)


def published(x: np.ndarray) -> float:
    """Lower limit of the hedged predictable plug-in sequence, Waudby-Smith and Ramdas, eq. 24 to 27."""
    n = np.arange(1, len(x) + 1)
    mean = (0.5 + np.cumsum(x)) / (n + 1)
    variance = (0.25 + np.cumsum((x - mean) ** 2)) / (n + 1)
    bets = np.sqrt(2 * math.log(1 / ERROR) / (np.append(0.25, variance[:-1]) * n * np.log(n + 1)))
    low, high = 0.0, 1.0
    while high - low > 1e-6:
        m = (low + high) / 2
        won = np.cumsum(np.log1p(np.minimum(bets, 0.5 / m) * (x - m))).max() >= -math.log(ERROR)
        low, high = (m, high) if won else (low, m)
    return low


PAIRS: dict[str, Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]] = {
    "normal, 0.8": lambda rng, n: (x := rng.normal(size=n), 0.8 * x + 0.6 * rng.normal(size=n)),
    "skewed": lambda rng, n: (x := rng.exponential(size=n), x + rng.exponential(size=n)),
    "heavy-tailed": lambda rng, n: (x := rng.standard_t(2, size=n), 0.7 * x + rng.standard_t(2, size=n)),
    "bimodal (1 run in 10 fails)": lambda rng, n: (
        x := rng.normal(size=n) - 8 * (fails := rng.random(n) < 0.1),
        0.3 * x * ~fails + rng.normal(size=n) - 8 * fails,
    ),
    "discrete": lambda rng, n: ((x := rng.integers(0, 4, n)).astype(float), np.round(0.6 * x + rng.normal(size=n))),
    "dependent, uncorrelated": lambda rng, n: (x := rng.normal(size=n), x * rng.normal(size=n)),
}


def correlations() -> str:
    """16 runs; beside it the usual interval of Spearman's correlation (Bonett and Wright 2000)."""
    rng, rows, region = np.random.default_rng(5), [], above(0, unit="correlation")
    for name, draw in PAIRS.items():
        tau = float(np.mean([concordance(*draw(rng, 2000)) for _ in range(20)]))
        rho = float(np.mean([stats.spearmanr(*draw(rng, 4000)).statistic for _ in range(20)]))
        over = under = b_over = b_under = found = 0
        for _ in range(DRAWS):
            x, y = draw(rng, 16)
            judged = judge_correlation(x, y, region)
            over, under = over + (judged.effects[0].low > tau), under + (judged.effects[0].high < tau)
            found += judged.verdict is S
            r = float(stats.spearmanr(x, y).statistic)
            centre, margin = math.atanh(max(-0.999, min(0.999, r))), 1.96 * math.sqrt((1 + r**2 / 2) / 13)
            b_over += math.tanh(centre - margin) > rho
            b_under += math.tanh(centre + margin) < rho
        figures = (1 - (over + under) / DRAWS, max(over, under) / DRAWS)
        usual = (1 - (b_over + b_under) / DRAWS, max(b_over, b_under) / DRAWS)
        cells = [*map(percent, figures), percent(found / DRAWS), *map(percent, usual)]
        rows.append([f"{name} (tau {tau + 0.0:.2f})", *cells])
    head = ["pairs", "tau covered", "missed, worse side", "SUPPORTED above 0", "usual interval covers", "misses, worse side"]
    return table(head, rows)


def concordance(x: np.ndarray, y: np.ndarray) -> float:
    n = len(x)
    return float((np.sign(x - x[:, None]) * np.sign(y - y[:, None])).sum()) / (n * (n - 1))


def times() -> str:
    """Times with a budget of 1; the truth is the mean of the times cut there."""
    rng, rows, draws = np.random.default_rng(6), [], 2000
    shapes: dict[str, Draw] = {
        "normal": lambda rng, size: np.abs(rng.normal(0.5, 0.15, size)),
        "exponential": lambda rng, size: rng.exponential(0.5, size),
        "log-normal": lambda rng, size: rng.lognormal(-1.2, 0.8, size),
        "heavy-tailed (t, 2 degrees)": lambda rng, size: np.abs(0.5 + 0.1 * rng.standard_t(2, size)),
        "discrete (records at four times)": lambda rng, size: rng.choice([0.25, 0.5, 0.75, 9.0], p=[0.3, 0.3, 0.2, 0.2], size=size),
        "one run in ten never": lambda rng, size: np.where(rng.random(size) < 0.1, 9.0, rng.normal(0.2, 0.02, size)),
    }
    for (name, draw), n in itertools.product(shapes.items(), (6, 11)):
        truth = float(np.minimum(draw(rng, (1_000_000,)), 1).mean())
        covered = 0
        for x in draw(rng, (draws, n)):
            found = restricted_mean([Value(t, t) if t <= 1 else Value(1, math.inf) for t in x], 1.0)
            covered += (found.low or 0.0) <= truth <= (found.high or 0.0)
        rows.append([f"{name}, {n} runs", percent(covered / draws)])
    return table(["times", "restricted mean covered"], rows)


def suite() -> str:
    """60 claims of 11 seeds; of those that hold the effect is two standard deviations beyond the edge."""
    rng, rows = np.random.default_rng(7), []
    for holds in (0.9, 0.5, 0.1):
        wrong, raw_wrong, kept, raw_kept, repeats = 0.0, 0.0, 0.0, 0.0, 60
        for _ in range(repeats):
            truth = rng.random(60) < holds
            found = [judge(points(rng.normal(2.0 * t, 1, 11)), {"effect": above(0.0)}, Seeds()) for t in truth]
            for name, verdicts in (
                ("raw", [one.verdict for one in found]),
                ("adjusted", [one.adjusted for one in adjust(found)]),
            ):
                false = sum(v is S and not t for v, t in zip(verdicts, truth, strict=True))
                right = sum(v is S and t for v, t in zip(verdicts, truth, strict=True))
                share, power = false / max(1, false + right), right / max(1, int(truth.sum()))
                if name == "raw":
                    raw_wrong, raw_kept = raw_wrong + share / repeats, raw_kept + power / repeats
                else:
                    wrong, kept = wrong + share / repeats, kept + power / repeats
        rows.append([percent(holds), *map(percent, (raw_wrong, wrong, raw_kept, kept))])
    head = ["claims that hold", "wrong among SUPPORTED, raw", "adjusted", "true ones SUPPORTED, raw", "adjusted"]
    return table(head, rows)


def speed() -> str:
    """Half of them on 11 seeds, half on at most 60 prompt batches."""
    rng = np.random.default_rng(8)
    x, y = rng.normal(rng.choice([0, 1, 3], (5000, 1)), 1, (5000, 11)), rng.normal(0.2, 0.25, (5000, 60))
    stored = [(points(row), Seeds()) for row in x]
    stored += [(points(row), Prompts({"effect": 1.0}, most=60, tuned_for=60)) for row in y]
    start = time.process_time()
    for replicates, design in stored:
        judge(replicates, {"effect": above(0.1)}, design)
    return table(["judging 10,000 stored results", ""], [["processor seconds", f"{time.process_time() - start:.1f}"]])


SECTIONS: dict[str, Callable[[], str]] = {
    "seeds": seeds,
    "rates": rates,
    "prompts": prompts,
    "templates": templates,
    "order": order,
    "effort": effort,
    "widths": widths,
    "correlations": correlations,
    "times": times,
    "suite": suite,
    "speed": speed,
}


# Pictures: plain SVG, drawn from judgements made here.

INK, SOFT, GOOD, BAD, MAYBE = "#1c2733", "#8794a1", "#1a7f4b", "#b3382c", "#a06a00"
COLOURS = {S: GOOD, R: BAD, Verdict.INCONCLUSIVE: MAYBE}


class Picture:
    """A drawing of `width` by `height`, whose data lie in `x` and `y` inside the margins."""

    def __init__(self, width: int, height: int, x: tuple[float, float], y: tuple[float, float], left: int = 60) -> None:
        self.size, self.x, self.y = (width, height), x, y
        self.box = (left, 14, width - 18, height - 40)
        self.parts: list[str] = []

    def at(self, x: float, y: float) -> tuple[float, float]:
        left, top, right, bottom = self.box
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return left + across * (right - left), bottom - up * (bottom - top)

    def band(self, x: tuple[float, float], y: tuple[float, float], colour: str, opacity: float) -> None:
        (x0, y0), (x1, y1) = self.at(x[0], y[1]), self.at(x[1], y[0])
        shape = f'x="{x0:.1f}" y="{y0:.1f}" width="{x1 - x0:.1f}" height="{y1 - y0:.1f}"'
        self.parts.append(f'<rect {shape} fill="{colour}" opacity="{opacity}"/>')

    def line(self, xs: Sequence[float], ys: Sequence[float], colour: str, width: float = 2, dash: str = "") -> None:
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in (self.at(x, y) for x, y in zip(xs, ys, strict=True)))
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dashes}/>')

    def dot(self, x: float, y: float, colour: str, size: float = 3) -> None:
        a, b = self.at(x, y)
        self.parts.append(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="{size}" fill="{colour}"/>')

    def text(self, x: float, y: float, words: str, colour: str = INK, anchor: str = "start", down: int = 4) -> None:
        a, b = self.at(x, y)
        self.parts.append(f'<text x="{a:.1f}" y="{b + down:.1f}" fill="{colour}" text-anchor="{anchor}">{words}</text>')

    def axis(self, ticks: Sequence[float], label: str) -> None:
        self.line(self.x, (self.y[0], self.y[0]), SOFT, 1)
        for tick in ticks:
            self.text(tick, self.y[0], f"{tick:g}", SOFT, "middle", 16)
        self.text(sum(self.x) / 2, self.y[0], label, INK, "middle", 33)

    def svg(self, title: str) -> str:
        width, height = self.size
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{title}" '
            f'font-family="system-ui, sans-serif" font-size="13"><title>{title}</title>'
            f'<rect width="{width}" height="{height}" fill="#fff"/>' + "".join(self.parts) + "</svg>\n"
        )


def picture_verdicts() -> str:
    """Six seeds each: where the interval lies."""
    cases = [
        ("all beyond the edge", [0.31, 0.44, 0.38, 0.52, 0.6, 0.35]),
        ("all short of it", [0.02, -0.05, 0.06, 0.0, 0.03, -0.1]),
        ("one seed does not do it", [0.31, 0.44, -0.02, 0.52, 0.6, 0.35]),
        ("the same, eleven seeds", [0.31, 0.44, -0.02, 0.52, 0.6, 0.35, 0.4, 0.33, 0.48, 0.55, 0.29]),
    ]
    picture = Picture(720, 230, (-0.2, 0.95), (-0.6, 3.6), left=180)
    picture.band((0.1, 0.7), (-0.6, 3.6), GOOD, 0.1)
    picture.line((0.1, 0.1), (-0.6, 3.6), GOOD, 1, "4 3")
    picture.text(0.11, 3.5, "region: above 0.1", GOOD, down=2)
    for row, (name, numbers) in zip((3, 2, 1, 0), cases, strict=True):
        found = judge(points(numbers), {"effect": above(0.1)}, Seeds())
        (effect,) = found.effects
        colour = COLOURS[found.verdict]
        picture.line((effect.low, effect.high), (row - 0.12, row - 0.12), colour, 5)
        for number in numbers:
            picture.dot(number, row + 0.14, INK, 2.5)
        picture.text(-0.22, row, name, INK, "end")
        picture.text(0.72, row, found.verdict.value, colour)
    picture.axis((-0.2, 0, 0.2, 0.4, 0.6), "effect of a seed (dots) and interval of the median (bar)")
    return picture.svg("Where the interval lies decides the verdict")


def picture_seeds() -> str:
    """Exact: for normal seeds, the probability of each verdict against the true distance from the edge."""
    distances = np.linspace(-3, 3, 121)
    p = stats.norm.cdf(distances)
    q = 1 - p
    supported, refuted = (a**6 + 6 * a**5 * b * a**5 for a, b in ((p, q), (q, p)))
    picture = Picture(720, 260, (-3, 3), (0, 1.05))
    picture.line((0, 0), (0, 1.05), SOFT, 1, "4 3")
    for curve, verdict in ((refuted, R), (supported, S), (1 - supported - refuted, Verdict.INCONCLUSIVE)):
        picture.line(distances, curve, COLOURS[verdict])
        top = int(np.argmax(curve))
        anchor, place = ("start", -2.9) if verdict is R else ("end", 2.9) if verdict is S else ("middle", 0.0)
        picture.text(place, curve[top], verdict.value, COLOURS[verdict], anchor, -6)
    picture.axis((-3, -2, -1, 0, 1, 2, 3), "distance of the true median from the edge, in standard deviations over seeds")
    for tick in (0, 0.5, 1):
        picture.text(-3.05, tick, f"{tick:g}", SOFT, "end")
    return picture.svg("Probability of each verdict with at most eleven seeds")


def picture_prompts() -> str:
    """One run of prompt batches on one model, until it is decided."""
    x = np.random.default_rng(3).normal(0.24, 0.25, 120)
    design, region = Prompts({"effect": 1.0}, most=120, tuned_for=120), {"effect": above(0.1)}
    steps: list[Judgement] = []
    for n in range(1, 121):
        steps.append(judge(points(x[:n]), region, design))
        if steps[-1].decided:
            break
    numbers = range(1, len(steps) + 1)
    picture = Picture(720, 260, (0, len(steps) * 1.25), (-1, 1))
    picture.band((0, len(steps) * 1.25), (0.1, 1), GOOD, 0.1)
    picture.text(len(steps) * 1.24, 0.9, "region: above 0.1", GOOD, "end")
    for number, value in zip(numbers, x, strict=False):
        picture.dot(number, max(-1.0, min(1.0, value)), SOFT, 2)
    for end in ("low", "high"):
        picture.line(numbers, [getattr(one.effects[0], end) for one in steps], INK)
    picture.line(numbers, [one.effects[0].estimate or 0.0 for one in steps], INK, 1, "3 3")
    picture.text(len(steps) * 1.01, steps[-1].effects[0].low, steps[-1].verdict.value, COLOURS[steps[-1].verdict])
    picture.axis([n for n in range(0, len(steps) + 10, 10) if n <= len(steps) * 1.25], "prompt batches")
    for tick in (-1, 0, 1):
        picture.text(-len(steps) * 0.01, tick, f"{tick:g}", SOFT, "end")
    return picture.svg("The confidence sequence narrows until it lies inside the region")


PICTURES = {"verdicts": picture_verdicts, "seeds": picture_seeds, "prompts": picture_prompts}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)}; all by default")
    parser.add_argument("--write", action="store_true", help="replace the tables and pictures in docs/")
    options = parser.parse_args()
    if unknown := [name for name in options.sections if name not in SECTIONS]:
        parser.error(f"unknown section {unknown[0]}; choose from {', '.join(SECTIONS)}")
    page = DOCS / "statistics.md"
    for name in options.sections or SECTIONS:
        start = time.perf_counter()
        made = SECTIONS[name]()
        print(f"## {name} ({time.perf_counter() - start:.0f} s)\n\n{made}\n", flush=True)
        if options.write:
            text = page.read_text(encoding="utf-8")
            before, rest = text.split(f"<!-- begin {name} -->\n")
            after = rest.split(f"<!-- end {name} -->")[1]
            page.write_text(f"{before}<!-- begin {name} -->\n{made}\n<!-- end {name} -->{after}", encoding="utf-8", newline="\n")
    if options.write:
        (DOCS / "pictures").mkdir(exist_ok=True)
        for name, draw in PICTURES.items():
            (DOCS / "pictures" / f"statistics-{name}.svg").write_text(draw(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
