"""From one format to another, with a computed column on the way."""

import json

import anthropic
from show import MODEL, Shown, answer, belljar_by_default, question

PRODUCTS = [
    {"product": "Coffee", "price": 15, "quantity": 100},
    {"product": "Tea", "price": 10, "quantity": 200},
    {"product": "Juice", "price": 20, "quantity": 75},
]
PROMPT = 'Convert this JSON to a CSV table and add a "Total" column: ' + json.dumps(PRODUCTS)


def main(client: anthropic.Anthropic) -> Shown:
    question(PROMPT)
    response = client.messages.create(
        model=MODEL,
        max_tokens=4096,
        tools=[{"type": "code_execution_20250522", "name": "code_execution"}],
        messages=[{"role": "user", "content": PROMPT}],
    )
    return answer(client, response, "json_to_csv")


if __name__ == "__main__":
    belljar_by_default()
    main(anthropic.Anthropic())
