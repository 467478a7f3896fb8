"""The demo clinic's settings: one site with the clinic's own forms."""

from __future__ import annotations

from importlib.resources import as_file, files

from cds_service.errors import ConfigError
from cds_service.sites import ServiceConfig, load_site


def demo_config() -> ServiceConfig:
    """The demo's one site. Raises ConfigError when the shipped file is damaged."""
    problems: list[str] = []
    with as_file(files("cds_service.demo_ehr") / "site.toml") as path:
        site = load_site(path, problems)
    if site is None:
        raise ConfigError("\n".join(problems))
    return ServiceConfig(sites=(site,), mode="demo")
