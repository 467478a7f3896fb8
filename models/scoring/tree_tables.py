"""The margin of one row and its exact contributions, from tables that are made when a booster is loaded.

A tree sends a row left or right at each of its splits, and its contributions follow from these ways alone. Each tree
is cut below its root into two halves of four splits: the root, its child on one side, and that child's two children.
The contributions of a half in its 16 cases are worked out beforehand; a row then costs one comparison a split and one
look-up a half (decision 0035). Deeper trees have too many cases: XGBoost itself answers for them.

Contributions are the Shapley values of the path-dependent tree game (Lundberg et al. 2020, "From local explanations to
global understanding with explainable AI for trees"), as XGBoost's `pred_contribs` and shap's TreeExplainer give them:
a split on a feature outside the coalition takes both ways, weighted by the training rows that went there. They are
computed here by the definition, since a path of three splits has three players at most. `boosters` makes the tables and
compares them with XGBoost whenever a model is loaded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

ADDITIVITY_TOLERANCE = 1e-5
"""Largest allowed difference between a score and the sum of its contributions, in log-odds."""

DEEPEST = 3
_SPLITS = 4
_CASES = 2**_SPLITS
_LEFT = (np.arange(_CASES)[:, None] >> np.arange(_SPLITS) & 1).astype(bool)
"""(case, split): whether the row goes left there. Splits: the root, its child, that child's left and right child."""


class Parts(NamedTuple):
    """A margin in log-odds, and the same as the base value and one contribution for each feature, in order."""

    margin: float
    base: float
    contributions: list[float]


