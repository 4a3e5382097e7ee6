"""Ask about a document: upload it, put it into a vector store, and let the model search there."""

import sys
from pathlib import Path

import openai

path = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("handbook.md"))
question = sys.argv[2] if len(sys.argv) > 2 else "How long may a visitor borrow a telescope?"  # noqa: PLR2004

client = openai.OpenAI()  # reads OPENAI_BASE_URL and OPENAI_API_KEY
model = client.models.list().data[0].id

with path.open("rb") as document:
    file = client.files.create(file=document, purpose="assistants")
store = client.vector_stores.create(name=path.stem)
attached = client.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id)
print(f"{file.filename}: {attached.status}")

for found in client.vector_stores.search(store.id, query=question, max_num_results=3):
    print(f"{found.score:.2f} {found.content[0].text.splitlines()[0]}")

response = client.responses.create(
    model=model,
    input=question,
    tools=[{"type": "file_search", "vector_store_ids": [store.id], "max_num_results": 3}],
    max_output_tokens=300,
)
print(response.output_text)
for item in response.output:
    for part in item.content if item.type == "message" else []:
        for citation in getattr(part, "annotations", []):
            print(f"cited: {citation.filename}")

client.vector_stores.delete(store.id)
client.files.delete(file.id)
