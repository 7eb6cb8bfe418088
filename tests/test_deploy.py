"""The files for containers and clusters say what the program understands."""

import re
from pathlib import Path

import yaml

from halfcascade.bot.serve.settings import SERVE_PREFIX, ServeSettings

ROOT = Path(__file__).parents[1]


def test_the_manifests_name_paths_ports_and_settings_that_exist():
    documents = list(yaml.safe_load_all((ROOT / "deploy/kubernetes/halfcascade.yaml").read_text()))
    assert [document["kind"] for document in documents] == [
        "Deployment",
        "Service",
        "PodDisruptionBudget",
        "HorizontalPodAutoscaler",
    ]
    pod = documents[0]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    app = (ROOT / "bot/serve/app.py").read_text()
    for probe in ("readinessProbe", "livenessProbe", "startupProbe"):
        assert f'"{container[probe]["httpGet"]["path"]}"' in app
    given = {variable["name"]: variable.get("value") for variable in container["env"]}
    names = [name for name in given if name.startswith(SERVE_PREFIX)]
    assert {name.removeprefix(SERVE_PREFIX).lower() for name in names} <= set(ServeSettings.model_fields)
    assert pod["terminationGracePeriodSeconds"] > float(given["HALFCASCADE_SERVE_DRAIN_SECS"] or 0)
    assert ServeSettings.model_fields["port"].default == container["ports"][0]["containerPort"]
    assert documents[3]["spec"]["metrics"][0]["pods"]["metric"]["name"] == "halfcascade_talks"


def test_images_are_built_from_files_that_are_there():
    for name in ("Dockerfile", "deploy/pipecat-cloud/Dockerfile"):
        text = (ROOT / name).read_text()
        default = re.search(r"^ARG REQUIREMENTS=(\w+)", text, re.MULTILINE)
        paths = re.findall(r"^COPY (?!--from)(\S+) ", text, re.MULTILINE)
        assert paths
        for path in paths:
            assert (ROOT / path).exists(), path
        if default:
            assert (ROOT / "requirements" / f"{default[1]}.txt").is_file()
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    assert set(services) == {"bot", "emulator"}
