"""GPUs by name."""

import pytest
from tandem_operator.sizing.gpu import UnknownGpuError, named

GIB = 2**30


@pytest.mark.parametrize("name", ["H100-80GB", "h100-80gb", "H100"])
def test_a_common_name_has_the_memory_that_its_driver_reports(name: str) -> None:
    gpu = named(name)
    assert gpu.name == "H100-80GB"
    assert round(gpu.memory / GIB, 2) == 79.18


def test_a_name_without_size_takes_the_smallest_of_that_name() -> None:
    assert named("A100").name == "A100-40GB"
    assert named("A100-80GB").memory > named("A100").memory


def test_another_name_is_taken_by_its_size_on_the_safe_side() -> None:
    assert named("Foo-48GB").memory <= named("L40S-48GB").memory
    assert named("Foo -48GB").name == "Foo-48GB"


@pytest.mark.parametrize("name", ["", "H100-80", "Foo", "Foo-0GB", "Foo-9999GB", "-48GB", "Foo-48GB\n"])
def test_a_name_that_tells_no_memory_is_refused_with_those_that_do(name: str) -> None:
    with pytest.raises(UnknownGpuError, match=r"write a name such as .*H100-80GB"):
        named(name)
