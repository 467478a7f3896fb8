"""Plants one defect at a time in a copy of the project and says which test notices it first.

Run by `make defects` (some minutes); no test by itself. Each defect is a change that somebody could make by mistake.
The table it prints is docs/generated/defects.md, which is written anew with `make defects ARGS=--write`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "generated" / "defects.md"
CONTRACT = "tests/contract"
STORE = "tests/integration/test_store.py"
SERVED = "tests/integration/test_served.py"
CONTROL = "tests/integration/test_control.py"
CONNECTIONS = "tests/integration/test_connections.py"
OVERLOAD = "tests/integration/test_overload.py"
TRUST = "tests/contract/test_trust.py"
SMART = "tests/contract/test_smart_launch.py"
GOVERNANCE = "tests/contract/test_governance_sign_in.py"
GOVERNANCE_PAGES = "tests/contract/test_governance_pages.py"
ESCALATION_PAGES = "tests/contract/test_governance_escalations.py"
ESCALATION_METRICS = "tests/integration/test_escalation_metrics.py"
FIGURES = "tests/integration/test_figures.py"
STOP_RULE = "tests/integration/test_stop_rule.py"
FLOODS = "tests/integration/test_launch_floods.py"
UNIT_SMART = "tests/unit/smart_launch"
GAP_CARD = "tests/integration/test_gap_card.py"
FETCHING = "tests/integration/test_fetching.py"
LONG = "tests/integration/test_long_queries.py"
REQUESTS = "tests/contract/test_requests.py"
FEEDBACK = "tests/contract/test_feedback.py"
SITES = "tests/contract/test_site_addresses.py"
STAGES = "tests/integration/test_stage_times.py"
MODELS = "tests/integration/test_model_versions.py"
WEBHOOKS = "tests/integration/test_webhooks.py"
SENDING = "tests/integration/test_escalation_sending.py"
MAIL = "tests/integration/test_escalation_mail.py"
TASKS = "tests/integration/test_escalation_tasks.py"
ACKNOWLEDGED = "tests/contract/test_acknowledgement.py"
TABLES = "tests/unit/models/test_tree_tables.py"
TOLD = "tests/unit/explanations/test_escalations.py"
LIMITS = "tests/unit/explanations/test_alert_limits.py"
LIMITS_RANDOM = "tests/property/test_alert_limits.py"
LIMITS_IN_CALLS = "tests/integration/test_alert_limits.py"
LINKING = "tests/clinical/test_linking_cases.py"
RESULTS = "tests/unit/explanations/test_measured.py"
ON_RECORD = "tests/integration/test_outcomes_on_record.py"
IN_APP = "tests/integration/test_escalation_in_app.py"


@dataclass(frozen=True)
class Defect:
    """`old` becomes `new` in `file`; `what` says it in words; `tests` are those that should notice."""

    what: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...] = (CONTRACT,)


DEFECTS = (
    # ---- who may call
    Defect("the signature is not checked", "cds_service/trust/auth.py", 'if not good:\n        raise Unauthenticated("signature")', "good = tuple(entries)", (TRUST,)),
    Defect("a key takes any algorithm", "cds_service/trust/auth.py", "if algorithm in key.algorithms:", "if key:", (TRUST,)),
    Defect("the algorithm is not looked up in the site's list", "cds_service/trust/auth.py", "i.iss == iss and algorithm in i.algorithms", "i.iss == iss", (TRUST,)),
    Defect("the kid is not compared", "cds_service/trust/auth.py", "if k.kid == kid and (", "if (", (TRUST,)),
    Defect("jku is not compared", "cds_service/trust/auth.py", "jku is None or jku in i.jku", "True", (TRUST,)),
    Defect("critical extensions are passed over", "cds_service/trust/auth.py", ' or "crit" in header', "", (TRUST,)),
    Defect("typ is not looked at", "cds_service/trust/auth.py", 'kind.upper() != "JWT"', "not kind", (TRUST,)),
    Defect("issuers are compared without the slash at their end", "cds_service/trust/auth.py", "if i.iss == iss and", "if isinstance(iss, str) and i.iss == iss.rstrip('/') and", (TRUST,)),
    Defect("the audience may begin with the address", "cds_service/trust/auth.py", "a in (*addresses, *entry.audiences)", "a.startswith(addresses) or a in entry.audiences", (TRUST,)),
    Defect("an expired token is good", "cds_service/trust/auth.py", "if expires <= now - entry.leeway_s:", "if False:", (TRUST,)),
    Defect("a token of the future is good", "cds_service/trust/auth.py", "if max(issued, start or issued) > now + entry.leeway_s:", "if False:", (TRUST,)),
    Defect("nbf is passed over", "cds_service/trust/auth.py", "max(issued, start or issued)", "issued", (TRUST,)),
    Defect("tokens may live for ever", "cds_service/trust/auth.py", "expires <= issued or expires - issued > entry.max_lifetime_s", "expires <= issued", (TRUST,)),
    Defect("the tenant is passed over", "cds_service/trust/auth.py", "if entry.tenants and", "if False and", (TRUST,)),
    Defect("jti may be missing", "cds_service/trust/auth.py", "if not isinstance(jti, str) or not jti or", "if jti is not None and", (TRUST,)),
    Defect("the reason of a refusal is told", "cds_service/errors.py", 'super().__init__("expected Authorization', 'super().__init__(why + "expected Authorization', (TRUST,)),
    Defect("the sandbox's key is taken from others", "cds_service/trust/auth.py", "(entry.sandbox or k.thumbprint != SANDBOX_KEY)", "True", (TRUST,)),
    Defect("the body is read before the token is judged", "cds_service/hooks/call.py", "            client = authenticate(", "            json_body(request, config.body_bytes)\n            client = authenticate(", (TRUST,)),
    Defect("production answers plain http", "cds_service/trust/admission.py", 'config.mode == "production" and request.scheme', "False and request.scheme", (TRUST,)),
    Defect("everybody may call when no issuer is known", "cds_service/trust/admission.py", 'if config.mode == "demo" and', 'if (config.mode == "demo" or not config.issuers) and', (TRUST,)),
    Defect("redirects of a key host are followed", "cds_service/keys/key_sets.py", "allow_redirects=False", "allow_redirects=True", (TRUST,)),
    Defect("a failing key host empties the set", "cds_service/keys/key_sets.py", "            cached.next_retry = self._clock()", "            cached.keys = ()\n            cached.next_retry = self._clock()", (TRUST,)),
    Defect("a set that is gone is trusted on", "cds_service/keys/key_sets.py", "if isinstance(error, SetGone):", "if False:", (TRUST,)),
    Defect("keys are trusted for ever", "cds_service/keys/key_sets.py", " and self.read_at > since)", ")", (TRUST,)),
    Defect("every unknown kid leads to a reading", "cds_service/keys/key_sets.py", "cached.next_for_unknown = now + BETWEEN_READS_S", "cached.next_for_unknown = 0.0", (TRUST,)),
    # ---- tokens and records
    Defect("a used token is not kept", "cds_service/storage/calls.py", ".fetchone() is not None\n            for row in rows", ".fetchone() != 0\n            for row in rows", (f"{STORE}::test_of_many_who_use_a_token_at_once_one_gets_in",)),
    Defect("each event is linked to the head that the batch began with", "cds_service/storage/calls.py", "heads[row.site] = number, _ = event[1], event[-1]", "number = event[1]", ("tests/integration/test_audit_chain.py",)),
    Defect("a chain begins as every other does", "cds_service/storage/chain.py", 'f"mhcds audit\\0{site}"', 'f"mhcds audit\\0"', ("tests/integration/test_audit_verify.py",)),
    Defect("whatever was erased counts as erased by right", "cds_service/audit/verify.py", "        allowed = merged(self.by_right)\n", "        allowed = [(1, self.seq)]\n", ("tests/integration/test_audit_verify.py",)),
    Defect("used tokens are forgotten before they expire", "cds_service/storage/housekeeping.py", "used_token.c.expires < now - TOKEN_KEPT_S", "used_token.c.expires < now + TOKEN_KEPT_S", (f"{STORE}::test_a_used_token_stays_used_when_the_clock_goes_back",)),
    Defect("whether a row is new is asked of the driver", "cds_service/storage/store.py", "connection.execute(add.returning(*table.primary_key.columns)).first() is not None", "connection.execute(add).rowcount != 0", (STORE,)),
    Defect("an answer leaves before its row is written", "cds_service/hooks/audit.py", "        return runtime.store.write_answer(row) is not None\n", "        __import__('threading').Timer(0.2, runtime.store.write_answer, (row,)).start()\n        return True\n", (SERVED,)),
    Defect("a token that another call has used meanwhile is answered", "cds_service/hooks/audit.py", "    if not is_first:\n        metrics", "    if False:\n        metrics", (f"{STORE}::test_of_two_calls_at_once_with_one_token_one_is_answered_and_both_are_on_record",)),
    Defect("a call above the limit uses its token", "cds_service/trust/admission.py", "        give_back(runtime, client)\n", "", (f"{STORE}::test_a_call_above_the_limit_does_not_use_its_token",)),
    Defect("waits for PostgreSQL have no bound", "cds_service/storage/postgresql.py", "self.limit_s if timeout is None else timeout", "timeout", (f"{STORE}::test_a_postgresql_that_hangs_is_waited_for_no_longer_than_a_call_may",)),
    Defect("a deleted database is not noticed", "cds_service/storage/lost_file.py", "return self.opened is not None and self.opened != self.identity()", "return False", (f"{STORE}::test_a_sqlite_file_that_is_deleted_comes_back_with_all_that_was_acknowledged",)),
    Defect("readiness writes nothing", "cds_service/serving/health.py", "            self._store.write_probe()\n", "", (f"{STORE}::test_while_the_store_is_away_rules_answer_the_record_goes_to_the_log_and_it_recovers",)),
    Defect("the patient's id is written as it is", "cds_service/hooks/audit.py", "patient=key.pseudonym(site, patient)", "patient=patient", (STORE,)),
    Defect("comments are kept in the clear", "cds_service/hooks/feedback.py", "comment=key.seal(comment)", "comment=comment.encode()", (STORE,)),
    Defect("feedback finds the cards of other sites", "cds_service/storage/store.py", "sa.and_(card.c.uuid == item.card, card.c.site.in_(sites))", "card.c.uuid == item.card", (STORE,)),
    Defect("a hookInstance is kept as it came", "cds_service/hooks/audit.py", "hook_instance=key.pseudonym(site, hook_instance)", "hook_instance=hook_instance", (FEEDBACK,)),
    Defect("foreign codes of feedback are kept as they came", "cds_service/hooks/feedback.py", "reason_code=code if known else", "reason_code=code if True else", (FEEDBACK,)),
    Defect("each repeat of feedback is a row", "cds_service/hooks/feedback.py", 'digest=key.pseudonym("feedback", json.dumps(content))', 'digest=__import__("uuid").uuid4().hex', (STORE,)),
    Defect("a store that fails stops the answer", "cds_service/hooks/audit.py", "    except StoreUnavailable:\n", "    except KeyError:\n", (STORE,)),
    Defect("a token for the switch opens hook calls, and one for hooks the switch", "cds_service/trust/auth.py", "[i for i in entries if use in i.uses]", "entries", ("tests/contract/test_control_endpoints.py",)),
    Defect("a system of one site switches another site off", "cds_service/hooks/control_routes.py", "if body.site not in client.sites:", "if not body.site:", ("tests/contract/test_control_endpoints.py",)),
    Defect("an approval goes on after its last day", "cds_service/settings/approvals.py", "if today > approval.review_by:", "if False:", ("tests/unit/cds_service/test_approvals.py",)),
    Defect("an opt-out tells no worker", "cds_service/control/opt_outs.py", "            changed(connection)\n", "", ("tests/integration/test_opt_outs.py",)),
    Defect("a call of a stranger uses a token", "cds_service/trust/admission.py", "        client = _verified(runtime, config, request, now, use)\n", "        runtime.store.use(TokenUse(digest='x', expires=0, client='x', at=0))\n        client = _verified(runtime, config, request, now, use)\n", (f"{STORE}::test_a_refused_call_is_not_on_record",)),
    Defect("a reader of the log that hangs stops the service", "cds_service/serving/log.py", "self._pipe.poll(1000 * WAIT_S if now >= self._next_wait else 0)", "self._pipe.poll(None)", (f"{SERVED}::test_a_reader_of_the_log_that_hangs_holds_up_no_call",)),
    Defect("a worker that ends waits for no call", "cds_service/serving/server.py", '"graceful_timeout": 30', '"graceful_timeout": 0', (f"{SERVED}::test_a_stop_lets_calls_under_way_finish", f"{SERVED}::test_a_reload_and_workers_that_end_under_load_drop_no_call")),
    Defect("answers that reached only the log are counted and not put back", "cds_service/storage/replay.py", "            store.write_answer(row)\n", "            pass\n", (f"{SERVED}::test_kill_9_under_load_loses_no_acknowledged_row",)),
    Defect("the settings of a bad file are half taken", "cds_service/settings/live.py", "            self._keep(str(error))\n            return", "            self._config = ServiceConfig(sites=())\n            return", (SERVED,)),
    Defect("a worker that ends removes the counters of all", "cds_service/serving/server.py", "if os.getpid() == master:", "if True:", (SERVED,)),
    Defect("a start removes the counters of a service that runs", "cds_service/serving/server.py", "fcntl.flock(os.open(folder, os.O_RDONLY), fcntl.LOCK_EX)", "os.open(folder, os.O_RDONLY)", (CONNECTIONS,)),
    Defect("a key host that hangs holds all calls", "cds_service/keys/key_sets.py", "free = self._waiting < self._most_waiting()", "free = True", (f"{TRUST}::test_a_key_host_that_hangs_holds_only_some_of_the_calls",)),
    Defect("anybody may change settings", "cds_service/settings/private_files.py", "    changed = [*_modes(trusted), *_modes(sorted(folders))]", "    changed = []", ("tests/unit/cds_service/test_private_files.py",)),
    Defect("every poll of readiness writes to the store", "cds_service/serving/health.py", "self._next = time.monotonic() + PROBE_S", "self._next = 0.0", (f"{STORE}::test_however_many_poll_there_is_one_probe_in_a_while",)),
    Defect("half heads hold all threads", "cds_service/serving/slow_clients.py", "HEAD = Phase(most_s=5, how=socket.SHUT_RD, most=MOST_AT_ONCE)", "HEAD = Phase(most_s=60, how=socket.SHUT_RD)", (CONNECTIONS,)),
    Defect("heads have no limit", "cds_service/serving/worker.py", "        self.max_buffer_headers = MOST_HEAD\n", "", (CONNECTIONS,)),
    Defect("answers that are not taken hold all threads", "cds_service/serving/worker.py", "SLOW_CLIENTS.begin(ANSWER)", "SLOW_CLIENTS.end()", (CONNECTIONS,)),
    Defect("a refusal before the body says keep-alive", "cds_service/serving/worker.py", "if not whole or connection.cut:", "if False:", (CONNECTIONS,)),
    Defect("hooks are answered at the port of health", "cds_service/serving/worker.py", 'environ["PATH_INFO"] not in HEALTH_PATHS', "False", (CONNECTIONS,)),
    # ---- more calls than can be answered
    Defect("an acute answer waits for a slot like any other", "cds_service/hooks/beyond_limits.py", "acute = may_be_acute(body, maps)", "acute = not body", (OVERLOAD,)),
    Defect("every call beyond the slots is worked on", "cds_service/hooks/beyond_limits.py", "acute = may_be_acute(body, maps)", "acute = True", (OVERLOAD,)),
    Defect("calls about acute answers have no limit at all", "cds_service/hooks/beyond_limits.py", "slots.hold(ACUTE_SLOTS, ", "slots.hold(1000, ", (OVERLOAD,)),
    Defect("a call beyond the slots reads the FHIR server", "cds_service/hooks/access.py", "    if not reads:\n", "    if not hook:\n", (OVERLOAD,)),
    Defect("a call that is refused for want of a slot uses its token", "cds_service/hooks/beyond_limits.py", "            else:\n                give_back(runtime, client)\n", "", (OVERLOAD,)),
    Defect("a client above its limit gets no acute answer", "cds_service/hooks/call.py", "except (Overloaded, TooManyCalls):", "except Overloaded:", (OVERLOAD,)),
    Defect("half bodies beyond the slots hold all threads", "cds_service/hooks/beyond_limits.py", "    SLOW_CLIENTS.begin(SPARE_BODY)\n", "", (OVERLOAD,)),
    Defect("an escaped code is not seen", "fhir_adapters/reading/acute_codes.py", "if ESCAPED.search(body) or ", "if ", ("tests/unit/fhir_adapters/test_acute_codes.py",)),
    Defect("a site's own codes are not seen", "fhir_adapters/reading/acute_codes.py", "code in mapped or ", "", ("tests/unit/fhir_adapters/test_acute_codes.py", OVERLOAD)),
    Defect("our own screen is not seen", "fhir_adapters/reading/acute_codes.py", "if at_end else OWN_QUESTIONS.get(code)", "if at_end else None", ("tests/unit/fhir_adapters/test_acute_codes.py",)),
    Defect("our own forms are read as of no instrument", "fhir_adapters/reading/questionnaires/response_items.py", "OWN_QUESTIONS.get(link) or ", "", ("tests/unit/smart_launch/test_forms.py",)),
    Defect("after Never the AUDIT-C has no total", "fhir_adapters/reading/questionnaires/totals.py", "form.score(ending) == 0", "False", ("tests/unit/smart_launch/test_forms.py",)),
    Defect("coded self-harm is not seen", "fhir_adapters/reading/acute_codes.py", "event_kind(row.group) in ACUTE_KINDS", "not row", ("tests/clinical/test_tables.py",)),
    # ---- requests
    Defect("an empty hookInstance is taken", "cds_service/hooks/parsing.py", "if not hook.hook or not hook.hook_instance:", "if not hook.hook:"),
    Defect("any hook is answered at any address", "cds_service/hooks/parsing.py", "if hook.hook != service.hook:", "if False:"),
    Defect("a prefixed patient id is taken", "cds_service/hooks/parsing.py", "if not is_bare(context.patient_id):", "if False:"),
    Defect("the token's patient may be another", "cds_service/hooks/parsing.py", "if granted.patient is not None and granted.patient != hook.context.patient_id:", "if False:"),
    Defect("the token goes to any FHIR server", "cds_service/hooks/access.py", "    if base is None:", "    base = base or server\n    if False:", ("tests/integration/test_fetching.py", CONTRACT)),
    Defect("two addresses may be in one text", "fhir_adapters/access/addresses.py", "if not (url.isascii() and url.isprintable()) or set(url) & NOT_IN_BASE:", "if False:", (FETCHING,)),
    Defect("unpacked bodies have no limit", "cds_service/serving/body.py", "unpacker.decompress(packed, limit + 1)", "unpacker.decompress(packed)", ("tests/contract",)),
    Defect("garbage is collected while calls are under way", "cds_service/serving/worker.py", " and self.is_at_rest():", ":", (f"{CONNECTIONS}::test_garbage_is_collected_when_no_call_is_under_way",)),
    Defect("garbage is never collected at rest", "cds_service/serving/worker.py", "            gc.collect(2 if gc.get_count()[2] > FULL_AFTER else 1)\n", "            pass\n", (f"{CONNECTIONS}::test_garbage_is_collected_when_no_call_is_under_way",)),
    Defect("each thread of a worker keeps a heap of its own", "cds_service/serving/server.py", "        share_one_heap()\n", "", (f"{CONNECTIONS}::test_the_threads_of_a_worker_share_one_heap",)),
    Defect("every answer says how long its steps took", "cds_service/hooks/call.py", "if config.server_timing:", "if True:", (STAGES,)),
    Defect("needed data that is missing is no matter", "cds_service/hooks/call.py", "    refuse_gaps(judgement, call.site)\n", ""),
    Defect("a gap with its card is quiet for all users once one has seen it", "cds_service/hooks/gaps.py", "hook.fhir_server, context.user_id, ", "hook.fhir_server, ", (GAP_CARD,)),
    Defect("a blank item is no more than a gap", "cds_service/hooks/gaps.py", "finding.kind is not Kind.NOT_OBTAINED", "finding.kind not in (Kind.NOT_OBTAINED, Kind.BLANK_ITEM)", (GAP_CARD,)),
    Defect("a store that is down silences the card of a gap", "cds_service/hooks/gaps.py", "    except StoreUnavailable:\n        return False", "    except StoreUnavailable:\n        return True", (GAP_CARD,)),
    Defect("a patient's screen gets cards", "cds_service/hooks/call.py", "if hook.context.user_kind not in CLINICIANS:", "if False:"),
    # ---- answers
    Defect("summaries may have 140 characters", "explanations/words/notices/summaries.py", "MOST_SUMMARY = 139", "MOST_SUMMARY = 160", (CONTRACT, "tests/unit/cds_service")),
    Defect("a summary that does not fit is sent as it is", "explanations/words/notices/summaries.py", "if len(text) <= MOST_SUMMARY), LAST", "if text), LAST", ("tests/unit/explanations/test_summaries.py",)),
    Defect("an earlier acute fact is a line of today's answer", "models/rules/ordering.py", ' and finding.rule in ("R6", "R7")', "", ("tests/unit/models/test_by_card.py",)),
    Defect("uuids repeat from call to call", "cds_service/serving/runtime.py", "return str(uuid.uuid4())", 'return "11111111-1111-4111-8111-111111111111"', (CONTRACT, STORE)),
    Defect("topic codes keep their hyphens for Epic", "cds_service/cards/dialects.py", '.replace("-", "")', "", (CONTRACT, "tests/unit/cds_service", "tests/integration/test_vendor_calls.py")),
    Defect("any origin may call from a browser", "cds_service/serving/cross_origin.py", "origin is None or origin not in config.cors_origins", "origin is None", (CONTRACT, "tests/integration/test_vendor_calls.py")),
    Defect("errors carry no CORS headers", "cds_service/serving/cross_origin.py", "if origin is None or", "if answer.status_code >= 400 or origin is None or"),
    Defect("a token's value may fill the log", "fhir_adapters/received.py", "            if (kind, text) in self._seen or sum(seen == kind for seen, _ in self._seen) >= PER_MINUTE:\n                return {}\n", "", ("tests/unit/fhir_adapters/test_received.py",)),
    Defect("an EHR's words hold the code", "fhir_adapters/received.py", '        text = text.replace(secret, "…")\n', "        pass\n", (UNIT_SMART,)),
    Defect("what stands in place of a secret is shown", "cds_service/settings/shapes.py", '"text" if isinstance(value, str) else "a value"', 'shown(value) if isinstance(value, str) else "a value"', ("tests/unit/cds_service/test_check_config.py",)),
    Defect("answers may be kept by caches", "cds_service/errors.py", 'answer.headers["Cache-Control"] = "no-store"', 'answer.headers["Cache-Control"] = "max-age=60"'),
    Defect("a gender that the models do not know reads as too little data", "explanations/judgement/assessment.py", 'if chart.fact("female") is None:', "if False:", ("tests/unit/explanations/test_when_models_speak.py",)),
    Defect("a medicine that has ended is drawn as being taken", "fhir_adapters/reading/lists/medications.py", "            active=active,", "            active=True,", ("tests/unit/explanations/test_timeline.py",)),
    # ---- the SMART app
    Defect("an issuer may begin as a registered one does", "smart_launch/settings.py", 'r.iss == iss.removesuffix("/")', "r.iss.startswith(iss[:10])", (SMART,)),
    Defect("a state can be used again", "cds_service/storage/app_store.py", "connection.execute(taken.returning(launch_state.c.sealed, launch_state.c.expires)).first()", "connection.execute(sa.select(launch_state).where(launch_state.c.digest == digest)).first()", (SMART,)),
    Defect("a state never expires", "cds_service/storage/app_store.py", "row is not None and row.expires >= now", "row is not None", (SMART,)),
    Defect("a state works in any browser", "smart_launch/launch/callback.py", "registration is None or not hmac.compare_digest(pending.browser, digest(browser))", "registration is None", (SMART,)),
    Defect("the challenge is the verifier", "smart_launch/launch/begin.py", '"code_challenge": code_challenge(verifier)', '"code_challenge": verifier', (SMART,)),
    Defect("iss on the callback is passed over", "smart_launch/launch/callback.py", "if iss not in known and (iss is not None or endpoints.sends_iss):", "if False:", (SMART,)),
    Defect("patients may open the app", "smart_launch/oauth/id_token.py", "if profile is not None and NO_CLINICIAN.fullmatch(profile):", "if False:", (SMART,)),
    Defect("a launch leaves the patient before open", "cds_service/storage/app_store.py", 'connection.execute(app_session.update().where(others).values(ended="moved", sealed=EMPTY))', "pass", (SMART,)),
    Defect("an image may be a launch", "smart_launch/launch/guard.py", 'if request.headers.get("Sec-Fetch-Dest") not in OPENED_AS or request.headers.get("Sec-Fetch-Mode") not in OPENED_BY:', "if False:", (SMART,)),
    Defect("a flood pushes out the launches of known browsers", "cds_service/storage/app_store.py", "order_by(c.known.desc(), c.expires.desc())", "order_by(c.expires.desc())", (FLOODS,)),
    Defect("launches are not counted", "cds_service/storage/app_store.py", ".scalar_one() >= most:", ".scalar_one() < 0:", (FLOODS,)),
    Defect("old rows go all at once", "cds_service/storage/tables.py", ".where(which).limit(most)", ".where(which)", (FLOODS,)),
    Defect("a batch of old rows holds the database for long", "cds_service/storage/housekeeping.py", "ROWS_AT_ONCE = 50", "ROWS_AT_ONCE = 5000", (f"{STORE}::test_what_is_of_no_use_goes_in_small_batches_and_the_rest_stays",)),
    Defect("whatever a client says of its address is believed", "cds_service/trust/client_address.py", " or not any(address in network for network in networks)", "", ("tests/unit/cds_service/test_client_address.py",)),
    Defect("endpoints may be anywhere", "smart_launch/oauth/discovery.py", "if url and not allowed_url(url, hosts, local=local):", "if False:", (UNIT_SMART,)),
    Defect("a server without S256 will do", "smart_launch/oauth/discovery.py", 'if launches and (methods is None or "S256" not in methods):', "if False:", (UNIT_SMART,)),
    Defect("client id and secret are not encoded for Basic", "smart_launch/oauth/tokens.py", 'f"{quote_plus(ours.client_id)}:{quote_plus(secret)}"', 'f"{ours.client_id}:{secret}"', (UNIT_SMART,)),
    Defect("an ID token may be of another issuer", "smart_launch/oauth/id_token.py", 'if claims.get("iss") != issuer:', "if False:", (UNIT_SMART,)),
    Defect("an ID token may be for others", "smart_launch/oauth/id_token.py", "if client_id not in several:", "if False:", (UNIT_SMART,)),
    Defect("an ID token never expires", "smart_launch/oauth/id_token.py", "if expires is None or not now - LEEWAY_S < expires <= now + LONGEST_S + LEEWAY_S:", "if False:", (UNIT_SMART,)),
    Defect("the nonce is passed over", "smart_launch/oauth/id_token.py", 'if claims.get("nonce") != nonce:', "if False:", (UNIT_SMART,)),
    Defect("short RSA keys sign ID tokens", "smart_launch/oauth/id_token.py", "LEAST_RSA_BITS = 2048", "LEAST_RSA_BITS = 512", (UNIT_SMART,)),
    Defect("any browser with a session may open any page", "smart_launch/launch/guard.py", "if secret is None or not hmac.compare_digest(stored.digest, digest(secret)):", "if secret is None:", (SMART,)),
    Defect("forms need no token of ours", "smart_launch/launch/guard.py", 'if not hmac.compare_digest(request.form.get("csrf", "").encode(), launch.session.csrf.encode()):', "if False:", (SMART,)),
    Defect("forms may be sent from other sites", "smart_launch/launch/guard.py", 'if site not in (None, "same-origin") or origin not in (None, "null", origin_of(address)):', "if False:", (SMART,)),
    Defect("a session that is not used stays open", "smart_launch/launch/guard.py", "min(stored.used + registration.idle_s, stored.started + registration.absolute_s)", "stored.started + registration.absolute_s", (SMART,)),
    Defect("a refresh token is used by every request", "smart_launch/launch/refresh.py", "    if not app.store.claim(", "    if False and not app.store.claim(", (SMART,)),
    Defect("refreshing may change the patient", "smart_launch/launch/refresh.py", 'if response.context.get("patient") not in (None, session.context.patient):', "if False:", (SMART,)),
    Defect("any page may frame the app", "smart_launch/pages/headers.py", "        return registration.frame_ancestors", '        return ("*",)', (SMART,)),
    Defect("cookies are not partitioned", "smart_launch/session/cookies.py", 'response.set_cookie(name, value, path="/", secure=True, httponly=True, samesite="None", partitioned=True)', 'response.set_cookie(name, value, path="/", secure=True, httponly=True, samesite="None")', (SMART,)),
    Defect("closing keeps the tokens", "smart_launch/chart/routes.py", "        revoke_tokens(app, launch)\n", "", (SMART,)),
    Defect("rights on part of a type count as all", "smart_launch/chart/reading.py", "return _with_partial_rights(gathered, session.scopes)", "return gathered", (SMART,)),
    Defect("a card's reference counts for any patient", "cds_service/hooks/app_links.py", "ours = reference.site == site and reference.patient == key.pseudonym(site, patient_id)", "ours = reference.site == site", (SMART, CONTRACT)),
    Defect("addresses in a query are sent as they are", "fhir_adapters/access/searches.py", "{rest.replace('://', '%3A%2F%2F')}", "{rest}", (FETCHING,)),
    Defect("a search for other codes counts as an empty one", "fhir_adapters/access/searches.py", "if pages and says_other_codes(pages[0], query)", "if False", (FETCHING,)),
    Defect("a search that was refused is not sent as a form", "fhir_adapters/access/client.py", "if not mark or refusal.pages:", "if True:", (LONG,)),
    Defect("codes are not searched by halves", "fhir_adapters/access/searches.py", "for half in _halves(query) if times else ():", "for half in ():", (LONG,)),
    Defect("a query of a split list may be missing", "fhir_adapters/access/chart_parts.py", "sent if len(sent) == len(keys) else [Part(unknown=PARTLY_SENT), *sent]", "sent", (LONG,)),
    Defect("the site in an address is not compared with the client's", "cds_service/hooks/access.py", "if named is not None and named not in sites:", "if False:", (SITES,)),
    Defect("the site in an address is not compared with the FHIR server's", "cds_service/hooks/access.py", "    check_named(named, (site.id,))\n", "", (SITES,)),
    Defect("an id of two patients is searched by", "cds_service/hooks/parsing.py", "if not is_plain(context.patient_id):", "if False:", (REQUESTS,)),
    Defect("a text that repeats itself is looked through without end", "fhir_adapters/reading/net/statements.py", "                if looked_at > MOST_LOOKED_AT:\n                    return max(gravest, Says.UNCLEAR)\n", "", ("tests/unit/fhir_adapters/test_net.py",)),
    Defect("a number of thousands of digits stops a call", "fhir_adapters/reading/net/unread.py", "    except msgspec.ValidationError:  # a number of thousands of digits", "    except ZeroDivisionError:", ("tests/integration/test_nothing_lost.py",)),
    Defect("more cards than three", "cds_service/cards/from_notices.py", "MOST_CARDS = 3", "MOST_CARDS = 9", (CONTRACT, "tests/unit/cds_service", "tests/clinical")),
    Defect("the words of an answer code are not compared with it", "fhir_adapters/reading/questionnaires/answers.py", "if text and words.get(text.lower()) != score:", "if False:", ("tests/unit/fhir_adapters/test_answers.py",)),
    Defect("forms on both sides of midnight are never one", "fhir_adapters/reading/questionnaires/form_merging.py", "later - earlier > 2", "later - earlier > 0", ("tests/unit/fhir_adapters/test_answers.py",)),
    Defect("in a Bundle decoded in one go members may stand twice", "fhir_adapters/resources/r4/whole.py", " and is_kept(text, ANY.decode(text))", "", ("tests/unit/fhir_adapters/test_whole_bundles.py",)),
    Defect("in a Bundle decoded in one go any version will do", "fhir_adapters/resources/r4/resource.py", "    if foreign_elements(kind, content):", "    if False:", ("tests/unit/fhir_adapters/test_whole_bundles.py",)),
    Defect("an answer that also says a type that is not read is passed over", "fhir_adapters/resources/r4/resource.py", "        _check_type(text, simple=simple)\n", "", ("tests/unit/fhir_adapters/test_duplicates.py",)),
    Defect("texts of a chart outlive the call", "cds_service/app.py", "app.teardown_request(lambda _error: forget())", "app.teardown_request(lambda _error: None)", ("tests/integration/test_texts_are_forgotten.py",)),
    Defect("a crash while models are loaded ends the worker", "cds_service/serving/engine.py", "except (EOFError, OSError) as error:", "except ModelError as error:", (MODELS,)),
    Defect("tables are not compared with XGBoost", "models/scoring/boosters.py", "if not difference <= ADDITIVITY_TOLERANCE:", "if False:", (TABLES,)),
    # ---- forms
    Defect("the name of another practitioner signs", "smart_launch/launch/signer.py", " and one.reference == user.fhir_user]", "]", ("tests/integration/test_form_pages.py",)),
    Defect("a digit held with Control answers a question", "smart_launch/static/app.js", "event.altKey || event.ctrlKey || event.metaKey ||", "event.altKey || event.metaKey ||", ("tests/integration/test_form_in_browser.py",)),
    Defect("after writing, a chart without the form says what follows", "smart_launch/forms/result.py", "if not any(outcome.written[FORM] in form.references for form in chart.administrations):", "if False:", ("tests/integration/test_form_pages.py",)),
    # ---- the demo
    Defect("an EHR's intent opens whatever it names", "smart_launch/launch/callback.py", "if intent in FORM_INTENTS:", "if intent:", (SMART,)),
    Defect("a reason stands for a chart that has changed since", "cds_service/demo_ehr/clinic/page.py", "recorded is not None and recorded.changes == clinic.charts.changes(patient.id)", "recorded is not None", ("tests/integration/test_demo.py",)),
    Defect("an answer of nearly every day drafts no more than one of several days", "explanations/judgement/next_steps.py", "answer.item != item or answer.score != 1 for", "answer.item != item for", ("tests/unit/explanations/test_next_steps.py",)),
    Defect("a step that could not be read is said not to be there", "explanations/judgement/since.py", "if step.unread:", "if False:", ("tests/unit/smart_launch/test_summary.py",)),
    Defect("an answer of the same day is said to have come since", "explanations/words/pages/strip.py", "entry.when.day == finding.when.day", "False", ("tests/unit/explanations/test_since.py",)),
    Defect("a severe total drafts a PHQ-9 before a safety finding's step", "explanations/words/notices/notice_list.py", "drafts=led_by_safety(n.drafts, safety)", "drafts=n.drafts", ("tests/unit/explanations/test_next_steps.py",)),
    Defect("another's safety plan in the app silences the models", "fhir_adapters/access/prefetch.py", "if key not in beside)", ")", ("tests/integration/test_whose_entries.py",)),
    # ---- the governance pages
    Defect("a sign-in is good in any browser", "cds_service/governance/session.py", "if waiting is None or not hmac.compare_digest(waiting.browser, digest(browser)):", "if waiting is None:", (GOVERNANCE,)),
    Defect("an ID token for another client signs in", "cds_service/governance/provider.py", '"iss": "issuer", "aud": "client_id"', '"iss": "issuer"', (GOVERNANCE,)),
    Defect("an operator asks for a safety topic", "cds_service/governance/forms.py", "    if target.topic in TWO_PEOPLE:\n", "    if False:\n", (GOVERNANCE_PAGES,)),
    Defect("a sign-in leads back to any address", "cds_service/governance/session.py", 'return path if WAY_BACK.fullmatch(path) else "/"', "return path", (GOVERNANCE,)),
    Defect("nobody knows who looked at a patient's id", "cds_service/governance/escalation_pages.py", "if patient is not None and not row.drill:", "if False:", (ESCALATION_PAGES,)),
    Defect("a patient's id adds to the chart's address", "cds_service/governance/escalation_lines.py", 'quote(patient, safe="")', "patient", (ESCALATION_PAGES,)),
    Defect("a viewer sees whose escalation it is", "cds_service/governance/session.py", 'ESCALATION = Right("escalation", frozenset({Role.OPERATOR, Role.SAFETY_OFFICER, Role.RESPONDER}))', 'ESCALATION = Right("escalation", frozenset(Role))', (ESCALATION_PAGES,)),
    # ---- limits of cards
    Defect("a severe total can be held back", "explanations/judgement/alert_limits.py", "self.topic in QUIETABLE and self.urgency is Urgency.NOTE and", "self.topic in QUIETABLE and", (LIMITS_RANDOM,)),
    Defect("a safety card can be held back", "explanations/judgement/alert_limits.py", "return self.topic in QUIETABLE and self.urgency", "return self.urgency", (LIMITS_RANDOM,)),
    Defect("what was left out of others goes with a card", "explanations/judgement/alert_limits.py", " and not self.is_exempt", "", (LIMITS,)),
    Defect("a model's card stays away although another model prompts", "explanations/judgement/alert_limits.py", "if set(candidate.outcomes) <= set(card.outcomes)", "if True", (LIMITS,)),
    Defect("a window counts hours in place of the site's days", "explanations/judgement/alert_limits.py", "until = midnight(self._day(since) + timedelta(days), self.zone)", "until = since + timedelta(days)", (LIMITS,)),
    Defect("a result is not shown to the second user", "explanations/judgement/alert_limits.py", 'if card.user == self.user != ""', "if self.user", (LIMITS,)),
    Defect("users without a name share their repeats", "explanations/judgement/alert_limits.py", 'card.user == self.user != ""', "card.user == self.user", (LIMITS,)),
    Defect("a word on an old result hides a new one", "explanations/judgement/alert_limits.py", "not (own == snooze.grounds or by_model)", "False", (LIMITS,)),
    Defect("a colleague's snooze counts", "explanations/judgement/alert_limits.py", ' and s.user in ("", self.user)', "", (LIMITS,)),
    Defect("a refusal hides the question about thoughts of self-harm", "explanations/judgement/alert_limits.py", "if candidate.concerns_safety or (own", "if (own", (LIMITS,)),
    Defect("an assessment silences results", "explanations/judgement/alert_limits.py", "if latest is None or not candidate.outcomes:", "if latest is None:", (LIMITS,)),
    Defect("an assessment that is not complete silences a model", "explanations/judgement/alert_limits.py", "if done.complete and done.when", "if done.when", (LIMITS,)),
    Defect("preparing a visit uses up its card", "explanations/judgement/alert_limits.py", "            and not self._prepared(card)\n", "", (LIMITS,)),
    Defect("a failing store holds cards back", "cds_service/burden/limits.py", "return Limited(behind=behind)\n    who", "raise\n    who", (LIMITS_IN_CALLS,)),
    Defect("an old report snoozes anew", "cds_service/burden/snoozes.py", "min(at, now)", "now", (LIMITS_IN_CALLS,)),
    Defect("a reason of others snoozes", "cds_service/hooks/feedback.py", "        if is_our_reason(why.code, why.system):", "        if True:", (LIMITS_IN_CALLS,)),
    Defect("the page does not say what is held back", "smart_launch/chart/reading.py", "notices=marked_limits(off, limits.held, launch.site.notices)", "notices=off", (LIMITS_IN_CALLS,)),
    # ---- figures, and what stops a model
    Defect("who has opted out is counted", "cds_service/burden/on_record.py", "and answer.patient not in found.left_out", "", (FIGURES,)),
    Defect("what is done a month later was done about a card", "cds_service/burden/on_record.py", "late = acted is None or acted - answer.at > KNOWN_AFTER", "late = acted is None", (FIGURES,)),
    Defect("the same cards stop a model again", "cds_service/burden/stop_rule.py", "c.at > (int(since.timestamp()) if since else 0)", "c.at > 0", (STOP_RULE,)),
    Defect("an act in between is overruled", "cds_service/burden/stop_rule.py", "        if found is None:\n            return\n", "        found = found or ((), None, 0)\n", (STOP_RULE,)),
    Defect("a site that sends no feedback loses its models", "cds_service/burden/stop_rule.py", ".limit(1)).first() is None:\n        return ()", ".limit(1)).first() is None and False:\n        return ()", (STOP_RULE,)),
    Defect("an overdue escalation takes the service out of use", "cds_service/serving/health.py", '"status": whole if ready else "not-ready", "checks": checks}, 200 if ready else 503)', '"status": whole, "checks": checks}, 200 if whole == "ready" else 503)', (ESCALATION_METRICS,)),
    Defect("a drill counts as an escalation", "cds_service/serving/escalation_metrics.py", "is_open.where(c.status == EscalationStatus.OPEN, c.drill.is_(False))", "is_open.where(c.status == EscalationStatus.OPEN)", (ESCALATION_METRICS,)),
    Defect("a patient's id that is typed stands in the record", "cds_service/governance/forms.py", "site, pseudonym or None, card=card or None", "site, pseudonym or None, id=identifier, card=card or None", (GOVERNANCE_PAGES,)),
    # ---- modes and switches
    Defect("a switch waits for the second call", "cds_service/trust/admission.py", "    runtime.controls.seen(stamp)\n", "", (CONTROL,)),
    Defect("the score of a silent model prompts", "explanations/judgement/assessment.py", "return NotScored(outcome=outcome, reason=permission.why_not), behind", "return behind or NotScored(outcome=outcome, reason=permission.why_not), behind", ("tests/property/test_control.py",)),
    Defect("one person switches a safety topic off", "cds_service/control/acts.py", "if actor.is_same(found.by):", "if False:", ("tests/integration/test_acts.py",)),
    Defect("a broken switch.toml is no matter", "cds_service/control/snapshot.py", "return self.number is not None and not self.problems", "return self.number is not None", (CONTROL,)),
    # ---- incidents
    Defect("a message that one worker sends is not put off for the others", "cds_service/sending/queue.py", '{"due": now + CLAIMED_S,', '{"due": now,', (WEBHOOKS,)),
    Defect("the closing of an incident does not wait for its opening", "cds_service/sending/queue.py", "BEFORE.c.delivered.is_(None),\n", "sa.false(),\n", (WEBHOOKS,)),
    Defect("a webhook follows a redirect", "cds_service/sending/webhook.py", "allow_redirects=False", "allow_redirects=True", (WEBHOOKS,)),
    Defect("a near miss is recorded and opens no incident", "cds_service/incidents/near_misses.py", 'if event.get("choice") != NEAR_MISS:', "if NEAR_MISS:", ("tests/integration/test_near_misses.py",)),
    # ---- who has been told, in words and in the app
    Defect("an acute card says that nobody was notified although somebody was", "explanations/words/notices/safety.py", 'told_words(assessment, settings) if acute else ""', '""', (TOLD,)),
    Defect("a message that waits is said to be sent", "explanations/words/notices/escalations.py", "A message to {contact} was prepared {when}; it has not been delivered yet.", "{contact} was sent a message {when}; nobody has acknowledged it yet.", (TOLD,)),
    Defect("a name from another system keeps its markup", "explanations/words/notices/escalations.py", "for c in text if c not in MARKUP", "for c in text", (TOLD,)),
    Defect("the app acknowledges for any patient", "cds_service/escalation/desk.py", '"patient": self._patient(session)}', '"patient": None}', (IN_APP,)),
    Defect("a handover acknowledges", "explanations/judgement/escalation.py", "frozenset({", 'frozenset({"not-treating", ', (IN_APP,)),
    Defect("the app acknowledges a form of another page", "smart_launch/chart/routes.py", "launch = open_form(app, launch_id)\n        note_known", "launch = open_launch(app, launch_id)\n        note_known", (IN_APP,)),
    Defect("the demo's pager shows what nobody signed", "cds_service/demo_ehr/clinic/pager.py", 'if not hmac.compare_digest(expected, headers.get("webhook-signature", "")):', "if False:", ("tests/integration/test_demo_pager.py",)),
    # ---- messages to contacts
    Defect("a failed message to a contact waits for up to an hour", "cds_service/sending/queue.py", "most = ESCALATION_WAIT_S if urgent else MOST_WAIT_S", "most = MOST_WAIT_S", (SENDING,)),
    Defect("each message waits anew for a contact's system that hangs", "cds_service/sending/queue.py", "if again and urgent and slow:", "if False:", (SENDING,)),
    Defect("failed messages of incidents go before new ones to contacts", "cds_service/sending/queue.py", "turn = (again, of_incident,", "turn = (~of_incident,", (SENDING,)),
    Defect("a message that was taken back is said to fail", "cds_service/sending/queue.py", "sa.true() if made.failure is None else delivery.c.delivered.is_(None)", "sa.true()", (SENDING,)),
    Defect("what a mail server refuses for good is sent for ever", "cds_service/sending/email.py", "final=500 <= status < 600 and", "final=False and", (MAIL,)),
    Defect("any certificate of a mail server will do", "cds_service/sending/email.py", "client.starttls(context=ssl.create_default_context())", "client.starttls()", (MAIL,)),
    Defect("a Task is written into the chart of whoever has that id at the site's server", "cds_service/sending/task.py", "if patient is not None and not _is_ours(site, patient):", "if False:", (TASKS,)),
    Defect("a Task whose answer was lost is written again unseen", "cds_service/sending/task.py", "if message.attempts > 1 else None", "if message.attempts > 99 else None", (TASKS,)),
    Defect("the first team's refusal ends the second team's turn", "cds_service/escalation/escalations.py", "C.status == EscalationStatus.OPEN, C.contact == contact)", "C.status == EscalationStatus.OPEN)", (TASKS,)),
    Defect("an acknowledgement of any age is taken", "cds_service/sending/inbound.py", "total_seconds()) > TOLERANCE_S", "total_seconds()) > 10**9", (ACKNOWLEDGED,)),
    Defect("a contact who was not told may acknowledge", "cds_service/sending/inbound.py", "d.escalation == identifier, d.attempts > 0", "d.escalation == identifier", (ACKNOWLEDGED,)),
    Defect("a token of our own is used after its end", "cds_service/backend/backend.py", "return token if self._clock() < until", "return token if token", ("tests/integration/test_backend.py",)),
    # ---- the demo's sign-in for staff
    Defect("a code of the demo's sign-in for staff is good twice", "cds_service/demo_ehr/authorization/staff.py", "sign_in = self._codes.pop(code, None)", "sign_in = self._codes.get(code)", ("tests/integration/test_demo_staff.py",)),
    Defect("the demo's sign-in for staff does not compare the verifier", "cds_service/demo_ehr/authorization/staff.py", "challenge_of(verifier) != sign_in.challenge", "False", ("tests/integration/test_demo_staff.py",)),
    # ---- outcomes on record
    Defect("a result of before a score is its outcome", "cds_service/monitoring/linking.py", "return result.moment is None or result.moment >= episode.begun.at", "return True", (LINKING,)),
    Defect("a result that was on record is the outcome of a later score", "cds_service/monitoring/linking.py", "result.seq <= episode.begun.seq or not", "not", (LINKING,)),
    Defect("a result counts for every version", "cds_service/monitoring/linking.py", "left = [result for result in left if result not in at_once]", "left = left", (LINKING,)),
    Defect("who opted out later has episodes", "cds_service/monitoring/linking.py", "event.patient not in gone and", "", (LINKING,)),
    Defect("days of results are those of London", "cds_service/monitoring/linking.py", "day = site.day(moment) if moment", "day = moment.date() if moment", (LINKING,)),
    Defect("an unfinished form is a result", "explanations/judgement/measured.py", "or form.provisional or form.contradictory:", "or form.contradictory:", (RESULTS,)),
    Defect("results of a chart without consent are on record", "explanations/judgement/measured.py", "if chart.deceased or chart.consent is not Consent.ALLOWED:", "if chart.deceased:", (RESULTS,)),
    Defect("groups are recorded that the site did not switch on", "cds_service/monitoring/noted.py", "for group in site.monitoring.groups}", "for group in AuditGroup}", (ON_RECORD,)),
)  # fmt: skip


def planted(defect: Defect) -> str:
    """The first test that notices, `-` for none."""
    with tempfile.TemporaryDirectory(prefix="defect-") as place:
        copy = Path(place) / "project"
        shutil.copytree(
            ROOT, copy, ignore=shutil.ignore_patterns(".venv*", ".git", "__pycache__", ".*_cache", ".hypothesis")
        )
        file = copy / defect.file
        text = file.read_text(encoding="utf-8")
        if text.count(defect.old) != 1:
            raise SystemExit(
                f"{defect.what}: expected its text once in {defect.file}; found it {text.count(defect.old)} times"
            )
        changed = text.replace(defect.old, defect.new)
        file.write_text(changed, encoding="utf-8")
        words = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "--no-header",
            "-p",
            "no:cacheprovider",
            "--tb=no",
            *defect.tests,
        ]
        done = subprocess.run(
            words, cwd=copy, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(copy)}
        )
    found = re.search(r"^(?:FAILED|ERROR) (\S+?)(?:\[.*)?(?: - .*)?$", done.stdout, re.MULTILINE)
    return found[1] if found else "-" if done.returncode == 0 else f"(ended with {done.returncode})"


def table(found: Iterable[tuple[Defect, str]]) -> str:
    rows = [
        f"| {number} | {defect.what} | `{defect.file}` | {test} |"
        for number, (defect, test) in enumerate(found, start=1)
    ]
    return "\n".join(["| | planted | in | first test that notices |", "|---|---|---|---|", *rows])


def main(words: list[str]) -> None:
    chosen = [d for d in DEFECTS if not [w for w in words if w != "--write"] or any(w in d.what for w in words)]
    with ThreadPoolExecutor(2) as pool:
        results = []
        for defect, test in zip(chosen, pool.map(planted, chosen), strict=True):
            print(f"{defect.what}: {test}", flush=True)
            results.append((defect, test))
    missed = sum(test == "-" for _, test in results)
    print(f"{len(results)} planted, {len(results) - missed} noticed, {missed} not")
    if "--write" in words:
        head = (
            "# Planted defects\n\n*Generated by `make defects ARGS=--write`.*\n\n"
            "For people who judge the tests. A reference: each line is one mistake "
            f"that was made on purpose in a copy of the project, and the first test that failed. {len(results)} planted, {len(results) - missed} noticed.\n\n"
        )
        PAGE.write_text(head + table(results) + "\n", encoding="utf-8")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
