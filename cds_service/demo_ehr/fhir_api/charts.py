"""The charts that the demo EHR holds, in memory: read, searched, and written by the app.

One lock guards every change, so that concurrent requests never lose or duplicate a resource. References of written
resources are kept for the page to list. Nothing outlives the process.
"""

from __future__ import annotations

import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from cds_service.demo_ehr.codes import Json
from cds_service.demo_ehr.search import bundle, meets, owner, search


class ManyMatches(Exception):
    """A conditional create found more than one resource."""


class VersionConflict(Exception):
    """An update was made for another version than the one in the chart."""


def now_utc() -> datetime:
    """The time now."""
    return datetime.now(UTC)


class Charts:
    """All resources of the demo EHR, by patient and by reference. Raises ValueError when two share an id."""

    def __init__(self, charts: Iterable[Sequence[Json]], now: Callable[[], datetime] = now_utc) -> None:
        held = [resource for chart in charts for resource in chart]
        self._by_reference = {reference_of(resource): resource for resource in held}
        if len(self._by_reference) != len(held):
            raise ValueError("expected every resource of the demo to have its own id; found one twice")
        self._written: list[str] = []
        self._changes: Counter[str | None] = Counter()
        self._lock = threading.Lock()
        self._now = now

    @property
    def resources(self) -> tuple[Json, ...]:
        """Everything, in chart order."""
        with self._lock:
            return tuple(self._by_reference.values())

    def read(self, resource_type: str, resource_id: str) -> Json | None:
        """One resource, or None."""
        with self._lock:
            return self._by_reference.get(f"{resource_type}/{resource_id}")

    def page(
        self,
        base: str,
        resource_type: str,
        parameters: Sequence[tuple[str, str]],
        allowed: Callable[[Json], bool] | None = None,
    ) -> Json:
        """One searchset page of what is `allowed` (default: all). Raises SearchError for an unreadable parameter."""
        visible = [resource for resource in self.resources if allowed is None or allowed(resource)]
        return bundle(search(visible, resource_type, parameters), base, resource_type, parameters)

    def of(self, patient_id: str) -> tuple[Json, ...]:
        """One patient's chart, the Patient first."""
        return tuple(resource for resource in self.resources if owner(resource) == f"Patient/{patient_id}")

    def written(self, patient_id: str) -> tuple[Json, ...]:
        """What apps wrote into a patient's chart, latest first."""
        with self._lock:
            resources = [self._by_reference[reference] for reference in reversed(self._written)]
        return tuple(resource for resource in resources if owner(resource) == f"Patient/{patient_id}")

    def changes(self, patient_id: str) -> int:
        """How often apps wrote to a patient's chart."""
        return self._changes[f"Patient/{patient_id}"]

    def add(self, resource: Json) -> None:
        """Puts a resource of the EHR's own in, unless its reference is there already."""
        with self._lock:
            self._by_reference.setdefault(reference_of(resource), resource)

    def create(self, resource: Json, unless: str | None = None) -> tuple[Json, bool]:
        """The resource as stored, and whether it is new. `unless`: an identifier that keeps a second one from being.

        Raises ManyMatches when more than one resource of that patient has the identifier.
        """
        with self._lock:
            if unless is not None:
                same = [held for held in self._alike(resource) if meets(held, "identifier", unless)]
                if len(same) > 1:
                    raise ManyMatches
                if same:
                    return same[0], False
            stored = self._stamped(resource | {"id": secrets.token_hex(8)}, 1)
            self._by_reference[reference_of(stored)] = stored
            self._written.append(reference_of(stored))
            self._changes[owner(stored)] += 1
        return stored, True

    def update(self, resource: Json, version: int | None = None) -> Json:
        """The resource as stored in the place of the one of its id. Raises KeyError without one, VersionConflict."""
        reference = reference_of(resource)
        with self._lock:
            before = version_of(self._by_reference[reference])
            if version not in (None, before):
                raise VersionConflict
            stored = self._stamped(resource, before + 1)
            self._by_reference[reference] = stored
            if reference in self._written:
                self._written.remove(reference)
            self._written.append(reference)
            self._changes[owner(stored)] += 1
        return stored

    def _alike(self, resource: Json) -> list[Json]:
        kind, patient = resource["resourceType"], owner(resource)
        return [r for r in self._by_reference.values() if r["resourceType"] == kind and owner(r) == patient]

    def _stamped(self, resource: Json, version: int) -> Json:
        meta = resource.get("meta")
        stamp = {"versionId": str(version), "lastUpdated": self._now().isoformat(timespec="milliseconds")}
        return resource | {"meta": (meta if isinstance(meta, dict) else {}) | stamp}


def reference_of(resource: Json) -> str:
    """Type and id, as references name it."""
    return f"{resource['resourceType']}/{resource['id']}"


def version_of(resource: Json) -> int:
    """The version of a stored resource; what the demo began with is version 1."""
    return int(resource.get("meta", {}).get("versionId", 1))
