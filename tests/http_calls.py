"""HTTP calls as no honest client makes them: bodies, tokens, headers, methods and paths spoiled at random.

Each maker takes a seeded drawer and gives a `Sent`. What is known of the answer stands in it: `good` is False for a
call that no client may have answered, True for one whose client must not be turned away, None where it is open.
"""

from __future__ import annotations

import gzip
import json
import random
import string
import zlib
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cache

from builders import AS_OF, given, patient, prefetch_of
from ehr import ADDRESS, EHR, FEEDBACK, ISSUER, b64, hook_request, jws, private_key
from mutations import NONSENSE, holder, places

# Made up, and in every chart, id, name, comment and token that is sent: it may stand in no log and in no refusal.
SECRET = "zebulon-7"  # not letters alone: the name of an unexpected resource type is quoted
AT_START = "/cds-services/depression-suicide-risk-encounter"
AT_END = "/cds-services/suicide-safety-discharge"
JSON = "application/json"
CLIENT = EHR(clock=AS_OF.timestamp())
REFUSING_PORT = 9  # nothing listens there


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One call. Header values are latin-1, as in WSGI."""

    method: str
    path: str
    body: bytes = field(default=b"", repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    query: str = ""
    good: bool | None = None
    statuses: tuple[int, ...] = ()

    def header(self, name: str, value: str) -> Sent:
        """With one header more, in place of those of the same name."""
        kept = tuple(h for h in self.headers if h[0].lower() != name.lower())
        return replace(self, headers=(*kept, (name, value)))


# ---- tokens ----


def token(drawer: random.Random, path: str, *, header: dict | None = None, **changes) -> str:
    """A good one for that path, unless changed."""
    return CLIENT.token(path, header=header, **({"jti": f"{SECRET}-{drawer.getrandbits(96):x}"} | changes))


def _flipped(drawer: random.Random, path: str) -> str:
    head, claims, signature = token(drawer, path).split(".")
    at = drawer.randrange(len(signature) - 2)
    return f"{head}.{claims}.{signature[:at]}{'A' if signature[at] != 'A' else 'B'}{signature[at + 1 :]}"


def _other_claims(drawer: random.Random, path: str) -> str:
    head, _, signature = token(drawer, path).split(".")
    return f"{head}.{b64(json.dumps(CLIENT.claims(path, jti='other')).encode())}.{signature}"


def _unsigned(drawer: random.Random, path: str) -> str:
    return jws({"alg": "none", "typ": "JWT", "kid": "ES384"}, CLIENT.claims(path), None, "none")


def _shared_secret(drawer: random.Random, path: str) -> str:
    secret = drawer.choice((b"secret", ISSUER.encode()))
    return jws({"alg": "HS256", "typ": "JWT", "kid": "ES384"}, CLIENT.claims(path), secret, "HS256")


def _stranger(drawer: random.Random, path: str) -> str:
    return replace(CLIENT, key="stranger").token(path)


def _late(drawer: random.Random, path: str) -> str:
    now = int(AS_OF.timestamp())
    return token(drawer, path, iat=now - 4000, exp=now - drawer.choice((61, 3600, 10**8)))


def _left_out(drawer: random.Random, path: str) -> str:
    if drawer.random() < 0.5:
        return token(drawer, path, **{drawer.choice(("iss", "aud", "exp", "iat", "jti")): ...})
    return token(drawer, path, header={drawer.choice(("kid", "typ")): ...})


def _for_another(drawer: random.Random, path: str) -> str:
    return token(
        drawer, path, aud=drawer.choice((path, "http://evil.example" + path, f"{CLIENT.base}{path}x", "*", [], [""]))
    )


def _cut(drawer: random.Random, path: str) -> str:
    whole = token(drawer, path)
    return whole[: drawer.randrange(1, len(whole) - 1)]


def _junk(drawer: random.Random, path: str) -> str:
    letters = string.ascii_letters + string.digits + "-_.=" + drawer.choice(("", "\xe9\xff", "{}[]\"'", " ,;"))
    return "x" + "".join(drawer.choices(letters, k=drawer.choice((1, 3, 50, 400, 20_000))))


SPOILED: tuple[Callable[[random.Random, str], str], ...] = (
    _flipped, _other_claims, _unsigned, _shared_secret, _stranger, _late, _left_out, _for_another, _cut, _junk,
)  # fmt: skip

ANY_JSON = (
    None, True, False, 0, -1, 1, 1.5, 1e308, -1e308, 10**18, 10**19, 2**63, 2**64, -(2**63) - 1, 10**40, 10**400, "", "x", "\u0000",
    "é", "\U0001f642", SECRET, [], {}, [[]], [None], ["x", 1], {"a": {"b": []}}, "x" * 2000,
)  # fmt: skip


def _raw_claims(drawer: random.Random, path: str) -> bytes:
    """Claims as bytes that are no plain object of claims."""
    good = json.dumps(CLIENT.claims(path, jti=f"{drawer.getrandbits(64):x}"))
    return drawer.choice(
        (
            b"",
            b"null",
            b"[]",
            b'"x"',
            b"5",
            b"{",
            b"\xff\xfe",
            good.replace('"exp": ', '"exp": 1e999, "x": ').encode(),
            good.replace('"exp": ', '"exp": NaN, "x": ').encode(),
            good.replace('"exp": ', f'"exp": {"9" * drawer.choice((20, 309, 400, 5000))}, "x": ').encode(),
            good.replace('"iat": ', f'"iat": -{"9" * drawer.choice((20, 309, 400))}, "x": ').encode(),
            good.replace('"iat": ', '"iat": 0.0000001e-400, "x": ').encode(),
            good.replace('"jti": "', '"jti": "\\ud800').encode(),
            good.replace('"jti": "', '"tenant": "\\udc00", "jti": "').encode(),
            good.replace("{", '{"iss": "' + ISSUER + '", ', 1).encode(),
            good.replace("{", '{"x": ' + "[" * 30_000 + "]" * 30_000 + ", ", 1).encode()[: 2**20],
            good.encode("utf-16"),
            b"\xef\xbb\xbf" + good.encode(),
            good.encode() + b" x",
        )
    )


def _raw_header(drawer: random.Random) -> bytes:
    good = '{"alg": "ES384", "typ": "JWT", "kid": "ES384"}'
    return drawer.choice(
        (
            b"",
            b"null",
            b"[]",
            b"\xff",
            good.replace("}", ', "x": ' + "[" * 5_000 + "]" * 5_000 + "}").encode(),
            good.replace("}", ', "x": ' + "9" * 5_000 + "}").encode(),
            good.replace("}", ', "x": NaN}').encode(),
            good.replace("ES384", "\\ud800").encode(),
            good.replace('"kid": "ES384"', '"kid": "ES384", "kid": 5').encode(),
            good.replace("}", ', "b64": false}').encode(),
            good.replace("}", ', "crit": ["exp"]}').encode(),
            good.replace("}", ', "crit": 5}').encode(),
            good.replace("}", ', "jku": "https://evil.example/jwks"}').encode(),
            good.replace("}", ', "jwk": {}, "x5c": [1], "x5u": {}, "zip": "DEF", "cty": 5}').encode(),
        )
    )


def odd_token(drawer: random.Random, path: str) -> str:
    """A token of a known client with a header or claims of any kind; some are good all the same."""
    kind = drawer.randrange(6)
    algorithm = drawer.choice(("ES384", "RS384", "ES256"))
    if kind == 0:
        return token(
            drawer,
            path,
            **{
                drawer.choice(("iss", "aud", "exp", "iat", "jti", "nbf", "tenant", "sub", "x")): drawer.choice(ANY_JSON)
            },
        )
    if kind == 1:
        return token(
            drawer,
            path,
            header={
                drawer.choice(("alg", "kid", "typ", "jku", "crit", "b64", "jwk", "x5c", "cty", "x")): drawer.choice(
                    ANY_JSON
                )
            },
        )
    if kind == 2:
        now = AS_OF.timestamp()
        at = {
            name: drawer.choice(
                (now, int(now), -now, 0, now + drawer.uniform(-5000, 5000), 1e11, 1e12, 1e300, str(int(now)))
            )
            for name in ("exp", "iat", "nbf")
        }
        return token(drawer, path, **at)
    if kind == 3:
        return jws(
            {"alg": algorithm, "typ": "JWT", "kid": algorithm},
            _raw_claims(drawer, path),
            private_key(algorithm),
            algorithm,
        )
    if kind == 4:
        signed = f"{b64(_raw_header(drawer))}.{b64(json.dumps(CLIENT.claims(path, jti=f'{drawer.getrandbits(64):x}')).encode())}"
        return f"{signed}.{b64(drawer.randbytes(96))}"
    named = drawer.choice(("ES384", "RS384", "ES256", "RS256", "PS384", "HS384", "ES512", "EdDSA", "none", "es384"))
    return jws(
        {"alg": named, "typ": "JWT", "kid": drawer.choice(("ES384", "RS384", "ES256", "?"))},
        CLIENT.claims(path, jti=f"{drawer.getrandbits(64):x}"),
        private_key(algorithm),
        algorithm,
    )


def signed(drawer: random.Random, sent: Sent) -> Sent:
    """With a good token, or one time in eight a spoiled one."""
    path = sent.path.rstrip("/")
    if drawer.random() < 0.125:
        return replace(sent.header("Authorization", f"Bearer {drawer.choice(SPOILED)(drawer, path)}"), good=False)
    return replace(sent.header("Authorization", f"Bearer {token(drawer, path)}"), good=True)


# ---- bodies ----

LINES = (
    ("C-SSRS, today: question 4 = yes",),
    ("C-SSRS, 40 days ago: question 4 = yes", "PHQ-9, 6 days ago: items 1-9 = 0"),
    ("PHQ-9, 6 days ago: items 1-7 = 1, item 8 = 0, item 9 = 1",),
    ("PHQ-9, 30 days ago: items 1-8 = 2, item 9 = 0, total = 16", "Medicine sertraline 50 MG Oral Tablet, 40 days ago"),
    ("PHQ-9, 3 days ago: items 1-8 = 1, item 9 = unreadable", "Condition F41.9, 60 days ago"),
    ("Condition T14.91XA, 20 days ago, encounter e1", "Visit for depression, 30 days ago"),
    ("Risk assessment, 3 days ago", "PHQ-2, today: total = 5"),
    (),
)


def _private(content: dict) -> str:
    """As JSON, with ids that give a person away wherever one is."""
    content["prefetch"]["patient"]["name"] = [{"family": SECRET, "text": f"{SECRET} née É"}]
    return json.dumps(content).replace('"p1"', f'"{SECRET}-p"').replace("Patient/p1", f"Patient/{SECRET}-p")


@cache
def _hook_texts() -> tuple[tuple[str, str], ...]:
    found = []
    for number, lines in enumerate(LINES):
        chart = prefetch_of([patient((9, 15, 40, 80)[number % 4]), *(r for line in lines for r in given(line))])
        grant = {
            "access_token": f"{SECRET}-token",
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": "patient/*.read",
            "subject": "cds",
        }
        server = f"http://127.0.0.1:{REFUSING_PORT}/fhir" if number % 4 == 3 else "https://fhir.example/r4"
        user = {"userId": f"Practitioner/{SECRET}-doc", "patientId": "p1"}
        found.append((ADDRESS, _private(hook_request(prefetch=chart, context=user))))
        more = {
            "fhirServer": server,
            "fhirAuthorization": grant,
            "hook": "encounter-start",
            "context": user | {"encounterId": "e1"},
        }
        found.append((AT_START, _private(hook_request(prefetch=chart, **more))))
        found.append((AT_END, _private(hook_request(prefetch=chart, **more | {"hook": "encounter-discharge"}))))
    return tuple(found)


def hook_text(drawer: random.Random) -> tuple[str, str]:
    """The address and the body of a valid hook call."""
    return drawer.choice(_hook_texts())


def feedback_text(drawer: random.Random) -> tuple[str, str]:
    """The address and the body of valid feedback."""
    moment = drawer.choice(("2026-11-23T15:00:00Z", "2026-11-23T15:00:00.123456789+02:00", "2026-11-23t15:00:00z"))
    items = []
    for _ in range(drawer.choice((1, 1, 2, 20))):
        item = {"card": f"{drawer.getrandbits(128):032x}", "outcome": "overridden", "outcomeTimestamp": moment}
        if drawer.random() < 0.5:
            item |= {"outcome": "accepted", "acceptedSuggestions": [{"id": f"{drawer.getrandbits(64):x}"}]}
        else:
            item["overrideReason"] = {
                "reason": {"code": "not-now", "system": "urn:x", "display": SECRET},
                "userComment": f"{SECRET} said \u00e9\U0001f642",
            }
        items.append(item)
    content = items[0] if len(items) == 1 and drawer.random() < 0.3 else {"feedback": items}
    return drawer.choice((FEEDBACK, f"{AT_START}/feedback", f"{AT_END}/feedback")), json.dumps(content)


# Stand-ins for what the encoder would not write: they are put into the text instead of a value.
RAW = {
    "nan": b"NaN", "infinity": b"-Infinity", "huge": b"1e999", "digits": b"9" * 400, "many digits": b"9" * 5000, "zeros": b"0." + b"0" * 3000 + b"1",
    "minus": b"-", "plus": b"+1", "octal": b"017", "hex": b"0x1f", "surrogate": b'"\\ud800"', "low surrogate": b'"x\\udc00y"', "pair": b'"\\ud83d\\ude42"',
    "nul": b'"\\u0000"', "escape": b'"\\x41"', "control": b'"\x01"', "tab": b'"\t"', "invalid": b'"\xff"', "overlong": b'"\xc0\xaf"', "utf-8 surrogate": b'"\xed\xa0\x80"',
    "comment": b"/* x */ 1", "undefined": b"undefined", "single": b"'x'", "comma": b"1,", "nothing": b"", "long": b'"' + b"a" * 100_000 + b'"',
    "arrays": b"[" * 30_000 + b"1" + b"]" * 30_000, "objects": b'{"a":' * 30_000 + b"1" + b"}" * 30_000, "some arrays": b"[" * 700 + b"]" * 700, "open": b"[" * 100_000,
    "twice": b'1, "context": {}, "card": 5, "hook": "x"', "own key": b'{"__proto__": 1, "": 2, "\\u0000": 3}', "big integer": b"18446744073709551616", "bidi": b'"\\u202e\\u2066x"',
    "twice the patient": b'{"patientId": "a", "patientId": "b", "userId": "Practitioner/d"}', "capital": b'"\xc4\xb0' + b"\xc4\xb0" * 255 + b'"',
}  # fmt: skip
MOMENTS = ("2026-11-23T15:00:00." + "1" * 300 + "Z", "0000-00-00T00:00:00Z", "9999-12-31T23:59:59-23:59", "2026-11-23T24:00:00Z", "2026-11-23T15:00:00+99:99",
           "٢٠٢٦-11-23T15:00:00Z", "2026-11-23", "2026-11-23T15:00:60Z", "now", "2026-02-30T00:00:00Z")  # fmt: skip
IDS = ("Patient/x", "../../x", ".", "..", "a/b", "a?b", "a#b", "%2e%2e", "x" * 257, "x" * 256, "İ" * 256, "\u0000", "a\u0000b", "a\nb", "\u202e", "é", "🙂", " x", "x ", "<b>", "p1", "")  # fmt: skip


def _change(content: object, drawer: random.Random) -> object:
    """One place of the content, other than it was."""
    ways = list(places(content))
    if not ways:
        return content
    path = drawer.choice(ways)
    if drawer.random() < 0.5:  # near the top, where our own types are
        path = drawer.choice([p for p in ways if len(p) <= 3])
    inside, key = holder(content, path), path[-1]
    what = drawer.randrange(8)
    if what == 0:
        del inside[key]
    elif what == 1 and isinstance(inside, dict):
        inside[drawer.choice(("", "x", SECRET, "extension", key + "\u0000", key.upper()))] = inside.pop(key)
    elif what == 2:
        inside[key] = f"@{drawer.choice(list(RAW))}@"
    elif what == 3:
        inside[key] = drawer.choice(MOMENTS)
    elif what == 4:
        inside[key] = drawer.choice(IDS)
    elif what == 5:
        other = drawer.choice(ways)
        try:
            inside[key] = json.loads(json.dumps(holder(content, other)[other[-1]]))
        except (KeyError, IndexError, TypeError):
            inside[key] = [inside[key]]
    else:
        inside[key] = deepcopy(drawer.choice(NONSENSE))
    return content


def _encoded(content: object) -> bytes:
    found = json.dumps(content).encode()
    for name, raw in RAW.items():
        found = found.replace(f'"@{name}@"'.encode(), raw, 2)
    return found


def _damaged(body: bytes, drawer: random.Random) -> bytes:
    """The text spoiled as text."""
    at = drawer.randrange(len(body) or 1)
    to = min(len(body), at + drawer.choice((1, 2, 10, 1000)))
    return drawer.choice(
        (
            lambda: body[:at],
            lambda: body[at:],
            lambda: body[:at] + body[to:],
            lambda: body[:to] + body[at:],
            lambda: body[:at] + drawer.randbytes(drawer.choice((1, 2, 8, 200))) + body[to:],
            lambda: body[:at] + bytes([body[at] ^ (1 << drawer.randrange(8))]) + body[at + 1 :] if body else b"",
            lambda: body + drawer.choice((b"\x00", b" x", b"{}", body, b"\n" * 100, b"//")),
            lambda: drawer.choice((b"\xef\xbb\xbf", b"\x00", b" " * 1000, b"\x1f\x8b", b")]}',\n")) + body,
            lambda: body.decode(errors="replace").encode(drawer.choice(("utf-16", "utf-16-le", "utf-32", "utf-7"))),
            lambda: drawer.choice((b"", b" ", b"null", b"true", b"0", b'""', b"[]", b"{}", b"[[]]", b'{"hook": {}}', b'{"feedback": {}}', b'{"feedback": [null]}')),
            lambda: drawer.randbytes(drawer.choice((1, 30, 3000))),
            lambda: b"[" + body + b"]",
        )
    )()  # fmt: skip


def _valid(drawer: random.Random) -> tuple[str, str]:
    return hook_text(drawer) if drawer.random() < 0.65 else feedback_text(drawer)


def _post(path: str, body: bytes) -> Sent:
    return Sent(method="POST", path=path, body=body, headers=(("Content-Type", JSON),))


def valid(drawer: random.Random) -> Sent:
    """A call as it should be."""
    path, text = _valid(drawer)
    return replace(signed(drawer, _post(path, text.encode())), statuses=(200,))


def changed(drawer: random.Random) -> Sent:
    """JSON with one to four places changed."""
    path, text = _valid(drawer)
    content = json.loads(text)
    for _ in range(drawer.choice((1, 1, 1, 2, 4))):
        content = _change(content, drawer)
    if SECRET in str(content.get("hookInstance")):  # an id that is logged on purpose
        content["hookInstance"] = "x"
    return replace(signed(drawer, _post(path, _encoded(content))), statuses=(200, 400, 412))


def damaged(drawer: random.Random) -> Sent:
    """Bytes that are mostly no JSON."""
    path, text = _valid(drawer)
    return replace(signed(drawer, _post(path, _damaged(text.encode(), drawer))), statuses=(200, 400, 412))


def packed(drawer: random.Random) -> Sent:
    """Gzip, whole, cut, doubled, far too large, or another packing."""
    path, text = _valid(drawer)
    whole = gzip.compress(text.encode(), 1)
    at = drawer.randrange(len(whole))
    body, statuses = drawer.choice(
        (
            (whole, (200,)),
            (whole[:at], (400,)),
            (whole[:-1], (400,)),
            (whole + whole, (400,)),
            (whole + b"x", (400,)),
            (whole[:at] + drawer.randbytes(3) + whole[at + 3 :], (200, 400)),
            (text.encode(), (400,)),
            (b"", (400,)),
            (_bomb(), (413,)),
            (_bomb()[:2000], (400, 413)),
            (zlib.compress(text.encode()), (400,)),
            (gzip.compress(whole), (400,)),
        )
    )
    name = drawer.choice(
        ("gzip",) * 20 + ("x-gzip", "GZIP", " gzip ", "br", "deflate", "gzip, gzip", "identity", "", "\xff", "gzip\x00")
    )
    if name in ("", "identity"):
        statuses = (200, 400, 413)
    elif name.strip().lower() not in ("gzip", "x-gzip"):
        statuses = (415,)
    return replace(signed(drawer, _post(path, body).header("Content-Encoding", name)), statuses=statuses)


@cache
def _bomb() -> bytes:
    return gzip.compress(b" " * 100_000_000, 9)


CONTENT_TYPES = ("", "text/plain", "application/json; charset=latin-1", "APPLICATION/JSON", "application/fhir+json;fhirVersion=4.0", "application/json;;;=", "application/json, text/html",
                 "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "\xff/\xfe", "application/json" + ";a=b" * 2000, "*/*", "application/xml", "json")  # fmt: skip
ODD = {
    "Content-Type": CONTENT_TYPES,
    "Content-Length": ("-1", "abc", "99999999999999999999", "0", "1e3", "5", "+5", "2097153", "\xb2", " 7 ", ""),
    "Transfer-Encoding": ("chunked", "gzip, chunked", "x", ""),
    "Origin": ("null", "*", "https://evil.example", "https://viewer.example", "", "https://viewer.example, https://evil.example", "\xff"),
    "Access-Control-Request-Method": ("POST", "\xff"),
    "Access-Control-Request-Headers": ("authorization", "x" * 9000),
    "If-None-Match": ("*", "", '"x"', 'W/"', '"' * 1000, "\xff", ",,,", '"a", "b"'),
    "If-Match": ("*", '"x"'),
    "If-Modified-Since": ("Thu, 01 Jan 1970 00:00:00 GMT", "never", "Thu, 99 Foo 99999 99:99:99 GMT", ""),
    "If-Range": ('"x"', "yesterday"),
    "Range": ("bytes=0-", "bytes=5-1", "bytes=0-0,1-1", "lines=1", "bytes=-99999999999999999999", "\xff"),
    "Accept": ("text/html", "application/json;q=abc", "x" * 5000, "\xff", ";;;q=", "image/png"),
    "Accept-Encoding": ("gzip;q=NaN", "*;q=0", "br"),
    "Accept-Language": ("es", "x-;q=9", "\xff"),
    "Accept-Charset": ("utf-7", "*"),
    "Host": ("", "evil.example", "evil.example:99999", "[::1", "a b", "\xff", "x" * 5000, "127.0.0.1:8080\\@evil.example"),
    "X-Forwarded-For": ("10.0.0.1", "\xff, , ,", "x" * 5000),
    "X-Forwarded-Proto": ("https", "http", "ftp", "https, http"),
    "X-Forwarded-Host": ("evil.example",),
    "X-HTTP-Method-Override": ("DELETE",),
    "Expect": ("100-continue", "x"),
    "Upgrade": ("h2c", "websocket"),
    "Cookie": ("a=b", "=", ";" * 1000, "\xff=\xfe", "session=" + "x" * 5000),
    "Authorization": ("", "Bearer", "Bearer ", "bearer x y", "Basic eDp5", "Negotiate", "Digest username=", "\xff", "Bearer \xff", "Bearer " + "a." * 9000, "Bearer ..", "Bearer a.b.c", "Bearer null", 'Bearer realm="x"'),
    "User-Agent": ("", "\xff", "x" * 5000, "() { :; }; x"),
    "Referer": ("javascript:x", "\xff"),
    "X-" + "a" * 300: ("b",),
}  # fmt: skip
OPEN = ("/cds-services", "/cds-services/", "/data-needs.json", "/about", "/health/live", "/health/ready", "/metrics", "/model-card", "/model-card.json", "/openapi.json")  # fmt: skip


def headed(drawer: random.Random) -> Sent:
    """A valid call, or a look at an open address, with one to three odd headers."""
    if drawer.random() < 0.5:
        sent = replace(valid(drawer), statuses=())
    else:
        sent = Sent(method=drawer.choice(("GET", "GET", "HEAD", "OPTIONS")), path=drawer.choice(OPEN))
    for name in drawer.sample(list(ODD), drawer.choice((1, 1, 2, 3))):
        sent = sent.header(name, drawer.choice(ODD[name]))
        if name == "Authorization":
            sent = replace(sent, good=False if sent.method == "POST" else None)
    if any(name == "Host" for name, _ in sent.headers):  # 400 when it is no host, whoever calls
        sent = replace(sent, good=None)
    if drawer.random() < 0.03:
        flood = tuple((f"X-Flood-{n}", "y" * 50) for n in range(2000))
        sent = replace(sent, headers=sent.headers + flood)
    return sent


def with_token(drawer: random.Random) -> Sent:
    """A valid call with a token of any kind."""
    path, text = _valid(drawer)
    sent = _post(path, text.encode())
    if drawer.random() < 0.3:
        found = drawer.choice(SPOILED)(drawer, path)
        scheme = drawer.choice(("Bearer", "bearer", "BEARER", "Basic", "Token", "", "Bearer Bearer"))
        return replace(sent.header("Authorization", f"{scheme} {found}"), good=False)
    return sent.header("Authorization", f"Bearer {odd_token(drawer, path)}")


METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "QUERY", "get", "G\xcbT", "X" * 200, "")  # fmt: skip
PIECES = ("..", ".", "", "%2e%2e", "\x00", "\xff", "\xed\xa0\x80", "\r\nX: y", " ", ";a=b", "*", "{id}", "<id>", "a" * 3000, "é", "feedback", "cds-services", "smart", "launch", "model-card", "static", ".git", "admin", "depression-suicide-risk", "-", "%", "\\", "//", "?x", "#y")  # fmt: skip


def routed(drawer: random.Random) -> Sent:
    """Any method at any path, with a body or without."""
    base = drawer.choice(
        (*OPEN, ADDRESS, FEEDBACK, AT_START, AT_END, "/", "", "*", "http://evil.example/x", "//evil.example/x")
    )
    for _ in range(drawer.choice((0, 0, 1, 1, 2))):
        at = drawer.randrange(len(base) + 1)
        piece = drawer.choice(PIECES)
        base = drawer.choice(
            (
                f"{base}/{piece}",
                f"{base[:at]}{piece}{base[at:]}",
                base[:at],
                f"/{piece}{base}",
                base + "/",
                base.upper(),
            )
        )
    path = base.encode(errors="surrogatepass").decode("latin-1")
    body = hook_text(drawer)[1].encode() if drawer.random() < 0.3 else b""
    query = drawer.choice(("", "", "a=b", "%", "\xff", "&" * 500, "a[]=1", "patient=" + SECRET))
    sent = Sent(method=drawer.choice(METHODS), path=path, body=body, query=query)
    if body:
        sent = sent.header("Content-Type", JSON)
    return sent.header("Authorization", f"Bearer {token(drawer, base)}") if drawer.random() < 0.5 else sent


# How often each is drawn.
MAKERS: dict[Callable[[random.Random], Sent], int] = {
    valid: 8, changed: 36, damaged: 16, packed: 6, headed: 12, with_token: 14, routed: 8,
}  # fmt: skip
