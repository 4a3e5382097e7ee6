"""Ask about a document: upload it, put it into a vector store, and let the model search there."""

import openai

HANDBOOK = b"""# Handbook of a small observatory
## Opening hours
The dome opens at dusk from Wednesday to Saturday, and closes when clouds come in. In June and July it stays shut.
## Borrowing
Visitors may borrow a telescope for three nights, against a deposit of eighty euros. Members keep one for two weeks.
## Care of the mirrors
Never wipe a mirror. Dust is blown off with the rubber bulb; anything that sticks is for the keeper.
"""
QUESTION = "How long may visitors borrow a telescope?"

client = openai.OpenAI()  # reads OPENAI_BASE_URL and OPENAI_API_KEY
model = client.models.list().data[0].id

file = client.files.create(file=("handbook.md", HANDBOOK), purpose="assistants")
store = client.vector_stores.create(name="observatory")
attached = client.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id)
print(f"{file.filename}: {attached.status}")

found = client.vector_stores.search(store.id, query=QUESTION, max_num_results=1)
print(f"found: {found.data[0].content[0].text.splitlines()[-1]}")

response = client.responses.create(
    model=model,
    input=QUESTION,
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
