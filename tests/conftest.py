"""No test finds a program that the project does not declare: it would fail on a new machine only."""

import pytest
from hypothesis import settings

from hack import path

path.confine()
settings.register_profile("repeatable", derandomize=True)  # --hypothesis-profile=default seeks
settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write what is rendered now to tests/golden/expected")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> None:
    error = call.excinfo and call.excinfo.value
    if isinstance(error, FileNotFoundError) and error.filename and "/" not in str(error.filename):
        error.add_note(f"{error.filename} is not a program that this project declares: see hack/path.py and hack/tools")
