"""The command `mhcds`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from cds_service.commands.assess_files import Assessed, Failed
    from cds_service.settings.sites import ServiceConfig
    from cds_service.storage.store import Store

CONFIG = click.option(
    "--config", "folder", type=click.Path(path_type=Path), help="Folder with service.toml and sites/*.toml."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="mental-health-cds")
def main() -> None:
    """Clinical decision support for depression and suicide safety, over CDS Hooks and FHIR."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")


def configured(folder: Path | None) -> ServiceConfig:
    """The settings, or a clear end of the program."""
    from cds_service.errors import ConfigError
    from cds_service.settings.sites import default_config, load_config

    try:
        return load_config(folder) if folder else default_config()
    except ConfigError as error:
        raise click.ClickException(str(error)) from error


@main.command()
@CONFIG
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 64), help="Worker processes.")
def serve(folder: Path | None, host: str, port: int, workers: int) -> None:
    """Run the service. Only clients of the sites' issuer tables may call; without --config nobody may."""
    from cds_service.errors import ConfigError
    from cds_service.serving import server
    from cds_service.settings.live import LiveConfig
    from cds_service.settings.sites import default_config, served_at

    logging.getLogger("mhcds").setLevel(logging.INFO)
    try:
        address = served_at(host, port)
        live = LiveConfig.of(folder, address) if folder else LiveConfig(default_config())
        config = live()
        config.check_host(host)
        with server.shared_counters():
            from cds_service.app import create_app, make_ready

            make_ready(config)
            server.serve(lambda: create_app(live), server.options(config, host, port, workers))
    except ConfigError as error:
        raise click.ClickException(str(error)) from error


@main.command()
@click.option("--once", is_flag=True, help="Print the cards of all demo patients and end.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Loopback address to listen on.")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="Port of the page; 0 takes a free one.")
def demo(once: bool, host: str, port: int) -> None:
    """Start the service with a small demo EHR on loopback and show real cards of synthetic patients."""
    from cds_service.app import create_app
    from cds_service.demo_ehr.config import demo_config
    from cds_service.demo_ehr.runner import run_demo

    sys.exit(run_demo(lambda addresses: create_app(demo_config(addresses)), once=once, host=host, port=port))


@main.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--format", "form", type=click.Choice(["text", "json", "cards"]), default="text", show_default=True,
              help="text to read; json, one object a line; cards as a CDS client gets them.")  # fmt: skip
@click.option("--as-of", help="The moment to assess at: a date (its end, UTC) or a date and time. Default: now.")
@click.option(
    "--strict", is_flag=True, help="Refuse input that is not valid R4, and list every deviation with its path."
)
@click.option("--site", help="The site whose settings apply. Default: the first.")
@CONFIG
def assess(  # one argument an option
    *, files: tuple[str, ...], form: str, as_of: str | None, strict: bool, site: str | None, folder: Path | None
) -> None:
    """Assess FHIR Bundles or CDS Hooks requests in FILES (.gz too, - for standard input), without a server."""
    from cds_service.commands.assess_files import Failed, assess_file, moment
    from cds_service.errors import ConfigError
    from cds_service.serving.engine import load_engine

    config = configured(folder)
    try:
        chosen, when = config.site(site), moment(as_of)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    except (ValueError, OverflowError) as error:
        raise click.ClickException(
            f"--as-of: expected a date such as 2026-11-23 or a date and time; found {as_of!r}"
        ) from error
    engine = load_engine(config.models)
    failed = False
    watched = sys.stderr.isatty() and not sys.stdout.isatty()
    for name in _shown(files) if watched else files:
        result = assess_file(name, as_of=when, site=chosen, engine=engine, strict=strict)
        failed = failed or isinstance(result, Failed)
        _print(result, form)
    sys.exit(1 if failed else 0)


def _shown(files: tuple[str, ...]) -> Iterator[str]:
    """The files one by one, with a bar on standard error; for output that goes elsewhere than to the terminal."""
    from cds_service.commands.terminal import progress

    with progress() as report:
        for number, name in enumerate(files):
            report("Assessing", number, len(files))
            yield name
        report("Assessing", len(files), len(files))


def _print(result: Assessed | Failed, form: str) -> None:
    from dataclasses import asdict

    import msgspec

    from cds_service.commands.assess_files import Failed

    if isinstance(result, Failed):
        if form == "text":
            click.echo(f"{result.name}: {result.error}", err=True)
            for found in result.deviations:
                click.echo(f"  {found.path} ({found.resource}): {found.fault}", err=True)
        else:
            more = {"deviations": [asdict(found) for found in result.deviations]} if result.deviations else {}
            click.echo(msgspec.json.encode({"input": result.name, "error": result.error} | more))
    elif form == "json":
        click.echo(msgspec.json.encode(result.report()))
    elif form == "cards":
        click.echo(msgspec.json.encode({"input": result.name, "cards": result.cards}))
    else:
        from cds_service.commands.terminal import print_assessed

        print_assessed(result)


