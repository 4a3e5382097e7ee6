"""What of a spec's arguments an engine would not start with: its release is known only together with its image."""

from collections.abc import Iterator

from tandem_operator.api.llmservice import LLMService
from tandem_operator.engines import ENGINES
from tandem_operator.manifests.engine.model_files import model_files
from tandem_operator.manifests.platform import Platform


def unknown_arguments(service: LLMService, platform: Platform) -> Iterator[str]:
    """Yield a line, with its field, for each argument that the release in its engine's image lacks."""
    for component in service.engines:
        engine, spec = ENGINES[component.spec.type], component.spec
        if releases := engine.releases:
            image, files = platform.images.engine(spec), model_files(component.model, spec.draft)
            arguments_of = {**engine.field_arguments(component, files), "extraArgs": spec.extra_args}
            for field, arguments in arguments_of.items():
                for lacking in releases.lacking(image, arguments):
                    yield f"{component.spec_path}.{field}: {lacking}"
