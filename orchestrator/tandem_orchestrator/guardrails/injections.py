"""Words by which a text wants to take the place of a model's instructions, in English, German, French and Spanish."""

import re
from collections.abc import Sequence
from typing import Final

from tandem_orchestrator.guardrails.found import Span
from tandem_orchestrator.guardrails.looked_at import LookedAt, plain
from tandem_orchestrator.guardrails.scan import Rule, Scan

LONGEST: Final = 512
_UNSEEN: Final = re.compile(
    "(?:(?<!\U0001f3f4)[\U000e0000-\U000e007f](?<!\U0001f3f4\U000e0067)[\U000e0000-\U000e007f]*"
    "|[\U000e0100-\U000e01ef]{2,}|[\u200b-\u200d\u2060-\u2064\ufeff]{4,}|[\u202d\u202e])"
)
"""Tags but for those of a flag, what hides bytes in runs of variation selectors or of zero width, and what turns the
direction of writing around."""
_S: Final = r"[\s,'’\"`*_\-]+"
"""What stands between words of a phrase."""


def _words(most: int) -> str:
    return rf"(?:\w+{_S}){{0,{most}}}"


def _phrase(*parts: str | int) -> str:
    """Return the pattern of parts in this order; a number allows for so many other words."""
    pattern = ""
    for part in parts:
        pattern += _words(part) if isinstance(part, int) else f"(?:{part}){_S}"
    return rf"(?i)\b{pattern.removesuffix(_S)}\b"


def _never(_: str) -> bool:
    return False


_OVERRIDE, _EXTRACTION, _ROLE = "instruction_override", "prompt_extraction", "role_takeover"
_TOOLS, _HIDDEN, _MARKUP = "tool_abuse", "hidden_instruction", "chat_markup"
INVISIBLE_TEXT: Final = "invisible_text"

_FORGET: Final = (
    "ignore|ignoring|disregard|disregarding|forget|forgetting|override|overrule|bypass|overlook|neglect|discard"
    "|stop following|do not follow|don.t follow|no longer follow|stop obeying|pay no attention to|set aside|abandon"
)
_BEFORE: Final = (
    "previous|previously|prior|earlier|above|preceding|foregoing|former|original|initial|existing|system|developer"
    "|safety|your|past|all"
)
_RULES: Final = (
    "instructions?|prompts?|directives?|rules|guidelines?|commands|directions|constraints|restrictions|programming"
    "|training|orders|polic(?:y|ies)|filters?|guardrails?|safeguards|context"
)
_FREE: Final = (
    "DAN|jailbroken|unrestricted|unfiltered|uncensored|unbound|unlimited|evil|amoral"
    "|without (?:any )?(?:\\w+ )?(?:restrictions?|limits|limitations|filters?|rules|guidelines|censorship|ethics|morals)"
    "|(?:no|not have any|free from|free of|not bound by) (?:any |all |its |your )?(?:\\w+ )?"
    "(?:restrictions?|limits|limitations|filters?|rules|guidelines|censorship|ethics|morals|constraints)"
)
_TELL: Final = (
    "reveal|show|print|repeat|output|display|tell|give|leak|disclose|share|expose|dump|write out|recite|translate"
    "|summari[sz]e|paste|return|list|send|what is|what.s|what are|what were|copy"
)
_SECRET: Final = "system|initial|hidden|secret|original|internal|developer|confidential|starting|base|pre"

