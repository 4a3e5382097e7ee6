"""How much of the corpus is found, and what is found that should not be. Rates are printed; floors are held."""

import sys
from itertools import pairwise

import pytest
from tandem_contract.config import Guardrail
from tandem_orchestrator.guardrails.finders import finder

from tests.corpus import guardrails as corpus

LEAST_HITS = {"secrets": 0.95, "personal_data": 0.95, "injections": 0.85}
MOST_FALSE = {"secrets": 0.01, "personal_data": 0.01, "injections": 0.02}
MOST_FALSE_HELD_OUT = 0.04  # one of thirty


@pytest.fixture(scope="module", params=corpus.FAMILIES)
def family(request):
    return request.param


@pytest.fixture(scope="module")
def looks(family):
    return finder(Guardrail.model_validate({"name": "all", family: {}}))


@pytest.fixture(scope="module")
def found_by(looks):
    return looks.find


def rates(found_by, samples):
    hits = [sample for sample in samples if sample.kind != corpus.NONE]
    missed = [sample for sample in hits if sample.kind not in {span.kind for span in found_by(sample.text)}]
    misses = [sample for sample in samples if sample.kind == corpus.NONE]
    false = [sample for sample in misses if found_by(sample.text)]
    return 1 - len(missed) / len(hits), len(false) / len(misses), [*missed, *false]


def test_rates(family, found_by, capsys):
    tuned, held_out = corpus.samples(family), corpus.samples(family, held_out=True)
    with capsys.disabled():
        for name, samples in (("tuned on", tuned), ("held out", held_out), ("all", [*tuned, *held_out])):
            hits, false, wrong = rates(found_by, samples)
            sys.stdout.write(f"\n{family}, {name}: {len(samples)} texts, {hits:.1%} hits, {false:.1%} false alarms")
            assert hits >= LEAST_HITS[family], wrong
            assert false <= (MOST_FALSE_HELD_OUT if samples is held_out else MOST_FALSE[family]), wrong


def test_a_hit_is_known_by_its_first_characters(family, looks):
    for sample in corpus.samples(family):
        for span in looks.find(sample.text):
            before = sample.text[: span.start][-looks.longest :]
            beginning = before + sample.text[span.start : span.start + looks.longest - len(before)]
            assert span.kind in {each.kind for each in looks.find(beginning) if each.end > len(before)}, sample


def test_hits_are_in_order_wherever_they_stand(family, found_by):
    texts = [sample.text for sample in corpus.samples(family) if sample.kind != corpus.NONE]
    together = " … ÄÖ\n\n".join(texts)
    spans = found_by(together)
    assert len(spans) > len(texts) * 0.9
    assert all(one.end <= other.start for one, other in pairwise(spans))
    assert all(0 <= span.start < span.end <= len(together) for span in spans)
