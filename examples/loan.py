"""Exact arithmetic: what a loan costs in a month and in all."""

import anthropic
from show import MODEL, Shown, answer, belljar_by_default, question

PROMPT = (
    "I have a loan of $500,000, at 4.5% annual interest, for 25 years. "
    "Calculate: the monthly payment, total payments, and total interest"
)


def main(client: anthropic.Anthropic) -> Shown:
    question(PROMPT)
    response = client.messages.create(
        model=MODEL,
        max_tokens=4096,
        tools=[{"type": "code_execution_20250522", "name": "code_execution"}],
        messages=[{"role": "user", "content": PROMPT}],
    )
    return answer(client, response, "loan")


if __name__ == "__main__":
    belljar_by_default()
    main(anthropic.Anthropic())
