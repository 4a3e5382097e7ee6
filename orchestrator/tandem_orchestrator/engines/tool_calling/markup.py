"""How models write a tool call, by which a call that came back as text tells the parser that would have read it."""

import re
from typing import Final, NamedTuple

from tandem_contract.config import UpstreamType


class Markup(NamedTuple):
    """One way of writing calls, and the parsers for it by their engines' names for them; None where one has none."""

    pattern: re.Pattern[str]
    vllm: str | None
    sglang: str | None

    def parser(self, kind: UpstreamType) -> str | None:
        """Return the parser of an engine of this type; None where it has none, or finds out by itself."""
        return {UpstreamType.VLLM: self.vllm, UpstreamType.SGLANG: self.sglang}.get(kind)


def _markup(pattern: str, vllm: str | None, sglang: str | None) -> Markup:
    return Markup(re.compile(pattern), vllm, sglang)


_FROM_A_PARSER: Final = frozenset({UpstreamType.VLLM, UpstreamType.SGLANG})
"""Engines that are told how their model writes calls."""
_NAME: Final = r'"name"\s*:\s*"'
_MARKUPS: Final = (
    _markup(r"<\|tool_calls?_section_begin\|>|<\|tool_call_begin\|>", "kimi_k2", "kimi_k2"),
    _markup(r"function<\uff5ctool\u2581sep\uff5c>", "deepseek_v3", "deepseekv3"),
    _markup(r"<\uff5ctool\u2581sep\uff5c>", "deepseek_v31", "deepseekv31"),
    _markup(r"<\uff5cDSML\uff5c", "deepseek_v32", "deepseekv32"),
    _markup(r"<minimax:tool_call>", "minimax_m2", "minimax-m2"),
    _markup(r"<seed:tool_call>", "seed_oss", None),
    _markup(r"<steptml:", "step3", "step3"),
    _markup(r"<\|tool_call_start\|>", "lfm2", "lfm2"),
    _markup(r"<\|action_start\|>", "internlm", "interns1"),
    _markup(r"<\|tool_call>call:", "gemma4", "gemma4"),
    _markup(r"<start_function_call>", "functiongemma", None),
    _markup(r"<function_calls>", "olmo3", None),
    _markup(r"<\|channel\|>|to=functions\.", "openai", "gpt-oss"),
    _markup(r"<arg_key>", "glm45", "glm45"),
    _markup(r"<function=\w+>\s*<parameter=", "qwen3_coder", "qwen3_coder"),
    _markup(r"\[TOOL_CALLS\]", "mistral", "mistral"),
    _markup(r"<\|python_start\|>", "llama4_pythonic", "pythonic"),
    _markup(r"functools\[", "phi4_mini_json", None),
    _markup(r"<tool_call>", "hermes", "qwen25"),
    # Engines leave special tokens out of a text, and what stood between them remains.
    _markup(rf'<\|python_tag\|>|\{{\s*{_NAME}[^"]*"\s*,\s*"parameters"', "llama3_json", "llama3"),
    _markup(rf'^\s*\[\s*\{{\s*{_NAME}[^"]*"\s*,\s*"arguments"', "mistral", "mistral"),
    _markup(rf'\{{\s*{_NAME}[^"]*"\s*,\s*"arguments"', "hermes", "qwen25"),
    _markup(r"^\s*\[\w+\(\w+=", "pythonic", "pythonic"),
)
"""By the first that is found. The parsers are those of vLLM 0.33 (vllm/tool_parsers/__init__.py) and SGLang 0.5.23
(srt/function_call/function_call_parser.py)."""


def markup_in(text: str) -> Markup | None:
    """Return how a call in a model's text is written, None if there is none that is known."""
    return next((markup for markup in _MARKUPS if markup.pattern.search(text)), None)


def remedy(kind: UpstreamType, parser: str | None = None) -> str:
    """Return what to change where calls are not read, best to this parser if it is known."""
    if kind in _FROM_A_PARSER:
        return f"set toolCalling.parser to {parser or 'the one that reads how this model writes calls'}"
    if kind is UpstreamType.LLAMACPP:
        return "set toolCalling.chatTemplate to one whose calls llama.cpp knows, or take another model file"
    return "take a model whose calls this engine knows"
