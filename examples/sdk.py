"""Use OpenAI's client as it is: a chat completion, a response, and a conversation that is kept."""

import openai

client = openai.OpenAI()  # reads OPENAI_BASE_URL and OPENAI_API_KEY
model = client.models.list().data[0].id

completion = client.chat.completions.create(
    model=model, messages=[{"role": "user", "content": "Name one planet."}], max_tokens=50
)
print("chat completion:", completion.choices[0].message.content)

response = client.responses.create(
    model=model, instructions="Answer in one word.", input="Name another one.", max_output_tokens=50
)
print("response:", client.responses.retrieve(response.id).output_text)

conversation = client.conversations.create(metadata={"topic": "planets"})
for question in ("Which planet has rings?", "How far away is it?"):
    client.responses.create(model=model, input=question, conversation=conversation.id, max_output_tokens=50)
for item in client.conversations.items.list(conversation.id, order="asc"):
    if item.type == "message":
        print(f"conversation: {item.role}: {''.join(getattr(part, 'text', '') for part in item.content)}")

client.conversations.delete(conversation.id)
