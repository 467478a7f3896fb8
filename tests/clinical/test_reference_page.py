"""docs/clinical-rules.md is the clinical tables, word for word; `make golden` writes it anew."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

from builders import AS_OF

PAGE = Path(__file__).parents[2] / "docs" / "clinical-rules.md"
HEAD = f"""# Clinical rules: charts and cards

For clinicians and safety officers. A reference, generated from the tables that the tests run (`tests/clinical/tables/`): each row
is a chart that was read, judged and turned into cards. R12, R13 and R16 (when models speak, patients in care, missing data) are tested in
`tests/unit/explanations/test_when_models_speak.py` and `tests/contract/`; R15 (England) and R17 (dismissals) are not built yet. What the discharge service makes of the same findings: decision 0013, tested in
`tests/integration/test_discharge.py`. Sources: [clinical-sources.md](clinical-sources.md). "Today" is {AS_OF:%d %B %Y}, 15:00 UTC. Cards are named by topic and indicator.
"""


def page() -> str:
    cases = [
        case
        for path in sorted((Path(__file__).parent / "tables").glob("*.toml"))
        for case in tomllib.loads(path.read_text(encoding="utf-8"))["case"]
    ]
    words = tomllib.loads((Path(__file__).parent / "rules.toml").read_text(encoding="utf-8"))["rules"]
    parts = [HEAD]
    for rule in sorted({case["rule"] for case in cases}, key=lambda name: int(name[1:])):
        rows = [
            f"| {case['name']} | {'<br>'.join(case['given'])} | {'<br>'.join(case['expect']) or 'no card'} |"
            for case in cases
            if case["rule"] == rule
        ]
        parts.append(
            f"## {rule}\n\n{words[rule]}\n\n| case | chart | cards |\n|---|---|---|\n" + "\n".join(rows) + "\n"
        )
    return "\n".join(parts)


def test_the_page_says_what_the_tables_say() -> None:
    if os.environ.get("MHCDS_REWRITE_GOLDEN"):
        PAGE.write_text(page(), encoding="utf-8")

    assert PAGE.read_text(encoding="utf-8") == page()
