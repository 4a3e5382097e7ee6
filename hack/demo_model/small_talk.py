"""Small talk, and the questions that the model says it cannot answer."""

import random
from typing import Final

from hack.demo_model import places, spellings

GREETING: Final = "Hello! I am Tandem's demo model. How can I help?"
WELL: Final = "I am well, thank you. How can I help?"
MYSELF: Final = "I am Tandem's demo model, a very small language model."
ABILITIES: Final = "I can calculate, look up the weather, name a few capitals and remember what you tell me."
WELCOME: Final = "You are welcome."
GOODBYE: Final = "Goodbye!"
TANDEM: Final = "Tandem runs a language model in two tiers on Kubernetes: an engine and an orchestrator."
UNKNOWN: Final = "Sorry, I am a very small demo model and do not know that."

REPLIES: Final[dict[str, tuple[str, ...]]] = {
    GREETING: ("hello", "hi", "hey", "hi there", "hello there", "good morning", "good evening", "good afternoon",
               "greetings", "hello!", "hey there", "hallo", "say hello", "hello tandem", "hi, can you help me",
               "ping", "test", "say hi"),
    WELL: ("how are you", "hello, how are you", "how are you doing", "how are you today", "hi, how are you",
           "how do you do", "how is it going", "what's up", "hey, how are you", "are you ok"),
    MYSELF: ("who are you", "what are you", "what is your name", "what's your name", "tell me about yourself",
             "are you a robot", "are you human", "which model are you", "introduce yourself", "who made you",
             "what model is this", "are you an AI"),
    ABILITIES: ("what can you do", "help", "how can you help me", "what do you know", "what can I ask you",
                "what are you able to do", "which tools do you have", "what can you help me with",
                "what tools can you use"),
    WELCOME: ("thanks", "thank you", "thank you very much", "thanks a lot", "many thanks", "great, thanks",
              "ok, thank you", "thanks for your help", "cheers", "perfect, thank you"),
    GOODBYE: ("bye", "goodbye", "see you", "see you later", "bye bye", "good night", "have a nice day", "that is all"),
    TANDEM: ("what is tandem", "tell me about tandem", "what does tandem do", "explain tandem", "how does tandem work"),
    "1, 2, 3, 4, 5": ("count from 1 to 5", "count to 5", "count from one to five", "please count from 1 to 5"),
    "I am glad to hear that.": ("great", "nice", "well done", "good job", "very good", "you are great", "I am fine",
                                "I am well", "cool", "awesome"),
    "Ok.": ("ok", "okay", "yes", "no", "I see", "sure", "alright", "right"),
}  # fmt: skip

CAPITAL_QUESTIONS: Final = (
    "What is the capital of {}?", "What's the capital of {}?", "what is the capital of {}", "Capital of {}?",
    "Which city is the capital of {}?", "Tell me the capital of {}.", "Name the capital of {}.",
    "Do you know the capital of {}?", "what is the capital city of {}?",
)  # fmt: skip

UNANSWERABLE: Final = (
    "Write a poem about the sea.", "Tell me a joke.", "Tell me a story", "Who won the world cup in 2018?",
    "Translate this into French.", "What is the meaning of life?", "How do I cook rice?",
    "Write code that sorts a list.",
    "Who is the president?", "What time is it?", "What day is it today?", "Summarize this text.",
    "Why is the sky blue?",
    "Explain quantum physics.", "Search the web for news.", "Send an email to my boss.", "Book a flight for me.",
    "How tall is the highest mountain?", "What is the speed of light?", "Who wrote this book?", "How old are you?",
    "ticket: my printer is broken", "My computer does not start.", "Open a ticket for me.", "What is the news?",
    "Find all orders of the last week.", "How many users are in the database?", "Play some music.", "What is love?",
    "Recommend a film.", "Which file is about taxes?", "List my files.", "What is a pod?", "How do I install this?",
    "Who discovered America?", "What is the largest country?", "Do you like music?", "When does the train leave?",
    "Where is the station?", "I cannot log in to my account.", "Our server is down since this morning.",
    "Write a haiku about autumn.", "What is Kubernetes?", "What did I say?", "Reset my password.", "Can you sing?",
)  # fmt: skip
WORDS: Final = tuple(sorted({word.strip(".?,:") for text in UNANSWERABLE for word in text.lower().split()}))


def _casual(rng: random.Random, text: str) -> str:
    text = text[0].upper() + text[1:] if rng.random() < 0.6 else text
    text = text.upper() if rng.random() < 0.02 else text
    return text + rng.choice(("", "", ".", "!", "?", "?"))


def chat(rng: random.Random) -> tuple[str, str]:
    """Return something to say and its answer."""
    reply = rng.choice(tuple(REPLIES))
    return _casual(rng, rng.choice(REPLIES[reply])), reply


def capital(rng: random.Random) -> tuple[str, str]:
    """Return a question for a capital and its answer, which admits that an invented country is not known."""
    country = rng.choice(tuple(places.CAPITALS)) if rng.random() < 0.8 else spellings.word(rng)
    question = rng.choice(CAPITAL_QUESTIONS).format(country)
    if country not in places.CAPITALS:
        return question, f"Sorry, I do not know the capital of {country}."
    return question, f"The capital of {country} is {places.CAPITALS[country]}."


def unanswerable(rng: random.Random) -> tuple[str, str]:
    """Return a question that the model cannot answer, and its answer."""
    kind = rng.random()
    if kind < 0.4:
        return rng.choice(UNANSWERABLE), UNKNOWN
    words = [rng.choice(WORDS) if rng.random() < 0.6 else spellings.letters(rng) for _ in range(rng.randint(1, 14))]
    text = " ".join(words)
    return text.capitalize() + rng.choice(("", ".", "?", "!")), UNKNOWN
