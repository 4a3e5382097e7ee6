"""One version of the main engine: what its pods are made of, and what its orchestrators have to know of it."""

import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Final

from pydantic import BaseModel, ConfigDict
from tandem_contract.config import Upstream

from tandem_operator.api.llmservice import LLMService
from tandem_operator.manifests.component import Manifest, checksum
from tandem_operator.manifests.engine.model_cache import with_cached
from tandem_operator.manifests.engine.private import KEY_STAMP

_NOT_OF_PODS: Final = {"replicas", "pod_disruption_budget"}
_NOT_OF_PODS_IN_MODEL: Final = {"fallback", "cache", "figures"}
"""What the spec says beside the pods: a change of it restarts none."""


class Version(BaseModel):
    """Everything that makes an engine this one; the engines' key is no part of it, nor how many replicas there are."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    inputs: str
    """Mark of all in the spec that its pods are made from."""
    template: dict[str, Any]
    """The pods' template, without the stamp of the key."""
    upstream: dict[str, Any]
    """What the orchestrator is told of it, but where it is."""
    chat_template: str | None = None
    source: str | None = None
    """The source of its model, if that is fetched into a claim."""

    @cached_property
    def mark(self) -> str:
        """Another for each template."""
        return checksum(json.dumps(self.template, sort_keys=True))

    @property
    def model(self) -> str:
        """The name by which clients ask for it."""
        return str(self.upstream.get("model", ""))

    def upstream_at(self, url: str, **changes: Any) -> Upstream:
        """Return what the orchestrator is told of it, served at this URL."""
        return Upstream.model_validate({**self.upstream, "url": url, **changes})


def wanted(service: LLMService, deployment: Manifest) -> Version:
    """Return the version that a service asks for, `deployment` being its main engine's as it is rendered."""
    facts = next(each for each in service.configuration.upstreams if each.name == service.engine.tier)
    return Version(
        inputs=_inputs(service),
        template=without_key(deployment["spec"]["template"]),
        upstream=facts.model_dump(mode="json", exclude_unset=True, exclude={"url"}),
        chat_template=service.spec.engine.tool_calling.inline_chat_template,
        source=service.engine.model.source if service.engine.model.cache else None,
    )


def _inputs(service: LLMService) -> str:
    # defaults are left out: fields that a later release adds are no change
    seen = with_cached(service).engine
    engine = seen.spec.model_dump(mode="json", exclude_defaults=True, exclude=_NOT_OF_PODS)
    model = seen.model.model_dump(mode="json", exclude_defaults=True, exclude=_NOT_OF_PODS_IN_MODEL)
    return checksum(json.dumps([engine, model], sort_keys=True))


def without_key(template: Mapping[str, Any]) -> Manifest:
    """Return a pod template as it is for any key."""
    return _stamped(template, None)


def with_key(template: Mapping[str, Any], key_version: str | None) -> Manifest:
    """Return a pod template for pods that have this key."""
    return _stamped(template, key_version)


def _stamped(template: Mapping[str, Any], key_version: str | None) -> Manifest:
    metadata = {name: value for name, value in template["metadata"].items() if name != "annotations"}
    kept = {name: value for name, value in (template["metadata"].get("annotations") or {}).items() if name != KEY_STAMP}
    annotations = kept | ({KEY_STAMP: key_version} if key_version else {})
    return {**template, "metadata": {**metadata, **({"annotations": annotations} if annotations else {})}}


def changed(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Yield the paths at which two templates differ; entries of lists are called by their names."""
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted(before.keys() | after.keys()):
            yield from changed(before.get(name), after.get(name), f"{path}.{name}" if path else name)
    elif (one := _by_name(before)) is not None and (other := _by_name(after)) is not None:
        for name in sorted(one.keys() | other.keys()):
            yield from changed(one.get(name), other.get(name), f"{path}[{name}]")
    else:
        yield path


def _by_name(entries: Any) -> dict[str, Any] | None:
    if not isinstance(entries, list) or not all(isinstance(each, dict) and "name" in each for each in entries):
        return None
    return {each["name"]: each for each in entries}
