from hack.cluster.runtime import with_their_ids


def test_an_outdated_image_goes_with_its_id_unless_another_name_keeps_it() -> None:
    images = {
        "tandem.local/a:old": "sha256:1",
        "sha256:id-of-1": "sha256:1",
        "tandem.local/a:new": "sha256:2",
        "sha256:id-of-2": "sha256:2",
        "tandem.local/b:old": "sha256:3",
        "tandem.local/b:same": "sha256:3",
        "sha256:id-of-3": "sha256:3",
    }
    removed = with_their_ids(images, lambda reference: reference.endswith(":old"))
    assert removed == ["tandem.local/a:old", "tandem.local/b:old", "sha256:id-of-1"]
    assert with_their_ids(images, lambda _: False) == []
