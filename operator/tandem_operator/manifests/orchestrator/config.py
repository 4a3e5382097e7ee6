"""The orchestrator's configuration file, and the Secrets that it names, which are mounted as files."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

import yaml
from pydantic import SecretStr
from tandem_contract import names
from tandem_contract.config import SecretFile, Section

from tandem_operator.api.llmservice import LLMService
from tandem_operator.manifests.component import Manifest, checksum, child

Secrets = Mapping[str, frozenset[str]]
"""Keys of Secrets by the Secrets' names; none of them means all."""

FILES_PATH: Final = names.CONFIG_PATH.rpartition("/")[0]
"""Where a container has the volume with the configuration file."""
_FOLDER: Final = "/etc/tandem/secrets"
_READABLE_BY_GROUP: Final = 0o440


def file(service: LLMService) -> Manifest:
    """Return the configuration file as plain data: what the spec sets, and its engine."""
    document: Manifest = written(service.configuration)
    return document


def config_map(service: LLMService, document: Manifest) -> Manifest:
    """Return the ConfigMap with the configuration file."""
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    return {**child(service, service.orchestrator, "v1", "ConfigMap"), "data": {names.CONFIG_KEY: text}}


def volumes(named: Secrets) -> list[Manifest]:
    """Return a volume for each Secret, with the keys that are named or, where one is not, with all."""
    return [{"name": _volume_name(name), "secret": _source(name, keys)} for name, keys in named.items()]


def mounts(named: Secrets) -> list[Manifest]:
    """Return where the volumes appear in the container."""
    return [{"name": _volume_name(name), "mountPath": f"{_FOLDER}/{name}", "readOnly": True} for name in named]


def source(service: LLMService) -> Manifest:
    """Return the configuration file as a part of a projected volume."""
    return {"configMap": {"name": service.orchestrator.name, "items": [item(names.CONFIG_KEY)]}}


def item(key: str, folder: str = "") -> Manifest:
    """Return a key as a file of its name in a folder of the volume."""
    return {"key": key, "path": f"{folder}{key}"}


def written(value: Any) -> Any:
    """Return settings as plain data: what was set, in YAML's spelling, with files in the place of Secrets."""
    if isinstance(value, SecretFile):
        return {"file": "/".join(filter(None, (_FOLDER, value.secret_name, value.secret_key)))}
    if isinstance(value, Section):
        fields = type(value).model_fields.items()
        return {
            field.alias or name: written(getattr(value, name))
            for name, field in fields
            if name in value.model_fields_set
        }
    if isinstance(value, dict):
        return {key: written(item) for key, item in value.items()}
    if isinstance(value, list):
        return [written(item) for item in value]
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return value.value if isinstance(value, Enum) else value


def _source(name: str, keys: frozenset[str]) -> Manifest:
    source = {"secretName": name, "defaultMode": _READABLE_BY_GROUP, "optional": False}
    return {**source, "items": [{"key": key, "path": key} for key in sorted(keys)]} if keys else source


def _volume_name(secret: str) -> str:
    """Return a name of a bounded length: a Secret's may be longer than a volume's."""
    return f"secret-{checksum(secret)}"
