from hack import compiled


def test_the_image_compiles_as_tests_and_benchmarks_do() -> None:
    assert f'CFLAGS="{compiled.CFLAGS}"' in (compiled.PROJECT / "orchestrator/Dockerfile").read_text()
