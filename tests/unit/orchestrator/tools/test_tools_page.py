"""The examples of docs/tools.md are settings that the orchestrator takes."""

import re
from pathlib import Path

import pytest
import yaml
from tandem_contract.config import Tools

PAGE = (Path(__file__).parents[4] / "docs" / "tools.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_are_valid(example):
    Tools.model_validate(yaml.safe_load(example)["tools"])


def test_every_kind_of_tool_has_an_example():
    shown = {field for example in EXAMPLES for field in yaml.safe_load(example)["tools"]}
    assert {"queryDatabase", "webSearch", "http", "openapi", "mcp", "python", "attach"} <= shown
