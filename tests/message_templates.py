"""The templates of the message catalogues, gathered from the sources; `make messages` runs this file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sources import ROOT

from explanations.words import language as explanations
from smart_launch.pages import language as app

# Beside the sources that they are gathered from, whichever packages are installed.
EXPLANATIONS = ROOT / "explanations" / "locale" / f"{explanations.DOMAIN}.pot"
APP = ROOT / "smart_launch" / "locale" / f"{app.DOMAIN}.pot"


def gather(template: Path, target: Path) -> Path:
    """Writes the messages of the package that the template belongs to, as they are now, to `target`."""
    command = [sys.executable, "-W", "ignore", "-m", "babel.messages.frontend", "-q", "extract", "-F", "babel.cfg"]
    options = ["-k", "later", "-k", "say", "-k", "many:1,2", "--add-comments=Translators:", "--no-location",
               "--omit-header", "--sort-output", "-o", str(target), template.parents[1].name]  # fmt: skip
    subprocess.run([*command, *options], cwd=ROOT, check=True, timeout=600)
    return target


if __name__ == "__main__":
    for template in (APP, EXPLANATIONS):
        gather(template, template)
