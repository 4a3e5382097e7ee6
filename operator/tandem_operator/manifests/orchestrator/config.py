"""The orchestrator's configuration file, and the Secrets and ConfigMaps that it names, which are mounted as files."""

from enum import Enum
from typing import Any, Final

import yaml
from pydantic import SecretStr
from tandem_contract import names
from tandem_contract.config import SecretFile, Section, TaskFile

from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.settings import Named
from tandem_operator.manifests.component import Manifest, checksum, child

FILES_PATH: Final = names.CONFIG_PATH.rpartition("/")[0]
"""Where a container has the volume with the configuration file."""
_SECRETS: Final = "/etc/tandem/secrets"
_CONFIG_MAPS: Final = "/etc/tandem/config-maps"
_READABLE_BY_GROUP: Final = 0o440


def file(service: LLMService) -> Manifest:
    """Return the configuration file as plain data: what the spec sets, and its engine."""
    document: Manifest = written(service.configuration)
    return document


def config_map(service: LLMService, document: Manifest) -> Manifest:
    """Return the ConfigMap with the configuration file."""
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    return {**child(service, service.orchestrator, "v1", "ConfigMap"), "data": {names.CONFIG_KEY: text}}


def volumes(service: LLMService) -> list[Manifest]:
    """Return a volume for each Secret and ConfigMap, with the keys that are named or, where one is not, with all.

    Each is a whole folder, which the kubelet keeps up to date without a restart.
    """
    config_maps = [
        {"name": _volume_name("config-map", name), "configMap": {"name": name, "optional": False, **_items(keys)}}
        for name, keys in service.config_maps.items()
    ]
    return [*secret_volumes(service.secrets), *config_maps]


def mounts(service: LLMService) -> list[Manifest]:
    """Return where the volumes appear in the container."""
    config_maps = [_mount("config-map", name, _CONFIG_MAPS) for name in service.config_maps]
    return [*secret_mounts(service.secrets), *config_maps]


def secret_volumes(named: Named) -> list[Manifest]:
    """Return those of Secrets alone."""
    return [
        {
            "name": _volume_name("secret", name),
            "secret": {"secretName": name, "defaultMode": _READABLE_BY_GROUP, "optional": False, **_items(keys)},
        }
        for name, keys in named.items()
    ]


def secret_mounts(named: Named) -> list[Manifest]:
    """Return where those appear."""
    return [_mount("secret", name, _SECRETS) for name in named]


def source(service: LLMService) -> Manifest:
    """Return the configuration file as a part of a projected volume."""
    return {"configMap": {"name": service.orchestrator.name, "items": [item(names.CONFIG_KEY)]}}


def item(key: str, folder: str = "") -> Manifest:
    """Return a key as a file of its name in a folder of the volume."""
    return {"key": key, "path": f"{folder}{key}"}


def written(value: Any) -> Any:
    """Return settings as plain data: what was set, in YAML's spelling, with files in the place of their sources."""
    if isinstance(value, SecretFile | TaskFile):
        return {"file": _path(value)}
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


def _path(source: SecretFile | TaskFile) -> str:
    """Return where a key is mounted, or the folder with all."""
    if isinstance(source, SecretFile):
        parts = _SECRETS, source.secret_name, source.secret_key
    else:
        parts = _CONFIG_MAPS, source.config_map_name, source.config_map_key
    return "/".join(filter(None, parts))


def _items(keys: frozenset[str]) -> Manifest:
    return {"items": [item(key) for key in sorted(keys)]} if keys else {}


def _mount(kind: str, name: str, folder: str) -> Manifest:
    return {"name": _volume_name(kind, name), "mountPath": f"{folder}/{name}", "readOnly": True}


def _volume_name(kind: str, name: str) -> str:
    """Return a name of a bounded length: an object's may be longer than a volume's."""
    return f"{kind}-{checksum(name)}"
