"""Reads documents: a file becomes pieces of text, in a process of its own that may do nothing else."""

from tandem_orchestrator.retrieval.parsing.file_refused import FileRefused
from tandem_orchestrator.retrieval.parsing.kinds import missing
from tandem_orchestrator.retrieval.parsing.limits import ParseLimits
from tandem_orchestrator.retrieval.parsing.parser import Parser
from tandem_orchestrator.retrieval.parsing.sandbox import problems

__all__ = ["FileRefused", "ParseLimits", "Parser", "missing", "problems"]
