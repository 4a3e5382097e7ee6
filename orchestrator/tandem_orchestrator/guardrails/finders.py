"""What looks into texts as the configuration says. A family is imported only where it is looked for."""
# ruff: noqa: PLC0415

from tandem_contract.config import Guardrail

from tandem_orchestrator.guardrails.found import Finder


def finder(settings: Guardrail) -> Finder | None:
    """Return what finds by rules, None where somebody is asked instead."""
    if settings.secrets is not None:
        from tandem_orchestrator.guardrails.secrets import SecretFinder

        return SecretFinder(settings.secrets.kinds)
    if settings.personal_data is not None:
        from tandem_orchestrator.guardrails.personal_data import PersonalDataFinder

        return PersonalDataFinder(settings.personal_data.kinds)
    if settings.injections is not None:
        from tandem_orchestrator.guardrails.injections import InjectionFinder

        return InjectionFinder()
    return _own(settings)


def _own(settings: Guardrail) -> Finder | None:
    from tandem_orchestrator.guardrails.words import LengthFinder, TopicFinder, WordFinder

    if settings.words or settings.patterns:
        return WordFinder(settings.words, settings.patterns)
    if settings.topics:
        return TopicFinder(settings.topics)
    return None if settings.max_characters is None else LengthFinder(settings.max_characters)
