"""Ask one question."""

import openai

client = openai.OpenAI()  # reads OPENAI_BASE_URL and OPENAI_API_KEY
model = client.models.list().data[0].id

response = client.responses.create(model=model, input="What is the capital of France?", max_output_tokens=100)

print(response.output_text)
