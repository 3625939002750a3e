"""One version for all distributions of this repository, each of which builds and wants the others in that version."""

from __future__ import annotations

import importlib.util
import tarfile
import zipfile
from email import message_from_string
from email.message import Message
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hatchling.metadata.core import ProjectMetadata
from packaging.requirements import Requirement
from packaging.version import Version

import sharedllm_docs
from tests.cli_run import process

ROOT = Path(__file__).parents[1]


@cache
def tool() -> Any:
    spec = importlib.util.spec_from_file_location("build_distributions", ROOT / "tools" / "build_distributions.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FOLDERS = tool().folders()
BESIDE = [folder for folder in FOLDERS if folder != ROOT]
each = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name if folder != ROOT else "core")
beside = pytest.mark.parametrize("folder", BESIDE, ids=lambda folder: folder.name)


@cache
def metadata(folder: Path) -> ProjectMetadata:
    return tool().metadata(folder)


@cache
def names() -> dict[str, str]:
    """Normalised name of each distribution -> its version."""
    return {metadata(folder).core.name: metadata(folder).version for folder in FOLDERS}


def requirements(folder: Path) -> list[Requirement]:
    """What a distribution and its extras want of the other distributions of this repository."""
    core = metadata(folder).core
    texts = [*core.dependencies, *(text for extra in core.optional_dependencies.values() for text in extra)]
    found = [Requirement(text) for text in texts]
    return [one for one in found if one.name in names() and one.name != core.name]


def next_breaking(version: Version) -> Version:
    """The first version that may break what uses this one: while the major is 0 the next minor."""
    return Version(f"{version.major + 1}.0" if version.major else f"0.{version.minor + 1}")


def test_the_distributions_are_found():
    assert {"sharedllm-docs", "langchain-sharedllm", "llama-index-llms-sharedllm"} <= set(names())
    assert len(names()) == len(FOLDERS)


@each
def test_the_version_stands_in_one_place(folder):
    assert metadata(folder).version == sharedllm_docs.__version__
    assert "version" in metadata(folder).config["project"]["dynamic"]
    path = folder / metadata(folder).hatch.config["version"]["path"]
    assert path.resolve() == ROOT / "sharedllm_docs" / "version.py"


@each
def test_versions_are_final_or_pre_releases_in_normal_form(folder):
    version = Version(metadata(folder).version)
    assert str(version) == metadata(folder).version
    assert version.local is None


@each
def test_the_distributions_want_one_another_in_this_version_and_not_beyond_what_may_break_them(folder):
    for one in requirements(folder):
        assert one.specifier.contains(names()[one.name], prereleases=True), str(one)
        assert not one.specifier.contains(str(next_breaking(Version(names()[one.name])))), str(one)


@pytest.mark.parametrize("folder", sorted(ROOT.glob("integrations/*/")), ids=lambda folder: folder.name)
def test_every_integration_wants_the_core(folder):
    assert "sharedllm-docs" in {Requirement(text).name for text in metadata(folder).core.dependencies}


def test_next_breaking_versions():
    assert [str(next_breaking(Version(text))) for text in ("0.1.0", "0.9.3", "1.4.2", "2.0a1")] == [
        "0.2",
        "0.10",
        "2.0",
        "3.0",
    ]


def test_a_release_wants_the_tag_of_its_version():
    found = [metadata(folder) for folder in FOLDERS]
    tool().check_tag(f"v{sharedllm_docs.__version__}", found)
    for tag in (sharedllm_docs.__version__, f"v{sharedllm_docs.__version__}.1", "v"):
        with pytest.raises(SystemExit, match=f"The tag '{tag}' is not the version of sharedllm-docs"):
            tool().check_tag(tag, found)


# -- building ---------------------------------------------------------------------------------------------------------


def hatchling(folder: Path, target: str, out: Path) -> Path:
    """Build in a process of its own, without an environment and so without a network; the one file that it makes."""
    code = "import os, sys; os.chdir(sys.argv.pop(1)); from hatchling.cli import hatchling; sys.exit(hatchling())"
    result = process("-c", code, str(folder), "build", "--target", target, "--directory", str(out))
    assert result.returncode == 0, result.stderr
    (made,) = out.iterdir()
    return made


def wheel_metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return message_from_string(archive.read(name).decode("utf-8"))


@beside
def test_a_wheel_built_from_the_sdist_alone_has_the_version(folder, tmp_path):
    """The file that the version comes from is not in the sdist, which must therefore carry it."""
    sdist = hatchling(folder, "sdist", tmp_path / "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    built = wheel_metadata(hatchling(unpacked, "wheel", tmp_path / "wheel"))
    assert (built["Name"], built["Version"]) == (metadata(folder).core.raw_name, sharedllm_docs.__version__)


def test_the_core_builds_with_adapters_and_without_tests(tmp_path):
    wheel = hatchling(ROOT, "wheel", tmp_path)
    assert wheel_metadata(wheel)["Version"] == sharedllm_docs.__version__
    with zipfile.ZipFile(wheel) as archive:
        contents = archive.namelist()
    assert "sharedllm_docs/py.typed" in contents
    assert any(name.endswith("/adapter_config.json") for name in contents)
    assert {name.split("/")[0].partition("-")[0] for name in contents} == {"sharedllm_docs"}
