import pytest


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "config.yaml"

    def write(text):
        path.write_text(text)
        return path

    return write
