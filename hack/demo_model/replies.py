"""Replies to support tickets, made of what is known of one."""

from typing import Any, Final

GREETING: Final = "Hello, thank you for your message."
FEELINGS: Final = {
    "neutral": "",
    "frustrated": "I am sorry for the trouble. ",
    "angry": "I am very sorry about this. ",
    "worried": "I understand that you are worried. ",
    "happy": "I am glad to hear from you. ",
}
OTHER_WORDS: Final = {  # an analysis by another model may say it so
    "neutral": ("neutral", "neutral", "calm", "curious", "polite"),
    "frustrated": ("frustrated", "frustrated", "disappointed", "annoyed", "upset", "negative"),
    "angry": ("angry", "angry", "furious", "very angry", "very frustrated"),
    "worried": ("worried", "worried", "concerned", "anxious"),
    "happy": ("happy", "happy", "grateful", "positive", "satisfied"),
}
UNDERSTOOD: Final = {
    "billing": "I see that your message is about a payment or an invoice.",
    "technical": "I see that something does not work as it should.",
    "account": "I see that your message is about your account.",
    "product": "I see that your message is about a product or an order.",
    "other": "I have read what you wrote to us.",
}
STEPS: Final = {
    "billing": ("Open Billing in your account and compare the invoice with your payment.",
                "Send us the number of the invoice if something is wrong.",
                "We check the payment and tell you what we found."),
    "technical": ("Install the latest version and start it again.",
                  "Try it in another browser or on another device.",
                  "Send us the error message and the time when it happened."),
    "account": ("Use the link on the login page to set a new password.",
                "Look at your data and your security settings in your profile.",
                "Answer this message if you still cannot do what you want."),
    "product": ("Send us the number of your order.",
                "Add a picture if something is damaged or wrong.",
                "We tell you how to exchange it or when it arrives."),
    "other": ("We give your message to the right person.",
              "That person answers within two days."),
}  # fmt: skip
SOON: Final = "A colleague looks at it today."
CLOSINGS: Final = {
    "low": "Have a nice day!",
    "medium": "We are here if you need more help.",
    "high": "We keep you informed.",
    "urgent": "We write again within the hour.",
}


def reply(category: str, priority: str, mood: str) -> dict[str, Any]:
    """Return the reply to a ticket that was analyzed so."""
    soon = (SOON,) if priority in ("high", "urgent") else ()
    return {
        "greeting": GREETING,
        "acknowledgment": FEELINGS[mood] + UNDERSTOOD[category],
        "solution_steps": [*soon, *STEPS[category]],
        "closing": CLOSINGS[priority],
    }
