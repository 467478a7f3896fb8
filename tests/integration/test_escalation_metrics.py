"""How escalations stand, in /metrics and /health/ready, and the example alert rules; on SQLite and PostgreSQL."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from ehr import app_of, kept_in, private, served, settings
from episodes import episodes
from governance_desk import PAGED, fill_escalations
from hook_calls import client_of

from cds_service.errors import StoreUnavailable
from cds_service.escalation import escalations
from cds_service.escalation.records import one
from cds_service.hooks import audit
from cds_service.monitoring.counting import site_figures
from cds_service.monitoring.site_figures import write_figures
from cds_service.serving import escalation_metrics
from cds_service.storage.opening import open_store
from cds_service.storage.tables import delivery, escalation
from cds_service.storage.versions import upgrade

RULES = Path(__file__).parents[2] / "docs" / "examples" / "prometheus-alerts.yml"
OURS = re.compile(r"\bmhcds_[a-z_]+")


@pytest.fixture
def folder(tmp_path, store_url) -> Path:
    new = open_store(store_url)
    upgrade(new)
    new.close()
    (tmp_path / "sites").mkdir()
    private(tmp_path / "sites" / "pager-secret", "whsec_" + "cHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBw")
    return settings(tmp_path, service=kept_in(store_url, tmp_path), site={"consent": "not-used", "escalation": PAGED})


@pytest.fixture
def app(folder):
    return app_of(folder)


@pytest.fixture(autouse=True)
def _always_fresh(monkeypatch) -> None:
    monkeypatch.setattr(escalation_metrics, "FRESH_S", 0.0)
    monkeypatch.setattr(escalation_metrics, "COUNTED_EVERY_S", 0.0)


def sample(app, name: str, **labels: str) -> float | None:
    """The value of one line of /metrics; None where there is none."""
    text = app.test_client().get("/metrics").text
    said = "{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}" if labels else ""
    found = re.search(rf"^{re.escape(name + said)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else None


def ready(app) -> tuple[int, str, str]:
    answer = app.test_client().get("/health/ready")
    found = answer.get_json()
    return answer.status_code, found["status"], found["checks"]["escalations"]


def arrive(app) -> None:
    runtime = app.extensions["mhcds"]
    with runtime.store.transaction() as connection:
        waits = delivery.update().where(delivery.c.delivered.is_(None))
        connection.execute(waits.values(delivered=int(runtime.now().timestamp()), attempts=1))


def test_open_overdue_and_the_oldest_are_counted_by_site_without_drills(app) -> None:
    assert sample(app, "mhcds_escalations_open", site="north") == 0
    fill_escalations(app)

    assert sample(app, "mhcds_escalations_open", site="north") == 2
    assert sample(app, "mhcds_escalations_overdue", site="north") == 1
    assert 2400 <= sample(app, "mhcds_escalation_oldest_seconds", site="north") < 2460
    assert sample(app, "mhcds_escalations_nobody_on_duty", site="north") == 0
    assert sample(app, "mhcds_escalation_contacts_on_duty", site="north") == 2
    assert sample(app, "mhcds_escalations_opened_total", site="north") == 3
    assert sample(app, "mhcds_escalations_acknowledged_total", site="north", through="feedback") == 1
    assert sample(app, "mhcds_escalations_acknowledged_total", site="north", through="page") == 0
    bucket = "mhcds_escalation_acknowledge_seconds_bucket"
    assert [sample(app, bucket, le=le, site="north") for le in ("120.0", "300.0", "+Inf")] == [0, 1, 1]
    assert sample(app, "mhcds_escalation_acknowledge_seconds_sum", site="north") == 240


def test_no_line_holds_an_id(app) -> None:
    ids = fill_escalations(app)

    text = app.test_client().get("/metrics").text

    for word in (*ids, *ids.values(), "Crisis pager", "rhea", app.extensions["mhcds"].key.pseudonym("north", "told-1")):
        assert word not in text


def test_what_is_overdue_degrades_the_service_and_does_not_take_it_out_of_use(app) -> None:
    assert ready(app) == (200, "ready", "ok")
    assert sample(app, "mhcds_degraded") == 0
    ids = fill_escalations(app)
    arrive(app)

    assert ready(app) == (200, "degraded", "1 overdue")
    assert sample(app, "mhcds_degraded") == 1

    runtime = app.extensions["mhcds"]
    with runtime.store.transaction() as connection:
        escalations.acknowledge(connection, ids["overdue 1"], by="Ann", through="page", now=runtime.now())
    assert ready(app) == (200, "ready", "ok")


def test_a_message_that_has_not_arrived_for_ten_minutes_degrades_it_too(app) -> None:
    ids = fill_escalations(app)
    runtime = app.extensions["mhcds"]
    arrive(app)
    with runtime.store.transaction() as connection:
        escalations.acknowledge(connection, ids["overdue 1"], by="Ann", through="page", now=runtime.now())
        theirs = delivery.update().where(delivery.c.escalation == ids["told-1"])
        connection.execute(theirs.values(delivered=None, at=(runtime.now() - timedelta(minutes=11)).isoformat()))
        assert one(connection, ids["told-1"]).told is None

    assert ready(app) == (200, "degraded", "messages to contacts have not arrived for 11 minutes")
    assert 660 <= sample(app, "mhcds_escalation_undelivered_seconds", site="north") < 720


def test_one_for_which_nobody_is_on_duty_degrades_it(app) -> None:
    ids = fill_escalations(app)
    arrive(app)
    changed(app, ids["overdue 1"], status="closed")
    changed(app, ids["told-1"], contact=None, step=0, due=int(app.extensions["mhcds"].now().timestamp()) + 7200)

    assert ready(app) == (200, "degraded", "1 with no contact on duty")
    assert sample(app, "mhcds_escalations_nobody_on_duty", site="north") == 1


def test_a_turn_that_nobody_takes_degrades_it_though_every_message_has_arrived(app) -> None:
    """As where the thread that looks has died."""
    ids = fill_escalations(app)
    arrive(app)
    changed(app, ids["overdue 1"], status="closed")
    changed(app, ids["told-1"], due=int(app.extensions["mhcds"].now().timestamp()) - 200)

    assert ready(app) == (200, "degraded", "the next contact should have been told 3 minutes ago")
    assert 200 <= sample(app, "mhcds_escalation_turn_late_seconds", site="north") < 260


def test_one_of_a_site_that_left_the_settings_degrades_it(app) -> None:
    ids = fill_escalations(app)
    arrive(app)
    changed(app, ids["overdue 1"], status="closed")
    changed(app, ids["told-1"], site="renamed")

    assert ready(app) == (200, "degraded", "1 open at sites that tell nobody")
    assert sample(app, "mhcds_escalations_untold") == 1


def changed(app, identifier: str, **values) -> None:
    with app.extensions["mhcds"].store.transaction() as connection:
        connection.execute(escalation.update().where(escalation.c.id == identifier).values(values))


def test_a_drill_that_nobody_answers_degrades_nothing(app) -> None:
    fill_escalations(app)
    runtime = app.extensions["mhcds"]
    with runtime.store.transaction() as connection:
        connection.execute(delivery.delete().where(delivery.c.escalation.in_(real := _ids(connection, drill=False))))
        connection.execute(escalation.update().values(round=4))
        connection.execute(
            delivery.update().values(delivered=None, at=(runtime.now() - timedelta(hours=2)).isoformat())
        )
        assert real
        connection.execute(escalation.update().where(escalation.c.drill.is_(False)).values(status="closed"))

    assert ready(app) == (200, "ready", "ok")


def _ids(connection, *, drill: bool) -> list[str]:
    return [row.id for row in connection.execute(escalation.select()) if row.drill is drill]


def test_sites_that_tell_nobody_have_no_metric_and_nothing_to_check(tmp_path) -> None:
    app = app_of(settings(tmp_path))

    assert sample(app, "mhcds_escalations_open", site="north") is None
    assert ready(app) == (200, "ready", "ok")


def test_while_the_store_fails_the_other_metrics_are_still_there(app, monkeypatch) -> None:
    def fails(_self: object) -> None:
        raise StoreUnavailable("the store failed")

    monkeypatch.setattr(escalation_metrics.EscalationMetrics, "_standing", fails)

    answer = app.test_client().get("/metrics")

    assert answer.status_code == 200
    assert "mhcds_calls_total" in answer.text
    assert "mhcds_escalations_open" not in answer.text
    assert ready(app) == (200, "degraded", "unknown, since the store failed")


def test_cards_that_a_limit_held_back_are_counted_by_topic_and_limit(tmp_path, monkeypatch) -> None:
    noted = audit.AuditRecord.note_cards

    def limited(record, cards, topics) -> None:
        record.note(suppressed=("screening-prompt daily-limit",))
        noted(record, cards, topics)

    monkeypatch.setattr(audit.AuditRecord, "note_cards", limited)
    name, labels = "mhcds_suppressed_cards_total", {"limit": "daily-limit", "topic": "screening-prompt"}
    client = client_of(tmp_path)
    before = sample(client.flask.application, name, **labels) or 0

    assert client.call().status_code == 200

    assert sample(client.flask.application, name, **labels) == before + 1


# ---- the example rules ----


def test_every_metric_that_an_example_rule_names_is_there(app) -> None:
    fill_escalations(app)
    runtime = app.extensions["mhcds"]
    write_figures(runtime.store, "north", site_figures(episodes(600), threshold=0.2, now=runtime.now()))
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]

    text = app.test_client().get("/metrics").text

    assert len({rule["alert"] for rule in rules}) == len(rules) >= 6
    for rule in rules:
        assert {"expr", "labels", "annotations"} <= set(rule)
        for name in OURS.findall(rule["expr"]):
            assert re.search(rf"^{name}[ {{]", text, re.MULTILINE), name


def test_the_figures_are_the_same_from_every_worker(folder) -> None:
    fill_escalations(app_of(folder))

    with served(folder, "--workers", "2") as running:
        seen = {
            re.search(r"^mhcds_escalations_opened_total\{.*", running.get("/metrics").text, re.MULTILINE)[0]
            for _ in range(8)
        }

    assert seen == {'mhcds_escalations_opened_total{site="north"} 3.0'}
