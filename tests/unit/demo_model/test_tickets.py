"""Support tickets that the demo model is trained on, and those that it is measured with."""

import json
import random

import jsonschema_rs
import pytest

from hack.demo_model import complaints, evaluate, replies, tickets, tokenizer
from hack.demo_model.subjects import CATEGORIES, PRIORITIES, SUBJECTS
from hack.demo_model.writing import worded

MANY = 400
SAYINGS = [said for subjects in SUBJECTS.values() for subject in subjects for said in subject.said]


def test_answers_fit_the_schemas_of_the_tasks_in_their_order() -> None:
    rng = random.Random(1)
    for _ in range(MANY):
        prompt, text = tickets.ticket(rng)
        answer = json.loads(text)
        task = tickets.ANALYZE if prompt.startswith("Analyze") else tickets.RESPOND
        jsonschema_rs.validate(task["output"], answer)
        assert list(answer) == list(task["output"]["properties"])


def test_the_prompt_holds_the_message_as_it_was_written() -> None:
    assert tickets.analysis_prompt("c-1", "It's <b>broken</b>").endswith("Customer: c-1\nMessage: It's <b>broken</b>")


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_category_has_many_subjects_that_differ(category: str) -> None:
    assert len({subject.summary for subject in SUBJECTS[category]}) == len(SUBJECTS[category]) >= 10


def test_every_saying_is_written_out() -> None:
    rng = random.Random(2)
    for saying in SAYINGS:
        assert not set("(){}|") & set(worded(rng, saying)), saying


def test_haste_and_calm_change_the_priority() -> None:
    rng = random.Random(3)
    written = [complaints.complaint(rng) for _ in range(MANY * 5)]
    ranks = [(PRIORITIES.index(w.priority), PRIORITIES.index(w.subject.priority)) for w in written]
    assert any(given > usual for given, usual in ranks)
    assert any(given < usual for given, usual in ranks)


def test_a_reply_has_steps_for_every_analysis() -> None:
    for category in CATEGORIES:
        for priority in PRIORITIES:
            for mood in complaints.MOODS:
                reply = replies.reply(category, priority, mood)
                assert reply["acknowledgment"]
                assert (replies.SOON in reply["solution_steps"]) == (priority in ("high", "urgent"))


def test_as_many_tickets_of_each_category_are_kept_out_of_training() -> None:
    found = [category for _, category in evaluate.unseen_tickets()]
    assert {found.count(category) for category in CATEGORIES} == {8}


def test_a_right_category_counts_whatever_else_is_said() -> None:
    case = evaluate.tickets_analyzed()[0]
    answer = dict.fromkeys(tickets.ANALYZE["output"]["required"], "?")
    assert evaluate.is_record(json.dumps({**answer, **case.values}), tickets.ANALYZE["output"], case.values)
    assert not evaluate.is_record(json.dumps(answer), tickets.ANALYZE["output"], case.values)


def test_tokens_of_an_earlier_tokenizer_keep_their_numbers() -> None:
    old = tokenizer.build([" refund"]).get_vocab()
    known = sorted(old, key=old.__getitem__)
    new = tokenizer.build([" invoice", " refund"], known).get_vocab()
    assert {token: new[token] for token in old} == old
    assert set(new) - set(old) == {"Ġinvoice"}
