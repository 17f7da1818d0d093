"""The smallest request: six numbers and a question that a model should not answer by guessing."""

import anthropic
from show import MODEL, Shown, answer, belljar_by_default, question

PROMPT = "Calculate the standard deviation of: 4, 8, 15, 16, 23, 42"


def main(client: anthropic.Anthropic) -> Shown:
    question(PROMPT)
    response = client.messages.create(
        model=MODEL,
        max_tokens=4096,
        tools=[{"type": "code_execution_20250522", "name": "code_execution"}],
        messages=[{"role": "user", "content": PROMPT}],
    )
    return answer(client, response, "standard_deviation")


if __name__ == "__main__":
    belljar_by_default()
    main(anthropic.Anthropic())
