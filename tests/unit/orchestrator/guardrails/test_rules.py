import pytest
from pydantic import ValidationError
from tandem_contract.config import ModerationRule, OrchestratorSettings
from tandem_orchestrator.guardrails.rules import rules


def matches(text: str, **fields: list[str]) -> bool:
    (rule,) = rules([ModerationRule(category="hate", **fields)])
    return rule.matches(text)


@pytest.mark.parametrize(
    ("word", "text", "found"),
    [
        ("kill", "They KILL it.", True),
        ("kill", "skills", False),
        ("kill them", "kill\n  them", True),
        ("c++", "I write C++, you know", True),
        ("c++", "ccc", False),
        ("(x|y)", "x", False),
        ("#tag-a", "a #Tag-A.", True),
        ("straße", "die STRAßE", True),
        ("a.b", "aXb", False),
        (r"\d", "7", False),
        ("<b>", "x<b>y", True),
    ],
)
def test_words(word, text, found):
    assert matches(text, words=[word]) is found
    assert matches(text, words=["nothing else", word]) is found


def test_any_pattern_will_do():
    assert matches("a 4242 b", patterns=["x", r"\b\d{4}\b"])
    assert not matches("a 42424 b", patterns=["x", r"\b\d{4}\b"])


@pytest.mark.parametrize(
    ("rule", "path", "said"),
    [
        ({"category": "hate"}, (), "set words, patterns or both"),
        ({"category": "hate", "patterns": ["("]}, ("patterns", 0), "missing )"),
        (
            {"category": "hate", "patterns": ["fine", "(?=a)b"]},
            ("patterns", 1),
            "RE2's syntax: invalid perl operator: (?=",
        ),
        ({"category": "hate", "patterns": [r"(a)\1"]}, ("patterns", 0), "invalid escape sequence"),
        ({"category": "hate", "patterns": [r"(?:\w{1,900}){1,900}"]}, ("patterns", 0), "invalid repetition size"),
        ({"category": "hate", "words": [" "]}, ("words", 0), "pattern"),
        ({"category": "Hate Speech", "words": ["a"]}, ("category",), "pattern"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(rule, path, said):
    with pytest.raises(ValidationError) as caught:
        OrchestratorSettings.model_validate({"moderations": {"rules": [rule]}})
    (error,) = caught.value.errors()
    assert error["loc"] == ("moderations", "rules", 0, *path)
    assert said in error["msg"]
