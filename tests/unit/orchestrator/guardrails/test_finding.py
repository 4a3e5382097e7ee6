"""A long text is looked at in steps, and what is found is what one look at all of it finds."""

import pytest
from tandem_contract.config import GuardedText, Guardrail, GuardrailAction, Topic
from tandem_orchestrator.guardrails import finding
from tandem_orchestrator.guardrails.finders import finder
from tandem_orchestrator.guardrails.found import Finder
from tandem_orchestrator.guardrails.rail import Rail
from tandem_orchestrator.guardrails.words import LengthFinder, TopicFinder, WordFinder

from tests.corpus import guardrails as corpus

KEY = "-----BEGIN PRIVATE KEY-----\n" + "A1b2" * 40 + "\n-----END PRIVATE KEY-----"
TEXT = "\n".join([*(each.text for family in corpus.FAMILIES for each in corpus.samples(family)), KEY])
OWN: dict[str, Finder] = {
    "words": WordFinder(["password", "Straße"], [r"\bEMP-[0-9]+\b"]),
    "patterns": WordFinder([], [r"(?s)password.*?Bearer", r"(?s)BEGIN.*END"]),
    "a pattern that nobody can tell": WordFinder([], [r"(?s)\Qpassword\E.*?Bearer"]),
    "topics": TopicFinder([Topic(name="keys", words=["key", "secret", "token"], min_matches=3)]),
    "length": LengthFinder(1000),
}


@pytest.mark.parametrize("name", [*corpus.FAMILIES, *OWN])
@pytest.mark.parametrize("step", [512, 701, 2048])
async def test_all_that_is_in_a_text_is_found_in_steps(monkeypatch, name, step):
    looks = OWN.get(name) or finder(Guardrail.model_validate({"name": "all", name: {}}))
    rail = Rail("r", frozenset({GuardedText.INPUT}), GuardrailAction.MASK, 1024, open=False, finder=looks)
    assert len(TEXT) > 8 * step
    monkeypatch.setattr(finding, "STEP", len(TEXT))
    (whole,) = await finding.found([rail], TEXT)
    monkeypatch.setattr(finding, "STEP", step)
    (in_steps,) = await finding.found([rail], TEXT)
    assert in_steps.spans == whole.spans
