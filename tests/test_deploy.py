"""What runs the server for good: the image, the compose file and the unit name commands and settings that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.cli_run import good

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
SERVER = (ROOT / "docs" / "server.md").read_text(encoding="utf-8")


def test_the_unit_is_the_one_in_the_docs():
    unit = (DEPLOY / "sharedllm-docs.service").read_text(encoding="utf-8").split("\n", 1)[1]
    assert f"```ini\n{unit}```" in SERVER


def test_the_unit_has_a_place_for_everything_and_no_rights():
    unit = (DEPLOY / "sharedllm-docs.service").read_text(encoding="utf-8")
    assert "ProtectSystem=strict" in unit
    assert "StateDirectory=" in unit
    assert "CacheDirectory=" in unit
    assert "CapabilityBoundingSet=\n" in unit


def test_the_image_runs_a_command_that_exists():
    lines = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    command = re.findall(r"^CMD (\[.*\])$", lines, re.MULTILINE)[-1]
    words = yaml.safe_load(command)
    help_text = good("serve", "--help").stdout
    assert words[:2] == ["sharedllm-docs", "serve"]
    assert all(word in help_text for word in words if word.startswith("--"))
    assert re.search(r"^USER \d+$", lines, re.MULTILINE)
    for source in re.findall(r"^COPY (?!--from)(.+) \S+$", lines, re.MULTILINE):
        assert all((ROOT / name).exists() for name in source.split())


def test_the_image_does_not_start_without_a_key():
    pytest.importorskip("fastapi")
    from sharedllm_docs.errors import ConfigError
    from sharedllm_docs.serving.http.access import check_binding
    from sharedllm_docs.serving.http.settings import PREFIX, Settings

    with pytest.raises(ConfigError, match="api-key"):
        check_binding(Settings.load(indexes={"documents": "x"}, host="0.0.0.0"))
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]["sharedllm-docs"]
    for name in service["environment"]:
        assert name.removeprefix(PREFIX).lower() in Settings.model_fields
    assert service["ports"] == ["127.0.0.1:8000:8000"]
    assert service["read_only"] is True
    assert "data:/data" in service["volumes"]


def test_the_docs_name_every_setting():
    pytest.importorskip("fastapi")
    from sharedllm_docs.serving.http.settings import Settings

    for name in Settings.model_fields:
        assert f"`{name}`" in SERVER, name


def test_the_job_on_a_cluster_runs_a_command_that_exists():
    job = yaml.safe_load((DEPLOY / "ray-job.yaml").read_text(encoding="utf-8"))
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    words = job["spec"]["entrypoint"].split()
    help_text = good("add", "--help").stdout
    assert words[:2] == ["sharedllm-docs", "add"]
    assert all(word in help_text for word in words if word.startswith("--"))
    cluster = job["spec"]["rayClusterSpec"]
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert f"ray=={cluster['rayVersion']}\n" in pins
    pods = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    containers = [one["template"]["spec"]["containers"] for one in pods]
    assert {one["envFrom"][0]["secretRef"]["name"] for pod in containers for one in pod} == {"bucket"}
