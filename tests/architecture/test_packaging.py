"""What may be in the repository, and what the lock files promise."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from sources import PACKAGES, ROOT

LOCKS = ("serve", "dev", "clients", "benchmark", "lock")
LARGEST_FILE_BYTES = 2_000_000

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

# Formats that can carry code or survey rows, by name and by their first bytes.
REFUSED_SUFFIXES = {
    ".pickle",
    ".pkl",
    ".joblib",
    ".npy",
    ".npz",
    ".parquet",
    ".xpt",
    ".sav",
    ".dta",
    ".sas7bdat",
    ".db",
}
REFUSED_STARTS = {
    b"\x80\x02": "pickle",
    b"\x80\x03": "pickle",
    b"\x80\x04": "pickle",
    b"\x80\x05": "pickle",
    b"PAR1": "parquet",
    b"HEADER RECORD": "SAS transport file",
    b"SQLite format 3": "database",
}

# Spelt in two pieces each, so that this file may say what no file may hold.
PLACES = {
    "package registry": re.compile(
        "|".join(
            re.escape(a + b)
            for a, b in [
                ("pypi", ".org"),
                ("python", "hosted.org"),
                ("npm", "js.org"),
                ("deb.debian", ".org"),
                ("--index", "-url"),
                ("--extra-index", "-url"),
                ("--find", "-links"),
            ]
        )
    ),
    "path on one machine": re.compile(r"(?<![\w.$}])/(work|root|Users|home)/\w|(?<![\w.])/opt/py" + r"pi|\b[A-Z]:\\\w"),
}


def repository_files() -> list[Path]:
    """Files that are or could be committed: git's list, with what is not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [ROOT / name for name in sorted(filter(None, names)) if (ROOT / name).is_file()]


