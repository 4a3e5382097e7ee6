"""What people write to a support team: a saying or two about a subject, and other sentences around it."""

import random
from dataclasses import dataclass
from typing import Any, Final

import yaml

from hack.demo_model.subjects import CATEGORIES, PHRASEBOOK, PRIORITIES, SUBJECTS, Subject
from hack.demo_model.writing import QUESTION, typed, worded

BARE: Final = 0.4  # of the messages say one thing and nothing else, which is easier to learn from
LINES: Final[dict[str, Any]] = yaml.safe_load((PHRASEBOOK / "sentences.yaml").read_text())
MOODS: Final = {"neutral": ("",), **{mood: tuple(text.splitlines()) for mood, text in LINES.pop("moods").items()}}
AROUND: Final = {place: tuple(text.splitlines()) for place, text in LINES.items()}


@dataclass(frozen=True)
class Complaint:
    """A message with its subject, and how urgent and in which mood it was written."""

    message: str
    subject: Subject
    priority: str
    mood: str


def complaint(rng: random.Random) -> Complaint:
    """Return a random message about a random subject."""
    subject = rng.choice(SUBJECTS[rng.choice(CATEGORIES)])
    if rng.random() < BARE:
        mood = "happy" if "praise" in subject.issues else "neutral"
        return Complaint(
            typed(rng, [worded(rng, rng.choice(subject.said))], loud=False), subject, subject.priority, mood
        )
    mood = _mood(rng, subject)
    haste = _haste(rng, mood)
    message = typed(rng, _sentences(rng, subject, haste, mood), loud=mood == "angry")
    return Complaint(message, subject, _priority(subject, haste), mood)


def _sentences(rng: random.Random, subject: Subject, haste: str, mood: str) -> list[str]:
    about = rng.sample(subject.said, 2 if rng.random() < 0.3 else 1)
    beside = rng.sample(AROUND["beside"], rng.choice((0, 0, 0, 1, 1, 2)))
    hasty = rng.choice(AROUND[haste]) if haste else ""
    sentences = [*(_wrapped(rng, worded(rng, text)) for text in about), *beside, hasty, rng.choice(MOODS[mood])]
    if rng.random() < 0.3:
        rng.shuffle(sentences)
    opener = rng.choice(AROUND["openers"]) if rng.random() < 0.4 else ""
    closers = rng.sample(AROUND["closers"], rng.choice((0, 0, 1, 1, 2)))
    return [worded(rng, text) for text in (opener, *sentences, *closers) if text]


def _mood(rng: random.Random, subject: Subject) -> str:
    if "praise" in subject.issues:
        return "happy"
    if subject.priority == "low":
        return rng.choice(("neutral", "neutral", "neutral", "neutral", "frustrated"))
    return rng.choice(("neutral", "neutral", "neutral", "frustrated", "angry", "worried"))


def _haste(rng: random.Random, mood: str) -> str:
    kind = rng.random()
    if kind < 0.12:
        return "urgent"
    return "calm" if kind < 0.2 and mood == "neutral" else ""


def _priority(subject: Subject, haste: str) -> str:
    if haste == "calm":
        return "low"
    return PRIORITIES[min(PRIORITIES.index(subject.priority) + (haste == "urgent"), len(PRIORITIES) - 1)]


def _wrapped(rng: random.Random, said: str) -> str:
    """Return what was `said`, sometimes with other words before or after it."""
    if QUESTION.match(said):
        return f"I was wondering, {said}" if rng.random() < 0.06 else said
    before = rng.choice(AROUND["leads"]) if rng.random() < 0.2 else ""
    after = rng.choice(AROUND["tails"]) if rng.random() < 0.2 else ""
    return f"{before} {said}{',' if after.endswith('?') else ''} {after}".strip()
