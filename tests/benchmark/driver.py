"""The same load as load.lua, for machines without wrk: `driver.py URL CONNECTIONS SECONDS PAUSE BODY TOKENS once|again CARDS|any`.

One thread a connection. A call that has begun when the time is up still counts.
"""

from __future__ import annotations

import http.client
import json
import random
import sys
import threading
import time
from collections import Counter
from itertools import cycle
from pathlib import Path
from urllib.parse import urlsplit


class Calls:
    """The calls of all connections, and what came back."""

    def __init__(self, url: str, body: bytes, tokens: list[str], *, again: bool, cards: int | None) -> None:
        self.address, self.body, self.cards = urlsplit(url), body, cards
        self.tokens = cycle(tokens) if again else iter(tokens)
        self.lock = threading.Lock()
        self.statuses: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.taken: list[float] = []
        self.short = False

    def connection(self, until: float, pause_s: float) -> None:
        """Calls, one after the other, on one connection that is opened anew when it breaks."""
        link = http.client.HTTPConnection(self.address.hostname, self.address.port, timeout=30)
        while time.perf_counter() < until:
            time.sleep(pause_s * (0.5 + random.random()))
            with self.lock:
                token = next(self.tokens, None)
            if token is None:
                self.short = True
                return
            started = time.perf_counter()
            try:
                self._call(link, token, started)
            except (OSError, http.client.HTTPException):
                link.close()
                with self.lock:
                    self.counts["broken"] += 1

    def _call(self, link: http.client.HTTPConnection, token: str, started: float) -> None:
        headers = {"Content-Type": "application/json", "X-Forwarded-Proto": "https", "Authorization": f"Bearer {token}"}
        link.request("POST", self.address.path, self.body, headers)
        answer = link.getresponse()
        text = answer.read()
        taken = time.perf_counter() - started
        with self.lock:
            self.taken.append(1000 * taken)
            self.statuses[str(answer.status)] += 1
            self.counts["wrong"] += answer.status == 200 and self.cards not in (None, text.count(b'"indicator"'))
            self.counts["with_retry_after"] += answer.status != 200 and "Retry-After" in answer.headers
            self.counts["closed"] += answer.headers["Connection"] == "close"


def main() -> None:
    url, connections, seconds, pause, body, tokens, mode, cards = sys.argv[1:]
    signed = Path(tokens).read_text().split()
    calls = Calls(
        url, Path(body).read_bytes(), signed, again=mode == "again", cards=None if cards == "any" else int(cards)
    )
    started = time.perf_counter()
    threads = [
        threading.Thread(target=calls.connection, args=(started + float(seconds), float(pause) / 1000))
        for _ in range(int(connections))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = sorted(calls.taken) or [0.0]
    result = {
        "seconds": time.perf_counter() - started, "statuses": calls.statuses, "sent": sum(calls.statuses.values()), "short": calls.short,
        **{name: calls.counts[name] for name in ("wrong", "with_retry_after", "closed", "broken")},
        **{f"p{share}": taken[min(len(taken) - 1, int(len(taken) * share / 100))] for share in (50, 99, 99.9)},
        "max": taken[-1],
    }  # fmt: skip
    print("RESULT", json.dumps(result))


if __name__ == "__main__":
    main()
