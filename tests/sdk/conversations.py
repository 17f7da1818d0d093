"""Conversations through one version of the official Python SDK. Run by the Python of that version's environment:

    python conversations.py BASE_URL

prints what came of each, as a JSON object by the conversation's name. What is right, the test says that runs it;
`conversations.mjs` has the same in JavaScript.
"""

import inspect
import json
import sys
import traceback
import uuid
import warnings

import anthropic

TOOL = {"type": "code_execution_20250522", "name": "code_execution"}
BETA = "code-execution-2025-05-22"
MODEL = "model-1"
OFFICIAL = {"anthropic-beta": BETA}


def asking(prompt, **more):
    return {
        "model": MODEL,
        "max_tokens": 1000,
        "tools": [TOOL],
        "messages": [{"role": "user", "content": prompt}],
        **more,
    }


def plain(message):
    """A message as JSON, whatever the SDK made of it."""
    return json.loads(message.to_json())


def tutorial(client):
    """The loop that tutorials teach, without a header and without betas."""
    response = client.messages.create(**asking("chart"))
    lines = []
    for block in response.content:
        if hasattr(block, "text"):
            lines.append(block.text)
        elif block.type == "code_execution_result":
            if block.output.type == "image":
                lines.append("[Chart generated]")
            else:
                lines.append("Result: " + block.output.text)
    return {"lines": lines, "message": plain(response), "request_id": response._request_id}


def official(client):
    return {"message": plain(client.messages.create(**asking("chart"), extra_headers=OFFICIAL))}


def beta(client):
    return {"message": plain(client.beta.messages.create(**asking("chart"), betas=[BETA]))}


def streamed(messages, **more):
    with messages.stream(**asking("chart"), **more) as stream:
        words = "".join(stream.text_stream)
        return {"words": words, "message": plain(stream.get_final_message())}


def stream_tutorial(client):
    return streamed(client.messages)


def stream_official(client):
    return streamed(client.messages, extra_headers=OFFICIAL)


def stream_beta(client):
    return streamed(client.beta.messages, betas=[BETA])


def stream_raw(client):
    events = client.messages.create(**asking("chart"), stream=True, extra_headers=OFFICIAL)
    return {"events": [plain(event) for event in events]}


def in_container(messages, container):
    """The container, as this version's method takes it."""
    has_it = "container" in inspect.signature(messages.create).parameters
    return {"container": container} if has_it else {"extra_body": {"container": container}}


def continued(messages, **more):
    first = messages.create(**asking("set x"), **more)
    container = first.container if isinstance(first.container, dict) else plain(first)["container"]
    history = [
        {"role": "user", "content": "set x"},
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": "print x"},
    ]
    asked = asking("", **more) | {"messages": history}
    second = messages.create(**asked, **in_container(messages, container["id"]))
    return {"first": plain(first), "second": plain(second)}


def history_tutorial(client):
    return continued(client.messages)


def history_official(client):
    return continued(client.messages, extra_headers=OFFICIAL)


def history_beta(client):
    return continued(client.beta.messages, betas=[BETA])


def caught(ask):
    """Which classes an error has, and what it tells."""
    try:
        ask()
    except anthropic.APIStatusError as error:
        body = error.body if isinstance(error.body, dict) else {}
        return {
            "classes": [kind.__name__ for kind in type(error).__mro__],
            "status": error.status_code,
            "type": body.get("error", {}).get("type"),
            "request_id": error.response.headers.get("request-id"),
            "body_request_id": body.get("request_id"),
        }
    return None


def errors(client):
    create = client.messages.create
    unknown = {"type": "code_execution_20991231", "name": "code_execution"}
    found = {
        "400": caught(lambda: create(**asking("chart") | {"tools": [unknown]})),
        "404": caught(lambda: create(**asking("chart"), extra_body={"container": "container_x"})),
        "413": caught(lambda: create(**asking("x" * 3_000_000))),
    }
    for status in ("401", "402", "403", "409", "422", "429", "500", "503", "504", "529"):
        found[status] = caught(lambda status=status: create(**asking(f"refuse {status}")))

    def broken():
        with client.messages.stream(**asking("break off")) as stream:
            stream.get_final_message()

    found["stream"] = caught(broken)
    return found


def retried(client):
    """Code has run, and the model is overloaded then: a client that tries again would run it again."""
    prompt = f"run and refuse {uuid.uuid4()}"
    again = client.with_options(max_retries=2)
    return {"prompt": prompt, "error": caught(lambda: again.messages.create(**asking(prompt)))}


def around(client):
    counted = {name: value for name, value in asking("chart").items() if name != "max_tokens"}
    return {
        "tokens": client.messages.count_tokens(**counted).input_tokens,
        "beta_tokens": client.beta.messages.count_tokens(**counted, betas=[BETA]).input_tokens,
        "models": [model.id for model in client.models.list(limit=1)],
        "beta_models": [model.id for model in client.beta.models.list(limit=2)],
        "model": client.models.retrieve("owner/model-2").display_name,
        "missing": caught(lambda: client.models.retrieve("nothing")),
    }


CONVERSATIONS = (
    tutorial,
    official,
    beta,
    stream_tutorial,
    stream_official,
    stream_beta,
    stream_raw,
    history_tutorial,
    history_official,
    history_beta,
    errors,
    retried,
    around,
)


def main(base_url):
    warnings.simplefilter("ignore")  # of the SDK's own: for blocks that a version has no type for
    told = {}
    with anthropic.Anthropic(base_url=base_url, api_key="mine", max_retries=0, timeout=60) as client:
        for conversation in CONVERSATIONS:
            try:
                told[conversation.__name__] = conversation(client)
            except Exception:
                told[conversation.__name__] = {"failed": traceback.format_exc()}
    json.dump({"version": anthropic.__version__, "told": told}, sys.stdout)


main(sys.argv[1])
