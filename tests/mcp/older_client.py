"""An older official client (1.x), in an environment of its own: `older_client.py stdio COMMAND` or `http URL KEY`.

Prints what it has heard as JSON.
"""

import asyncio
import base64
import json
import os
import sys
from contextlib import AsyncExitStack
from datetime import timedelta
from importlib.metadata import version

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client

CHART = (
    "import matplotlib.pyplot as plt\nplt.plot([1, 2, 3]); plt.title('T'); open('a ü.txt', 'w').write('é')"
)


async def main(kind, *rest):
    async with AsyncExitStack() as stack:
        if kind == "stdio":
            opened = stdio_client(StdioServerParameters(command=rest[0], args=["mcp"], env=dict(os.environ)))
        else:
            opened = streamablehttp_client(f"{rest[0]}/mcp", headers={"x-api-key": rest[1]})
        reading, writing, *_ = await stack.enter_async_context(opened)
        client = await stack.enter_async_context(
            ClientSession(reading, writing, read_timeout_seconds=timedelta(seconds=60))
        )
        hello = await client.initialize()
        tools = [tool.name for tool in (await client.list_tools()).tools]
        await client.call_tool("run_python", {"code": "x = 6"})
        value = await client.call_tool("run_python", {"code": "x * 7"})
        progress = []

        async def hear(done, total, message):
            progress.append(done)

        code = "import time\nfor n in range(3): print(n); time.sleep(0.5)"
        await client.call_tool("run_python", {"code": code}, progress_callback=hear)
        drawn = await client.call_tool("run_python", {"code": CHART})
        kinds = [block.type for block in drawn.content]
        image = next(block for block in drawn.content if block.type == "image")
        link = next(block for block in drawn.content if block.type == "resource_link")
        read = await client.read_resource(link.uri)
        shell = await client.call_tool("run_shell", {"command": "cat 'a ü.txt'; exit 2"})
        raised = await client.call_tool("run_python", {"code": "1/0"})
        resources = await client.list_resources()
        print(
            json.dumps(
                {
                    "version": version("mcp"),
                    "protocol": hello.protocolVersion,
                    "server": hello.serverInfo.name,
                    "tools": tools,
                    "value": value.structuredContent["value"],
                    "progress": progress,
                    "kinds": sorted(set(kinds)),
                    "is_png": base64.b64decode(image.data).startswith(b"\x89PNG"),
                    "read": read.contents[0].text,
                    "shell": [shell.structuredContent["stdout"], shell.structuredContent["exit_code"]],
                    "raised": [raised.isError, raised.structuredContent["error"]["name"]],
                    "resources": [resource.name for resource in resources.resources],
                }
            )
        )


asyncio.run(main(*sys.argv[1:]))