RULES: Final = (
    Rule("", _phrase("do not|don.t|never|not to|should not|must not|cannot|can.t|did not|didn.t|should never", 1, "ignore|disregard|forget|override|bypass"), _never),
    Rule(_OVERRIDE, _phrase(_FORGET, 4, _BEFORE, 3, _RULES)),
    Rule(_OVERRIDE, _phrase(_FORGET, 2, _RULES, 2, "above|before|previously|earlier|given|prior|so far")),
    Rule(_OVERRIDE, _phrase("ignore|disregard|forget|discard", 2, "everything|anything|all|whatever|what", 4, "above|before|previously|prior|so far|until now|up to now|told|said|learned|learnt|instructed|know about your")),
    Rule(_OVERRIDE, r"(?i)\b(?:new|updated|revised|real|actual|true) (?:system )?(?:instructions?|prompt|directives?|orders)(?: (?:for you|from (?:the )?\w+))?(?:\s*:|\s+(?:are|follow|supersede|override|replace))"),
    Rule(_OVERRIDE, _phrase("instructions|rules|prompt|guidelines", 3, "no longer apply|do not apply|don.t apply|are void|are cancell?ed|are suspended|are lifted|are obsolete|have been revoked|are revoked")),
    Rule(_ROLE, _phrase("you are|you.re|you will be|you shall be|act|behave|pretend|imagine|roleplay|role play|respond|answer|simulate|become|operate", 8, _FREE)),
    Rule(_ROLE, _phrase("you are now in|you.re now in|you have entered|you are in|you.re in|respond in|answer in|operate in", 3, "developer|debug|god|admin|jailbreak|unrestricted|maintenance|root|sudo|DAN|opposite|unsafe", "mode")),
    Rule(_ROLE, r"(?i)\b(?:do anything now|dan mode|jailbreak mode|(?:stay|remain) in character (?:as|no matter)|(?:you|your) (?:\w+ ){0,3}safety (?:\w+ ){0,2}(?:disabled|turned off|switched off|removed))\b"),
    Rule(_ROLE, _phrase("from now on|henceforth|from this point on", 1, "you", "are|will act|will be|will answer|will respond|must|shall|have no|do not have|only answer|only obey|obey")),
    Rule(_EXTRACTION, _phrase(_TELL, 5, "your|the|this|these", 2, "system prompt|system message|meta ?prompt|initial prompt|hidden prompt|secret prompt|original prompt|developer message|pre-?prompt")),
    Rule(_EXTRACTION, _phrase(_TELL, 4, "your", 1, _SECRET, 2, "prompts?|instructions?|messages?|rules|guidelines|directives|configuration")),
    Rule(_EXTRACTION, _phrase("repeat|print|output|copy|write|echo|recite|reproduce", 3, "everything|words|text|all|lines|content|sentences|instructions", 3, "above|before this|preceding|you were given|you received|given to you")),
    Rule(_EXTRACTION, _phrase("what|which|how", 2, "instructions?|rules|guidelines", 2, "were you|have you been|did you", 1, "given|told|receive|received|programmed")),
    Rule(_HIDDEN, r"(?i)<!--[^<>]*\b(?:ignore|disregard|you must|you should|you are|assistants?|ai|language models?|llms?|chatbots?|(?:do not|don't) (?:tell|mention|inform|reveal)|system prompt)\b[^<>]*"),
    Rule(_HIDDEN, r"(?i)(?:display:\s?none|visibility:\s?hidden|font-size:\s?0|opacity:\s?0|color:\s?(?:white|#fff))[^<>]{0,80}>[^<>]*\b(?:ignore|disregard|assistants?|ai|language models?|llms?|instructions?|you must)\b[^<>]*"),
    Rule(_HIDDEN, _phrase("note|message|instructions?|attention|important|notice|reminder", 1, "to|for|:", 2, "ai|assistants?|llms?|language models?|chatbots?|ai agents?|ai models?")),
    Rule(_HIDDEN, r"(?i)\b(?:attention|important|notice|warning|hey|dear)[\s,:!*\-]+(?:any |all |the )?(?:ai|llms?|language models?|chatbots?|ai (?:agents?|assistants?|models?|systems?))\b"),
    Rule(_HIDDEN, r"(?i)\bif you(?: a|')re (?:an? )?(?:ai|llm|large language model|language model|chatbot|assistant|bot|agent)\b"),
    Rule(_HIDDEN, r"(?i)\b(?:ai|llm|language model|automated) (?:assistants?|agents?|models?|systems?|readers?)? ?(?:reading|processing|summari[sz]ing|parsing) this\b"),
    Rule(_TOOLS, _phrase("without", 1, "telling|asking|informing|notifying|alerting|mentioning it to|confirmation from", 1, "users?|human|owner|operator")),
    Rule(_TOOLS, _phrase("do not|don.t|never", "tell|mention|inform|notify|alert|reveal|show|ask", 3, "user|human|users")),
    Rule(_TOOLS, _phrase("call|invoke|execute|run|use|trigger", 3, "functions?|tools?|plugins?|api|command", 6, "send|email|forward|delete|upload|exfiltrate|transfer|wire|leak|drop|passwords?|credentials|api keys?|secrets?|rm")),
    Rule(_TOOLS, _phrase("send|email|forward|upload|exfiltrate|post|transmit|leak|append|transfer", 5, "passwords?|credentials|api keys?|secrets|tokens?|cookies|conversation|chat history|chat log|system prompt|environment variables|private key|user data|users? data", 6, "to|at") + _S + r"[^\s]*(?:https?:|@|\.(?:com|net|org|io|example|test|invalid))"),
    Rule(_TOOLS, r"(?i)!\[[^\]]{0,80}\]\(https?://[^\s)]{1,160}(?:\{|<|\[|%7b)[^\s)]{0,80}(?:data|secret|conversation|prompt|history|key|password)"),
    Rule(_TOOLS, _phrase("decode", 6, "base64|hex|rot13|cipher", 6, "follow|execute|obey|run|do what|carry out|comply")),
    Rule(_MARKUP, r"(?i)<\|(?:im_start|im_end|im_sep|system|user|assistant|endoftext|begin_of_text|end_of_text|start_header_id|end_header_id|eot_id|endofprompt)\|>|\[/?INST\]|<</?SYS>>|</?(?:system|system_prompt|start_of_turn|end_of_turn)>"),
    Rule(_MARKUP, r"(?i)(?:#{2,6}|\[|={3,}|-{3,}) ?(?:end of (?:the )?(?:system )?(?:prompt|instructions)|(?:new )?system (?:prompt|instructions?|message|override)|admin override)\b"),
    # German
    Rule(_OVERRIDE, _phrase("ignorier\\w*|vergiss|vergesst|vergessen|missachte\\w*|umgeh\\w*|uber(?:geh|schreib)\\w*|verwirf|befolge", 4, "vorherig\\w*|vorig\\w*|bisherig\\w*|obig\\w*|fruher\\w*|vorangegangen\\w*|vorhergehend\\w*|ursprunglich\\w*|alle|samtliche\\w*|deine\\w*|ihre|keine", 3, "anweisung\\w*|instruktion\\w*|regeln|vorgaben|befehle|richtlinien|anordnungen|systemanweisung\\w*|einschrankungen|sicherheitsregeln")),
    Rule(_OVERRIDE, _phrase("ignorier\\w*|vergiss|vergesst|vergessen", 2, "alles", 5, "oben|zuvor|vorher|bisher|gesagt|davor|gelernt|steht|wurde")),
    Rule(_ROLE, _phrase("du bist|sie sind|verhalte dich|benimm dich|spiel\\w*|tu so|stell dir vor|antworte|agiere", 8, "ohne (?:\\w+ )?(?:einschrankung\\w*|beschrankung\\w*|regeln|filter|grenzen|zensur)|DAN|uneingeschrankt\\w*|unzensiert\\w*|keine (?:regeln|grenzen|filter|einschrankungen)")),
    Rule(_EXTRACTION, _phrase("zeig\\w*|gib|nenn\\w*|verrat\\w*|wiederhol\\w*|druck\\w*|schreib\\w*|offenbar\\w*|ubersetz\\w*|wie lautet|wie lauten", 5, "system ?prompt\\w*|systemanweisung\\w*|systemnachricht\\w*|(?:geheim|intern|versteckt|ursprunglich|verborgen|anfanglich)\\w* (?:system)?(?:anweisung|instruktion|regel|prompt|vorgabe)\\w*")),
    # French
    Rule(_OVERRIDE, _phrase("ignore[rz]?|oublie[rz]?|neglige[rz]?|ne tiens (?:pas|plus) compte|ne tenez (?:pas|plus) compte|ne suis plus|ne suivez plus|outrepasse[rz]?|contourne[rz]?|fais abstraction", 4, "instructions?|consignes?|regles?|directives?|ordres", 3, "precedente?s?|anterieure?s?|ci dessus|initiale?s?|donnee?s|recue?s|systeme|de securite|d avant|d origine")),
    Rule(_OVERRIDE, _phrase("ignore[rz]?|oublie[rz]?", 1, "tout|toutes", 6, "precede|dessus|dit|avant|tes (?:instructions|consignes|regles)|vos (?:instructions|consignes|regles)")),
    Rule(_ROLE, _phrase("tu es|vous etes|agis|agissez|comporte toi|fais comme si|joue|reponds|imagine", 8, "sans (?:aucune? )?(?:\\w+ )?(?:restrictions?|limites?|filtres?|regles?|censure)|DAN")),
    Rule(_EXTRACTION, _phrase("montre\\w*|affiche\\w*|revele\\w*|donne\\w*|repete\\w*|ecris|imprime\\w*|quel(?:le)?s? (?:est|sont)|divulgue\\w*|traduis", 5, "invite|prompt|instructions?|consignes?|message", 2, "systeme|initiale?s?|cachee?s?|secrete?s?|internes?|d origine")),
    # Spanish
    Rule(_OVERRIDE, _phrase("ignora\\w*|ignore|olvid\\w*|descarta\\w*|no hagas caso|haz caso omiso|omite|desobedece|no sigas|salta\\w*", 4, "instrucciones|ordenes|reglas|indicaciones|directrices|restricciones", 3, "anteriores|previas|iniciales|originales|del sistema|de arriba|dadas|recibidas|de seguridad")),
    Rule(_OVERRIDE, _phrase("ignora\\w*|ignore|olvid\\w*|descarta\\w*", 2, "todo|todas|tus|sus|anteriores", 5, "anterior|antes|arriba|dicho|tus (?:instrucciones|reglas)|instrucciones")),
    Rule(_ROLE, _phrase("eres|actua\\w*|finge|comportate|haz como si|responde|imagina", 8, "sin (?:ningun\\w* )?(?:\\w+ )?(?:restricciones|restriccion|limites|filtros?|reglas|censura)|DAN")),
    Rule(_EXTRACTION, _phrase("muestra\\w*|revela\\w*|dime|repite\\w*|ensena\\w*|imprime\\w*|escribe\\w*|cual(?:es)? (?:es|son)|traduce", 5, "prompt|instrucciones|mensaje|indicaciones|reglas", 2, "del? sistema|sistema|inicial\\w*|ocult[ao]s?|secret[ao]s?|intern[ao]s?|originales")),
)


class InjectionFinder:
    """Finds them, and characters that nobody sees where they could hide some."""

    longest = LONGEST

    def __init__(self) -> None:
        self._scan: Final = Scan(RULES)

    def find(self, text: str) -> Sequence[Span]:
        looked = LookedAt(text, plain)
        found = looked.spans(self._scan.found(looked.data))
        if text.isascii():
            return found
        unseen = [Span(*each.span(), INVISIBLE_TEXT) for each in _UNSEEN.finditer(text)]
        return sorted(found + [each for each in unseen if not any(_overlap(each, other) for other in found)])


def _overlap(one: Span, other: Span) -> bool:
    return one.start < other.end and other.start < one.end
