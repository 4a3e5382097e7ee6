"""`guardrails`: what is looked for in all that goes into a model and comes out of it."""
# ruff: noqa: S105 # names of kinds of secrets

from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from tandem_contract.config.base import HttpUrl, Name, Seconds, SecretFile, Section
from tandem_contract.config.moderations import Pattern, Word
from tandem_contract.text_pattern import TextPattern, any_word


class GuardedText(StrEnum):
    """Where a text is on its way."""

    INPUT = "input"
    TOOL_ARGUMENTS = "toolArguments"
    TOOL_RESULTS = "toolResults"
    RETRIEVED_TEXT = "retrievedText"
    OUTPUT = "output"


class GuardrailAction(StrEnum):
    """What becomes of a text in which something is found."""

    BLOCK = "block"
    MASK = "mask"
    FLAG = "flag"


class FailurePolicy(StrEnum):
    """What becomes of a text that cannot be judged; Kubernetes' words for its admission webhooks."""

    FAIL = "Fail"
    IGNORE = "Ignore"


class SecretKind(StrEnum):
    """Keys, tokens and passwords that are known by their form."""

    ANTHROPIC_API_KEY = "anthropic_api_key"
    API_KEY = "api_key"
    AWS_ACCESS_KEY = "aws_access_key"
    AWS_SECRET_KEY = "aws_secret_key"
    AZURE_KEY = "azure_key"
    GITHUB_TOKEN = "github_token"
    GITLAB_TOKEN = "gitlab_token"
    GOOGLE_API_KEY = "google_api_key"
    HUGGING_FACE_TOKEN = "hugging_face_token"
    JWT = "jwt"
    NPM_TOKEN = "npm_token"
    OPENAI_API_KEY = "openai_api_key"
    PASSWORD = "password"
    PRIVATE_KEY = "private_key"
    PYPI_TOKEN = "pypi_token"
    SLACK_TOKEN = "slack_token"
    STRIPE_KEY = "stripe_key"
    URL_PASSWORD = "url_password"


class PersonalDataKind(StrEnum):
    """What belongs to a person and is known by its form."""

    CREDIT_CARD = "credit_card"
    EMAIL_ADDRESS = "email_address"
    IBAN = "iban"
    IP_ADDRESS = "ip_address"
    NATIONAL_ID = "national_id"
    PASSPORT = "passport"
    PHONE_NUMBER = "phone_number"
    US_SSN = "us_ssn"


class Secrets(Section):
    """Keys, tokens and passwords, by their known forms."""

    kinds: list[SecretKind] = Field(default=[], max_length=64)
    """Kinds to look for, e.g. aws_access_key. Default: all."""


class PersonalData(Section):
    """What belongs to a person, by its form and, where it has one, its checksum."""

    kinds: list[PersonalDataKind] = Field(default=[], max_length=64)
    """Kinds to look for, e.g. email_address, credit_card. Default: all."""


class Injections(Section):
    """Words by which a text wants to take the place of the model's instructions."""


class Topic(Section):
    """A topic, told by its words."""

    name: Name
    """What it is called in reasons and metrics."""
    words: list[Word] = Field(min_length=1, max_length=1000)
    """Words and phrases, in upper or lower case; not inside of other words."""
    min_matches: int = Field(default=1, ge=1, le=100)
    """How many different ones of them a text of this topic has at least."""


class ModerationEndpoint(Section):
    """A service that judges texts as OpenAI's /v1/moderations does."""

    url: HttpUrl
    """The endpoint, e.g. https://api.openai.com/v1/moderations."""
    model: Name | None = None
    """Model to name in requests. Default: the service's own."""
    api_key: SecretFile | None = None
    """Key of the service."""
    categories: list[Name] = Field(default=[], max_length=64)
    """Categories that count. Default: whatever the service flags."""
    min_score: float | None = Field(default=None, gt=0, le=1)
    """Score from which a category counts, in the place of the service's own decision."""
    timeout_seconds: Seconds = 5.0
    """How long an answer may take."""


class GuardModel(Section):
    """A model among those that are served, which answers as Llama Guard does."""

    name: Name
    """The model."""
    categories: list[Name] = Field(default=[], max_length=64)
    """Categories that count, as /v1/moderations calls them. Default: all."""
    timeout_seconds: Seconds = 30.0
    """How long an answer may take."""


EVERYWHERE: Final = list(GuardedText)
_LOOKS_FOR: Final = ("secrets", "personal_data", "injections", "words", "patterns", "topics", "max_characters")
_JUDGES: Final = ("moderation", "model")
_NO_MASK: Final = ("topics", "max_characters", *_JUDGES)


class Guardrail(Section):
    """What to look for, where, and what to do about it. Exactly one thing to look for must be set; words and patterns
    are one."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
    """What it is called in reasons, logs and metrics."""
    on: Annotated[list[GuardedText], AfterValidator(lambda on: sorted(set(on)))] = Field(
        alias="at",  # on is true in YAML, for kubectl and Helm as well
        default=EVERYWHERE,
        min_length=1,
        max_length=5,
    )
    """Texts that it judges. Default: all."""
    action: GuardrailAction = GuardrailAction.BLOCK
    """block: the text goes no further; mask: what was found is replaced by its kind; flag: the client is told."""
    models: list[Name] | None = Field(default=None, min_length=1, max_length=256)
    """Models whose requests it judges. Default: all."""
    tenants: list[Name] | None = Field(default=None, min_length=1, max_length=1024)
    """Tenants whose requests it judges. Default: all."""
    failure_policy: FailurePolicy = FailurePolicy.FAIL
    """Fail: a text that cannot be judged is blocked; Ignore: it passes, which logs and metrics tell."""
    window: int = Field(default=128, ge=16, le=4096)
    """Characters of a streamed output that wait for a service or a guard model, and at most for patterns."""
    secrets: Secrets | None = None
    """Keys, tokens and passwords."""
    personal_data: PersonalData | None = None
    """What belongs to a person, such as an e-mail address."""
    injections: Injections | None = None
    """Words by which a text wants to take the place of the model's instructions."""
    words: list[Word] = Field(default=[], max_length=1000)
    """Words and phrases, in upper or lower case; not inside of other words."""
    patterns: list[Pattern] = Field(default=[], max_length=64)
    """Regular expressions in RE2's syntax, which has no look-around; (?i) in front ignores case."""
    topics: list[Topic] = Field(default=[], max_length=64)
    """Topics, told by their words."""
    max_characters: int | None = Field(default=None, ge=1)
    """A longer text is one that is found."""
    moderation: ModerationEndpoint | None = None
    """A service that judges."""
    model: GuardModel | None = None
    """A guard model that judges."""

    @model_validator(mode="after")
    def _looks_for_one_thing(self) -> Self:
        found = [name for name in (*_LOOKS_FOR, *_JUDGES) if getattr(self, name) not in (None, [])]
        if len(found) != 1 and found != ["words", "patterns"]:
            raise ValueError(
                "set one thing to look for: secrets, personalData, injections, words and patterns, "
                "topics, maxCharacters, moderation or model"
            )
        if self.action is GuardrailAction.MASK and found[0] in _NO_MASK:
            raise ValueError("only secrets, personalData, injections, words and patterns can be masked")
        if self.words:
            TextPattern(any_word(self.words))
        return self
