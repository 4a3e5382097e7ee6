from tests.engine_double.engine import Seen

NOT_FOUND = (400, "previous_response_not_found")


def heard(seen: Seen) -> list[str]:
    """What an engine was told."""
    return [message["content"] for message in seen.body["messages"]]