PartsOfRow = Callable[[Sequence[float | None]], Parts]
"""The parts of a row of inputs, in the order of the schema; None is a missing value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeTables:
    """The tables of one booster: h half trees, each with four splits and 16 cases.

    columns, limits, features: shape (4 h,). A split sends a row left if the value in its column is below its limit;
    `features` holds its feature, or the number of features for a split that is not there. cases: shape (h,), the first
    case of each half. contributions: shape (16 h, 4), of each split in each case. leaves: shape (16 h,), the leaf that
    is reached, 0 where it is in the other half. before: the margin without any tree. All of these in log-odds.
    """

    columns: NDArray[np.intp]
    limits: NDArray[np.float32]
    cases: NDArray[np.intp]
    features: NDArray[np.intp]
    contributions: NDArray[np.float64]
    leaves: NDArray[np.float64]
    before: float
    base: float

    def parts(self, values: Sequence[float | None]) -> Parts:
        """The margin of one row and its parts; None is a missing value."""
        # A missing value goes the default way: it is below all limits in the first half of the row, above in the other.
        row = [-math.inf if v is None else v for v in values] + [math.inf if v is None else v for v in values]
        left = np.array(row, dtype=np.float32).take(self.columns) < self.limits
        cases = self.cases + np.packbits(left.reshape(-1, _SPLITS), axis=1, bitorder="little").ravel()
        by_feature = np.bincount(self.features, self.contributions.take(cases, axis=0).ravel(), len(values) + 1)
        return Parts(
            margin=self.before + float(self.leaves.take(cases).sum()),
            base=self.base,
            contributions=by_feature[: len(values)].tolist(),
        )


class _Half(NamedTuple):
    """Half a tree: of each split its feature, limit, default way and the share that went left; its four leaves."""

    features: list[int]
    limits: list[float]
    default_left: list[bool]
    shares: list[float]
    leaves: list[float]
    is_left: bool


def tables_of(trained: Mapping[str, Any], width: int, unknown_margin: float) -> TreeTables | None:
    """The tables of XGBoost's description of a booster; None if it has other trees than plain ones of three splits.

    width: the number of features. unknown_margin: the margin of a row without any value.
    """
    trees = trained["model"]["trees"] if trained["name"] == "gbtree" else ()
    if not trees or any(any(tree["split_type"]) or _depth(tree, 0) > DEEPEST for tree in trees):
        return None
    tables = _tables([_half(tree, width, is_left=side) for tree in trees for side in (True, False)], width)
    before = unknown_margin - tables.parts([None] * width).margin
    return replace(tables, before=before, base=tables.base + before)


def _depth(tree: Mapping[str, Any], node: int) -> int:
    if tree["left_children"][node] == -1:
        return 0
    return 1 + max(_depth(tree, tree[side][node]) for side in ("left_children", "right_children"))


def _half(tree: Mapping[str, Any], width: int, *, is_left: bool) -> _Half:
    """A leaf above the last level stands in for the splits and leaves that are not there below it."""
    ways = tree["left_children"], tree["right_children"]

    def below(node: int, way: int) -> int:
        return node if ways[0][node] == -1 else int(ways[way][node])

    child = below(0, 0 if is_left else 1)
    splits = [0, child, below(child, 0), below(child, 1)]
    real = [ways[0][node] != -1 for node in splits]
    weight, values = tree["sum_hessian"], tree["split_conditions"]
    return _Half(
        features=[
            tree["split_indices"][node] if is_real else width for node, is_real in zip(splits, real, strict=True)
        ],
        limits=[values[node] if is_real else -math.inf for node, is_real in zip(splits, real, strict=True)],
        default_left=[bool(tree["default_left"][node]) for node in splits],
        shares=[weight[ways[0][n]] / weight[n] if is_real else 0.5 for n, is_real in zip(splits, real, strict=True)],
        leaves=[values[below(splits[2 + leaf // 2], leaf % 2)] for leaf in range(4)],
        is_left=is_left,
    )


def _tables(halves: Sequence[_Half], width: int) -> TreeTables:
    """The tables of trees alone: without the margin that is there before any tree."""
    features, limits, default_left, shares, leaves, is_left = map(np.array, zip(*halves, strict=True))
    contributions = np.zeros((len(halves), _CASES, _SPLITS))
    reached = np.zeros((len(halves), _CASES))
    expected = 0.0
    for leaf in range(4):
        path = (0, 1, 2 + leaf // 2)
        ways = (is_left, np.full_like(is_left, leaf < 2), np.full_like(is_left, leaf % 2 == 0))
        value = leaves[:, leaf, None]
        # At each split of the path: whether a row keeps to it, by half and case; and the share of rows that did.
        keeps = [(_LEFT[:, split] == way[:, None]) * 1.0 for split, way in zip(path, ways, strict=True)]
        share = [np.where(w, shares[:, s], 1 - shares[:, s])[:, None] for s, w in zip(path, ways, strict=True)]
        reached += value * math.prod(keeps)
        expected += float((value * math.prod(share)).sum())
        _join_repeated(features[:, path, None], keeps, share)
        for place, split in enumerate(path):
            contributions[:, :, split] += value * _shapley(place, keeps, share)
    return TreeTables(
        columns=np.where(features == width, 0, features + width * ~default_left).ravel(),
        limits=limits.astype(np.float32).ravel(),
        cases=np.arange(len(halves)) * _CASES,
        features=features.ravel(),
        contributions=contributions.reshape(-1, _SPLITS),
        leaves=reached.ravel(),
        before=0.0,
        base=expected,
    )


def _join_repeated(features: NDArray[np.intp], keeps: list[Any], share: list[Any]) -> None:
    """Of splits on one feature the first stands for all: as a player the feature has one part in the game.

    features: shape (h, 3, 1), of the splits on the path. The others become players without a part.
    """
    for first, other in ((0, 1), (0, 2), (1, 2)):
        same = features[:, first] == features[:, other]
        for factors in (keeps, share):
            factors[first] = np.where(same, factors[first] * factors[other], factors[first])
            factors[other] = np.where(same, 1.0, factors[other])


def _shapley(player: int, keeps: Sequence[Any], share: Sequence[Any]) -> Any:  # noqa: ANN401  # arrays that broadcast
    """The Shapley value of one of three players: a coalition is worth the keeps of those in it times others' shares."""
    one, two = (other for other in range(3) if other != player)
    others = keeps[one] * keeps[two] / 3 + share[one] * share[two] / 3
    others = others + (keeps[one] * share[two] + share[one] * keeps[two]) / 6
    return (keeps[player] - share[player]) * others
