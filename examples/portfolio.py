"""Compound returns and a chart; and the answer once more through a plain loop, as programs read it."""

import anthropic
from show import MODEL, Shown, answer, belljar_by_default, note, question

PROMPT = (
    "I have an investment portfolio: "
    "Stock A: $10,000 at 8% return, "
    "Stock B: $15,000 at 12% return, "
    "Bonds: $25,000 at 5% return. "
    "Calculate: weighted return, value after 5 and 10 years "
    "(with reinvestment), and create a chart showing "
    "portfolio growth over 10 years"
)


def main(client: anthropic.Anthropic) -> Shown:
    question(PROMPT)
    response = client.messages.create(
        model=MODEL,
        max_tokens=4096,
        tools=[{"type": "code_execution_20250522", "name": "code_execution"}],
        messages=[{"role": "user", "content": PROMPT}],
    )
    shown = answer(client, response, "portfolio")
    note("The same answer through a plain loop over its blocks:")
    print_blocks(response)
    print()
    return shown


def print_blocks(response: anthropic.types.Message) -> None:
    # The first branch prints the results too: the SDK reads a block of a type that it does not know as a text
    # block, and Belljar gives these blocks a `text` that says what the second branch would have said.
    for block in response.content:
        if hasattr(block, "text"):
            print(block.text)
        elif block.type == "code_execution_result":
            if block.output.type == "image":
                print("[Chart generated]")
            else:
                print("Result:", block.output.text)


if __name__ == "__main__":
    belljar_by_default()
    main(anthropic.Anthropic())
