"""Support tickets: the tasks of examples/tasks/tickets.yaml, asked and answered."""

import json
import random
from pathlib import Path
from typing import Any, Final

import yaml
from jinja2 import Template

from hack.demo_model import complaints, people, quantities, replies, spellings
from hack.demo_model.complaints import Complaint
from hack.demo_model.subjects import CATEGORIES, PRIORITIES

_FILE: Final = Path(__file__).parents[2] / "examples" / "tasks" / "tickets.yaml"
ANALYZE, RESPOND = yaml.safe_load(_FILE.read_text())["tasks"]
CUSTOMERS: Final = (
    "{number}", "customer-{number}", "cust-{number}", "C{number}", "{name}", "user_{number}", "{word}",
    "{word}@{word}.com", "{word}-{number}",
)  # fmt: skip
REPLIES: Final = 0.2  # of the tickets are to be replied to, the others to be analyzed


def ticket(rng: random.Random) -> tuple[str, str]:
    """Return the prompt of one of the two tasks, and its answer."""
    written = complaints.complaint(rng)
    if rng.random() < REPLIES:
        return _asked_reply(rng, written)
    return analysis_prompt(customer(rng), written.message), json.dumps(analysis(written), ensure_ascii=False)


def analysis_prompt(customer_id: str, message: str) -> str:
    """Return what is asked about a ticket."""
    return str(Template(ANALYZE["prompt"]).render(customer_id=customer_id, message=message))


def reply_prompt(message: str, category: str, priority: str, sentiment: str) -> str:
    """Return what is asked to be replied to a ticket."""
    found = {"category": category, "priority": priority, "customer_sentiment": sentiment}
    return str(Template(RESPOND["prompt"]).render(request={"message": message}, analysis=found))


def analysis(written: Complaint) -> dict[str, Any]:
    """Return the analysis of a ticket, in the order of the task's schema."""
    about = written.subject
    return {
        "category": about.category,
        "priority": written.priority,
        "summary": about.summary,
        "customer_sentiment": written.mood,
        "key_issues": list(about.issues),
        "requires_human": about.human or written.mood == "angry",
    }


def customer(rng: random.Random) -> str:
    """Return the name of a customer: a number, a code, a person or an address."""
    number = quantities.digits(rng, rng.choice((1, 2, 3, 4, 5)))
    return rng.choice(CUSTOMERS).format(number=number, name=people.person(rng), word=spellings.letters(rng))


def _asked_reply(rng: random.Random, written: Complaint) -> tuple[str, str]:
    """Ask for a reply by an analysis that need not be the message's."""
    category = written.subject.category if rng.random() < 0.8 else rng.choice(CATEGORIES)
    priority = written.priority if rng.random() < 0.5 else rng.choice(PRIORITIES)
    mood = written.mood if rng.random() < 0.5 else rng.choice(tuple(complaints.MOODS))
    sentiment = rng.choice(replies.OTHER_WORDS[mood])
    sentiment = sentiment.capitalize() if rng.random() < 0.15 else sentiment
    answer = json.dumps(replies.reply(category, priority, mood))
    return reply_prompt(written.message, category, priority, sentiment), answer
