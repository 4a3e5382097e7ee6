"""Pure builders: an LLMService in, the objects that make it run out."""

from tandem_operator.manifests.children import build
from tandem_operator.manifests.platform import Images, Platform

__all__ = ["Images", "Platform", "build"]
