"""The command lines that build images."""

from pathlib import Path

from hack.images.builders import Target, buildah_arguments, docker_commands
from hack.images.recipes import Recipe

RECIPE = Recipe("operator/Dockerfile", ".", ("operator",), {"BASE": "python:3"}, layers=True)
TARGET = Target("tandem.local/operator:0123456789ab", Path("/cache/operator.tar"))
SECRETS = {"ca": Path("/etc/ca.crt"), "pip.conf": Path("/run/pip.conf")}


def test_docker_builds_saves_and_removes_the_tag() -> None:
    build, save, remove = docker_commands(RECIPE, TARGET, {})
    assert build[:2] == ["docker", "build"]
    assert build[build.index("--tag") + 1] == TARGET.reference
    assert build[build.index("--file") + 1] == "operator/Dockerfile"
    assert "--build-arg=BASE=python:3" in build
    assert build[-1] == "."
    assert save == ["docker", "save", "--output", "/cache/operator.tar", TARGET.reference]
    assert remove == ["docker", "image", "rm", TARGET.reference]


def test_buildah_writes_straight_into_the_archive() -> None:
    arguments = buildah_arguments(RECIPE, TARGET, {})
    assert arguments[0] == "build"
    assert arguments[arguments.index("--tag") + 1] == f"docker-archive:/cache/operator.tar:{TARGET.reference}"
    assert arguments[-1] == "."


def test_buildah_keeps_layers_only_where_the_recipe_says_so() -> None:
    assert "--layers" in buildah_arguments(RECIPE, TARGET, {})
    assert "--layers" not in buildah_arguments(Recipe("Dockerfile", ".", ()), TARGET, {})


def test_secrets_are_mounted_and_the_certificates_used() -> None:
    for command in (docker_commands(RECIPE, TARGET, SECRETS)[0], buildah_arguments(RECIPE, TARGET, SECRETS)):
        assert "--secret=id=ca,src=/etc/ca.crt" in command
        assert "--secret=id=pip.conf,src=/run/pip.conf" in command
        assert "--build-arg=CA_BUNDLE=/run/secrets/ca" in command


def test_without_certificates_the_image_uses_its_own() -> None:
    assert not any("CA_BUNDLE" in argument for argument in buildah_arguments(RECIPE, TARGET, {}))
