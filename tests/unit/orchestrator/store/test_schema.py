"""How a database's revision compares with those that this version knows."""

import pytest
from tandem_orchestrator.store.schema import Revision, Schema

KNOWN = (Revision("0001", "keys"), Revision("0002", "responses"))


@pytest.mark.parametrize(
    ("found", "later", "missing"),
    [
        (None, False, ["0001", "0002"]),
        ("0001", False, ["0002"]),
        ("0002", False, []),
        ("0003", True, []),
    ],
)
def test_what_is_missing(found, later, missing):
    schema = Schema(found, KNOWN)
    assert (schema.later, [each.id for each in schema.missing]) == (later, missing)
    assert (schema.without("0002") is None) == ("0002" not in missing)
    assert (schema.problem is None) == (found == "0002")


@pytest.mark.parametrize("down", [True, False])
@pytest.mark.parametrize(("found", "to"), [(None, "0001"), (None, "0002"), ("0001", "0002")])
def test_up_leads_only_on(found, to, down):
    assert (Schema(found, KNOWN).why_not(to, down=down) is None) != down


@pytest.mark.parametrize("down", [True, False])
def test_down_leads_only_back(down):
    assert (Schema("0002", KNOWN).why_not("0001", down=down) is None) == down


@pytest.mark.parametrize("down", [True, False])
def test_where_it_is_already_nothing_is_wrong(down):
    assert Schema("0002", KNOWN).why_not("0002", down=down) is None


@pytest.mark.parametrize("down", [True, False])
def test_what_is_unknown_is_refused(down):
    assert Schema("0001", KNOWN).why_not("0009", down=down) == "there is no migration '0009' here, only 0001, 0002"
    assert "only that version can change it" in str(Schema("0009", KNOWN).why_not("0001", down=down))