def locked(name: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Package → (pinned requirement, its hashes) of one lock file."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    entries = [block for block in re.split(r"\n(?=\S)", text.replace("\\\n", "")) if block and block[0] != "#"]
    result = {}
    for entry in entries:
        requirement = re.split(r"\s+--hash|\s+#", entry, maxsplit=1)[0].strip()
        hashes = tuple(sorted(re.findall(r"--hash=(sha256:[0-9a-f]{64})\b", entry)))
        result[canonicalize_name(Requirement(requirement).name)] = (requirement, hashes)
    return result


def test_the_top_level_packages_are_exactly_the_five_and_tests() -> None:
    built = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    with_python = {path.relative_to(ROOT).parts[0] for path in repository_files() if path.suffix == ".py"}

    assert set(built) == set(PACKAGES)
    assert with_python == {*PACKAGES, "tests"}


def test_every_package_folder_says_what_it_is_for() -> None:
    for package in PACKAGES:
        assert (ROOT / package / "__init__.py").read_text().startswith('"""'), package


def kind_refused(path: Path) -> str | None:
    """Why a file of this size, name or content may not be committed; None when it may."""
    if path.stat().st_size >= LARGEST_FILE_BYTES:
        return "too large"
    if path.suffix.lower() in REFUSED_SUFFIXES:
        return path.suffix.lower()
    with path.open("rb") as file:
        start = file.read(16)
    return next((kind for mark, kind in REFUSED_STARTS.items() if start.startswith(mark)), None)


def place_named(path: Path) -> str | None:
    """The registry address or the path on one machine that a file names, if any."""
    text = path.read_bytes().decode("utf-8", errors="replace")
    return next((match.group() for pattern in PLACES.values() if (match := pattern.search(text))), None)


def test_committed_files_are_small_and_hold_neither_code_in_disguise_nor_survey_rows() -> None:
    refused = {str(path.relative_to(ROOT)): why for path in repository_files() if (why := kind_refused(path))}

    assert refused == {}


@pytest.mark.parametrize("content", [b"\x80\x05model", b"PAR1rows", b"HEADER RECORD*******", b"0" * LARGEST_FILE_BYTES])
def test_a_file_of_a_refused_kind_is_noticed_whatever_its_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.json").write_bytes(content)

    assert kind_refused(tmp_path / "model.json") is not None


def test_committed_files_name_no_package_registry_and_no_path_on_one_machine() -> None:
    named = {str(path.relative_to(ROOT)): place for path in repository_files() if (place := place_named(path))}

    assert named == {}


@pytest.mark.parametrize("text", ["see https://pypi" + ".org/simple", "cd /wo" + "rk/main", "open /ho" + "me/ann/x"])
def test_a_registry_address_or_a_machine_path_is_noticed(tmp_path: Path, text: str) -> None:
    (tmp_path / "page.md").write_text(text)

    assert place_named(tmp_path / "page.md") is not None


@pytest.mark.parametrize("name", LOCKS)
def test_every_line_of_a_lock_is_pinned_and_hashed_and_names_no_place(name: str) -> None:
    entries = locked(name)

    assert entries
    for requirement, hashes in entries.values():
        parsed = Requirement(requirement)
        assert [specifier.operator for specifier in parsed.specifier] == ["=="], requirement
        assert parsed.url is None, requirement
        assert hashes, requirement
    assert "://" not in (ROOT / "requirements" / f"{name}.txt").read_text()


def test_serving_and_development_are_locked_to_the_same_releases() -> None:
    serve, dev = locked("serve"), locked("dev")

    assert serve.items() <= dev.items()
    assert serve.keys() < dev.keys()


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("serve", PROJECT["project"]["dependencies"]),
        ("dev", PROJECT["project"]["optional-dependencies"]["train"]),
        ("dev", PROJECT["dependency-groups"]["dev"]),
        ("dev", PROJECT["build-system"]["requires"]),
        ("clients", PROJECT["dependency-groups"]["clients"]),
        ("benchmark", PROJECT["dependency-groups"]["benchmark"]),
        ("lock", PROJECT["dependency-groups"]["lock"]),
    ],
)
def test_the_lock_satisfies_what_the_project_asks_for(lock: str, wanted: list[str]) -> None:
    entries = locked(lock)

    for requirement in map(Requirement, wanted):
        pinned = Requirement(entries[canonicalize_name(requirement.name)][0])
        version = next(iter(pinned.specifier)).version
        assert requirement.specifier.contains(version), f"{requirement} against {pinned}: run `make lock`"


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_the_clients_of_others_bring_no_second_copy_of_what_is_installed(platform: str) -> None:
    markers = {name: Requirement(entry).marker for name, (entry, _) in locked("dev").items()}
    installed = {name for name, marker in markers.items() if not marker or marker.evaluate({"sys_platform": platform})}

    assert locked("clients").keys() & installed == set()
    assert locked("clients").keys() == {Requirement(r).name for r in PROJECT["dependency-groups"]["clients"]}


@pytest.mark.parametrize(
    "package", ["pandas", "pyarrow", "scikit-learn", "shap", "numba", "nvidia-nccl-cu12", "pytest"]
)
def test_a_serving_install_stays_free_of_training_and_gpu_libraries(package: str) -> None:
    assert package not in locked("serve")


def test_the_default_xgboost_is_installed_on_macos_alone() -> None:
    serve = locked("serve")

    assert Requirement(serve["xgboost"][0]).marker.evaluate({"sys_platform": "darwin"})
    assert not Requirement(serve["xgboost"][0]).marker.evaluate({"sys_platform": "linux"})
    assert Requirement(serve["xgboost-cpu"][0]).marker.evaluate({"sys_platform": "linux"})
    assert not Requirement(serve["xgboost-cpu"][0]).marker.evaluate({"sys_platform": "darwin"})


def test_every_folder_with_tests_is_run() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["testpaths"]

    assert set(listed) == {
        f"tests/{path.relative_to(ROOT / 'tests').parts[0]}" for path in ROOT.glob("tests/**/test_*.py")
    }