@main.command("check-config")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
def check_config(folder: Path | None) -> None:
    """Load and check every setting in FOLDER; each problem is named with file, key and remedy."""
    from cds_service.serving.engine import load_engine
    from fhir_adapters.codesets.terminology import unresolved

    config = configured(folder)
    engine = load_engine(config.models)
    for outcome, reason in engine.failures:
        click.echo(f"model {outcome}: {reason}", err=True)
    click.echo(f"mode {config.mode}, address {config.address or 'not set (public_url)'}")
    for site in config.sites:
        click.echo(
            f"site {site.id}: time zone {site.cards.zone}, country {site.cards.country}, "
            f"dialect {site.dialect}, {len(site.reading.fhir_bases)} FHIR bases, "
            f"{len(site.reading.maps)} questionnaire maps"
        )
        for issuer in site.issuers:
            keys = issuer.jwks_url or f"{len(issuer.keys)} keys by value"
            click.echo(f"site {site.id}: issuer {issuer.iss}, {', '.join(issuer.algorithms)}, {keys}")
        if not site.issuers:
            click.echo(f"site {site.id}: no [[issuer]], so every call is refused")
    for model in engine.models:
        click.echo(f"model {model.outcome} {model.version}: verified")
    for row in unresolved():
        click.echo(f"code list, no code yet, skipped: {row}")
    sys.exit(1 if engine.failures else 0)


@main.group()
def db() -> None:
    """The store: tables, backups, keys."""


