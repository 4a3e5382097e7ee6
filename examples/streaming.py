"""Print a story while it is told."""

import openai

client = openai.OpenAI()  # reads OPENAI_BASE_URL and OPENAI_API_KEY
model = client.models.list().data[0].id

with client.responses.create(
    model=model, input="Tell me a short story about a robot that repairs clocks.", max_output_tokens=300, stream=True
) as events:
    for event in events:
        if event.type == "response.output_text.delta":
            print(event.delta, end="", flush=True)
        elif event.type == "response.completed" and event.response.usage:
            print(f"\n[{event.response.usage.output_tokens} tokens]")
