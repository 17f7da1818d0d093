"""An attachment: a document lies in the working directory under its title before the code runs."""

import base64

import anthropic
from show import MODEL, Shown, answer, belljar_by_default, question

PROMPT = "Analyze this file and give me: mean, median, highest and lowest value for each numeric column"
EMPLOYEES = b"name,age,salary\nAhmed,30,5000\nSara,25,4500\nMohamed,35,7000"


def main(client: anthropic.Anthropic) -> Shown:
    question(PROMPT, attachment="employees.csv")
    response = client.messages.create(
        model=MODEL,
        max_tokens=4096,
        tools=[{"type": "code_execution_20250522", "name": "code_execution"}],
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": PROMPT},
                    {
                        "type": "document",
                        "source": {
                            "type": "base64",
                            "media_type": "text/csv",
                            "data": base64.b64encode(EMPLOYEES).decode(),
                        },
                        "title": "employees.csv",
                    },
                ],
            }
        ],
    )
    return answer(client, response, "csv_document")


if __name__ == "__main__":
    belljar_by_default()
    main(anthropic.Anthropic())
