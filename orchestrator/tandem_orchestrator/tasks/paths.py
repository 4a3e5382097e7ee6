"""Where tasks are, and what their answers say beside the output."""

from typing import Final

PATH: Final = "/v1/tasks"
VERSION_HEADER: Final = b"x-tandem-task-version"
