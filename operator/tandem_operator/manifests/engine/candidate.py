"""An engine that is to take the place of the main one: the same objects under another name."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from tandem_contract import names

from tandem_operator.api.component import CANDIDATE, EngineComponent
from tandem_operator.manifests.component import CONFIG_MAP, DEPLOYMENT, Manifest

_KINDS: Final = (CONFIG_MAP, "NetworkPolicy", "Service", DEPLOYMENT, "ServiceMonitor")
_PODS_PORT: Final = "pods"


def candidate(engine: EngineComponent) -> EngineComponent:
    """Return the component that stands beside the main engine; its ServiceAccount is the same."""
    name = f"{engine.name.removesuffix(str(engine.tier))}{CANDIDATE}"
    return replace(engine, tier=CANDIDATE, name=name, selector={**engine.selector, names.LABEL_TIER: CANDIDATE})


def objects(engine: EngineComponent, manifests: Iterable[Manifest]) -> list[Manifest]:
    """Return the candidate's objects, made from the main engine's, without those that it does not need."""
    beside = candidate(engine)
    own = (engine.name, f"{engine.name}-pods")
    found = [each for each in manifests if each["kind"] in _KINDS and each["metadata"]["name"] in own]
    # of the two Services it has the one by which the orchestrator finds its pods
    found = [each for each in found if each["kind"] != "Service" or each["metadata"]["name"] != engine.name]
    return [_renamed(each, engine, beside) for each in found]


def _renamed(item: Manifest, engine: EngineComponent, beside: EngineComponent) -> Manifest:
    metadata, spec = item["metadata"], item.get("spec", {})
    name = f"{beside.name}{metadata['name'].removeprefix(engine.name)}"
    renamed = {**item, "metadata": {**metadata, "name": name, "labels": _labels(metadata["labels"], beside)}}
    selector = dict(beside.selector)
    match item["kind"]:
        case "NetworkPolicy":
            return {**renamed, "spec": {**spec, "podSelector": {"matchLabels": selector}}}
        case "Service":
            return {**renamed, "spec": {**spec, "selector": selector}}
        case "ServiceMonitor":
            endpoints = [{**each, "port": _PODS_PORT} for each in spec["endpoints"]]
            return {**renamed, "spec": {**spec, "selector": {"matchLabels": selector}, "endpoints": endpoints}}
        case "Deployment":
            template = _template(spec["template"], engine, beside)
            return {**renamed, "spec": {**spec, "selector": {"matchLabels": selector}, "template": template}}
    return renamed


def _template(template: Manifest, engine: EngineComponent, beside: EngineComponent) -> Manifest:
    metadata, spec = template["metadata"], template["spec"]
    (main, *others) = spec["containers"]
    volumes = [_volume(each, engine, beside) for each in spec["volumes"]]
    return {
        **template,
        "metadata": {**metadata, "labels": _labels(metadata["labels"], beside)},
        "spec": {**spec, "containers": [{**main, "name": beside.tier}, *others], "volumes": volumes},
    }


def _volume(volume: Manifest, engine: EngineComponent, beside: EngineComponent) -> Manifest:
    if volume.get("configMap", {}).get("name") != engine.name:
        return volume
    return {**volume, "configMap": {**volume["configMap"], "name": beside.name}}


def _labels(labels: dict[str, Any], beside: EngineComponent) -> dict[str, Any]:
    kind = {"app.kubernetes.io/name": f"tandem-{beside.tier}", "app.kubernetes.io/component": beside.tier}
    return {**labels, **kind, **beside.selector}
