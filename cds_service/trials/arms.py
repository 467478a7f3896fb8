"""The arm of the n-th unit of a stratum: permuted blocks, drawn with the deployment's key, which others do not have.

The same key, trial, seed, stratum and number always give the same arm: what was assigned can be computed again.
"""

from __future__ import annotations

import hmac

from cds_service.settings.trials import Trial

LIVE, SILENT = "live", "silent"


def arm_of(key: bytes, trial: Trial, stratum: str, number: int) -> str:
    """The arm of the unit with this number, from 0. A block has one of the protocol's sizes, half of it each arm."""
    start = block = 0
    while True:
        size = trial.blocks[int.from_bytes(_draw(key, trial, stratum, f"size {block}")) % len(trial.blocks)]
        if number < start + size:
            drawn = [_draw(key, trial, stratum, f"{block} {place}") for place in range(size)]
            return LIVE if sorted(drawn).index(drawn[number - start]) < size // 2 else SILENT
        start, block = start + size, block + 1


def _draw(key: bytes, trial: Trial, stratum: str, what: str) -> bytes:
    parts = (trial.id, trial.site, trial.seed, stratum, what)
    return hmac.digest(key, "\0".join(parts).encode(), "sha256")
