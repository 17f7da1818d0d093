"""A chart: the figure that the code draws comes back as a PNG, without a `savefig` in the code."""

import anthropic
from show import MODEL, Shown, answer, belljar_by_default, question

PROMPT = (
    "Create a chart showing the company's monthly sales: "
    "January: 50000, February: 62000, March: 45000, "
    "April: 71000, May: 58000, June: 89000"
)


def main(client: anthropic.Anthropic) -> Shown:
    question(PROMPT)
    response = client.messages.create(
        model=MODEL,
        max_tokens=4096,
        tools=[{"type": "code_execution_20250522", "name": "code_execution"}],
        messages=[{"role": "user", "content": PROMPT}],
    )
    return answer(client, response, "monthly_chart")


if __name__ == "__main__":
    belljar_by_default()
    main(anthropic.Anthropic())
