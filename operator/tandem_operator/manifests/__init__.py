"""Pure builders: an LLMService in, the objects that make it run out."""

from tandem_operator.manifests.children import build
from tandem_operator.manifests.engine.unknown_arguments import unknown_arguments
from tandem_operator.manifests.platform import Images, Platform

__all__ = ["Images", "Platform", "build", "unknown_arguments"]
