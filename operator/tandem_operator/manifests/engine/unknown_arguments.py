"""What of a spec's arguments an engine would not start with: its release is known only together with its image."""

from collections.abc import Iterator

from tandem_operator.api.llmservice import LLMService
from tandem_operator.engines import ENGINES
from tandem_operator.manifests.platform import Platform


def unknown_arguments(service: LLMService, platform: Platform) -> Iterator[str]:
    """Yield a line, with its field, for each argument that the release in its engine's image lacks."""
    for component in service.engines:
        if releases := ENGINES[component.spec.type].releases:
            image = platform.images.engine(component.spec)
            for lacking in releases.lacking(image, component.spec.extra_args):
                yield f"{component.spec_path}.extraArgs: {lacking}"
