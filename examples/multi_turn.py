"""Tell a name in the first turn, and ask for it in the third; the service remembers what was said in between."""

import openai

TURNS = (
    "My name is Ada.",
    "What is the capital of France?",
    "What is my name?",
)

client = openai.OpenAI()  # reads OPENAI_BASE_URL and OPENAI_API_KEY
model = client.models.list().data[0].id

previous: str | None = None
for turn in TURNS:
    response = client.responses.create(model=model, input=turn, previous_response_id=previous, max_output_tokens=200)
    previous = response.id
    print(f"You: {turn}\nModel: {response.output_text}\n")