STORE = click.option(
    "--config",
    "folder",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder with service.toml and sites/*.toml.",
)


@db.command("upgrade")
@STORE
def db_upgrade(folder: Path) -> None:
    """Bring the store's tables to this version. Doing it again changes nothing."""
    with _store(folder) as store:
        before = store.revision()
        store.upgrade()
        click.echo(f"Tables: version {before or 'none'} before, {store.revision()} now.")


@db.command("backup")
@STORE
@click.argument("file", type=click.Path(path_type=Path))
def db_backup(folder: Path, file: Path) -> None:
    """Write every row, as of one moment, to FILE (gzip), while the service runs. The data key is not in it."""
    with _store(folder) as store:
        click.echo(f"{store.backup(file)} rows written to {file}. Keep the data key in another place.")


@db.command("restore")
@STORE
@click.argument("file", type=click.Path(path_type=Path))
def db_restore(folder: Path, file: Path) -> None:
    """Read a backup from FILE into an empty store, all or nothing; SQLite and PostgreSQL take each other's."""
    with _store(folder) as store:
        store.upgrade()
        click.echo(f"{store.restore(file)} rows restored.")


@db.command("new-key")
def db_new_key() -> None:
    """Print a new data key, for a file that only the service can read."""
    from cds_service.keys.data_key import new_key

    click.echo(new_key().text)


@main.group()
def smart() -> None:
    """The SMART app: keys by which EHRs know us."""


@smart.command("new-key")
@click.option("--algorithm", type=click.Choice(["ES384", "RS384"]), default="ES384", show_default=True)
def smart_new_key(algorithm: str) -> None:
    """Print a new private key (PEM), for a file that only the service can read; name it in smart_keys."""
    from smart_launch.oauth.own_keys import new_pem

    click.echo(new_pem(algorithm), nl=False)


@contextmanager
def _store(folder: Path) -> Iterator[Store]:
    """The store of a folder's settings; what goes wrong is a clear end of the program."""
    from cds_service.errors import ConfigError, StoreUnavailable
    from cds_service.storage.store import create_folder, open_store

    url = configured(folder).store or ""
    try:
        create_folder(url)
        store = open_store(url)
        yield store
    except (ConfigError, StoreUnavailable) as error:
        raise click.ClickException(str(error)) from error
    store.close()


NHANES = click.option(
    "--nhanes", required=True, type=click.Path(path_type=Path), help="Folder with the survey's raw files."
)
MODELS = click.option(
    "--model", "root", type=click.Path(path_type=Path), help="Folder of models. Default: those shipped."
)
REPORT = click.option(
    "--report", "page", type=click.Path(path_type=Path), help="Folder for one HTML page with the figures and plots."
)


@main.command()
@NHANES
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write the models to.")
@REPORT
def train(nhanes: Path, out: Path, page: Path | None) -> None:
    """Train both models from survey data and write their artifacts. Same data, same bytes."""
    from models.errors import ModelError

    try:
        from cds_service.commands.terminal import progress
        from models.training.train import train as run

        with progress() as report:
            run(nhanes, out, progress=report)
    except (ModelError, ImportError) as error:
        raise click.ClickException(_needs_extra(error)) from error
    click.echo(f"Models written to {out}")
    if page is not None:
        _evaluated(nhanes, out, page)


@main.command()
@NHANES
@MODELS
@click.option(
    "--json", "target", type=click.Path(path_type=Path, allow_dash=True), help="Write metrics as JSON; - prints them."
)
@REPORT
def evaluate(nhanes: Path, root: Path | None, target: Path | None, page: Path | None) -> None:
    """Evaluate models on survey data, per outcome, data pattern, cycle and subgroup, with 95 % intervals."""
    import msgspec

    metrics = _evaluated(nhanes, root, page)
    if target is not None and str(target) == "-":
        click.echo(msgspec.json.encode(metrics))
        return
    from cds_service.commands.terminal import console
    from models.evaluation.evaluate import report_table

    if target is not None:
        target.write_bytes(msgspec.json.encode(metrics) + b"\n")
    console().print(report_table(metrics))


def _evaluated(nhanes: Path, root: Path | None, page: Path | None) -> dict[str, Any]:
    """Metrics of the models below root; with a folder for the page, that is written as well."""
    from models.errors import ModelError

    try:
        from cds_service.commands.terminal import progress
        from models.evaluation.evaluate import Evaluation

        with progress() as report:
            evaluation = Evaluation.of(nhanes, root, progress=report)
            metrics = evaluation.metrics(progress=report)
            if page is not None:
                from models.reports.html_report import write_report

                write_report(evaluation.frame, evaluation.contenders, metrics, page, progress=report)
    except (ModelError, ImportError) as error:
        raise click.ClickException(_needs_extra(error)) from error
    if page is not None:
        click.echo(f"Report written to {page / 'report.html'}", err=True)
    return metrics


@main.command()
@click.option("--model", "root", type=click.Path(path_type=Path), required=True,
              help="A model's folder, or a folder of models (then with --outcome).")  # fmt: skip
@click.option("--labels", required=True, type=click.Path(path_type=Path), help="CSV file with columns score, outcome.")
@click.option("--out", default="models-recalibrated", show_default=True, type=click.Path(path_type=Path),
              help="Folder to write the new version to.")  # fmt: skip
@click.option("--outcome", help="Which model, where the folder holds several.")
def recalibrate(root: Path, labels: Path, out: Path, outcome: str | None) -> None:
    """Fit a model's calibration to a site's own scores and outcomes, as a new version; nobody's rank changes."""
    from models.errors import ModelError
    from models.training.recalibration import one_model, read_labels
    from models.training.recalibration import recalibrate as run

    try:
        done = run(one_model(root, outcome), read_labels(labels), out)
    except ModelError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{done.n} people, {done.events} with the outcome (95 % intervals in brackets).")
    click.echo(f"Scores as they were: {_figures(done.before)}.")
    click.echo(f"New line on the log-odds: shift {_figure(done.shift)}, slope {_figure(done.slope)}.")
    click.echo(f"New scores, on these people: {_figures(done.after)}. Check them on people not in the file.")
    click.echo(f"Version {done.version} written to {done.folder}")


def _figures(found: Mapping[str, Any]) -> str:
    return f"slope {_figure(found['slope'])}, observed over expected {_figure(found['o_e'])}"


def _figure(found: Mapping[str, float | None] | None) -> str:
    if found is None or found["value"] is None:
        return "not to be had"
    return f"{found['value']:.2f} ({found['low']:.2f} to {found['high']:.2f})"


@main.command()
@click.argument("files", nargs=-1, required=True)
@MODELS
@click.option("--as-of", help="The moment to read the charts at: a date (its end, UTC) or a date and time.")
@CONFIG
def drift(files: tuple[str, ...], root: Path | None, as_of: str | None, folder: Path | None) -> None:
    """Compare the inputs in FILES (Bundles or hook requests, 100 or more) with those the models were trained on."""
    from cds_service.commands.assess_files import Failed, assess_file, moment
    from cds_service.commands.terminal import console, drift_table
    from explanations.judgement.assessment import Engine
    from models.errors import ModelError
    from models.evaluation.drift import input_shifts
    from models.inputs.features import inputs
    from models.scoring.registry import load_json, load_models

    config = configured(folder)
    try:
        when = moment(as_of)
    except (ValueError, OverflowError) as error:
        raise click.ClickException(f"--as-of: expected a date such as 2026-11-23; found {as_of!r}") from error
    found = []
    for name in _shown(files) if sys.stderr.isatty() else files:
        result = assess_file(name, as_of=when, site=config.site(None), engine=Engine())
        if isinstance(result, Failed):
            click.echo(f"{result.name}: {result.error}", err=True)
        else:
            found.append(inputs(result.assessment.chart))
    unlike = False
    try:
        for model in load_models(root or config.models):
            rows = [given.vector(model.schema).values for given in found]
            shifts = input_shifts(model.schema, load_json(model.folder / "reference.json"), rows)
            console().print(drift_table(f"{model.outcome} {model.version}, {len(rows)} charts", shifts))
            unlike = unlike or any(shift.unlike for shift in shifts)
    except ModelError as error:
        raise click.ClickException(str(error)) from error
    sys.exit(3 if unlike else 0)


def _needs_extra(error: Exception) -> str:
    if isinstance(error, ImportError):
        return f"{error.name} is not installed; training and evaluation need: pip install 'mental-health-cds[train]'"
    return str(error)


if __name__ == "__main__":
    main()
