"""The tokenizer: words of the templates are one token each, everything else is spelled letter by letter.

A name then has the same tokens in the question, inside JSON and in the answer, so a tiny model can copy it.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

PAD: Final = "<|endoftext|>"
START: Final = "<|im_start|>"
END: Final = "<|im_end|>"
CALL_TAGS: Final = ("<tool_call>", "</tool_call>")
JSON_JOINTS: Final = ('{"', '": "', '", "', '": ', ', "', '":"', '","', '":', ',"', '"}}', '"}')
WORD: Final = r" ?[\p{L}_]+"


def _splitter() -> pre_tokenizers.PreTokenizer:
    joints = "|".join(joint.replace("{", r"\{").replace("}", r"\}") for joint in JSON_JOINTS)
    pieces = Regex(rf"{joints}|{WORD}|[\s\S]")
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(pieces, behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def template_words(texts: Iterable[str], spelled: set[str], at_least: int) -> list[str]:
    """Return the words, with their leading space, that occur in `at_least` of `texts` and are not in `spelled`."""
    splitter = _splitter()
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update({text[start:end] for _, (start, end) in splitter.pre_tokenize_str(text)})
    frequent = sorted(word for word, count in counts.items() if count >= at_least)
    return [word for word in frequent if len(word.strip()) > 1 and word.isascii() and word.strip() not in spelled]


def build(words: Iterable[str], known: Iterable[str] = ()) -> Tokenizer:
    """Return a tokenizer with a token for each byte, each JSON joint and each of `words`.

    The tokens of an earlier one, `known` in their order, keep their numbers.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    joints, whole = ([text.replace(" ", "Ġ") for text in texts] for texts in (JSON_JOINTS, words))
    vocabulary = dict.fromkeys((*known, PAD, START, END, *CALL_TAGS, *alphabet, *joints, *whole))
    tokenizer = Tokenizer(
        models.BPE(vocab={token: i for i, token in enumerate(vocabulary)}, merges=[], ignore_merges=True)
    )
    tokenizer.pre_tokenizer = _splitter()
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([PAD, START, END])
    tokenizer.add_tokens([AddedToken(tag, normalized=False) for tag in CALL_TAGS])
    return tokenizer
