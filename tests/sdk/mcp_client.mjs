// MCP by the official client for TypeScript: `node mcp_client.mjs stdio COMMAND` or `http URL KEY`. Prints what it has
// heard as JSON.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ResourceListChangedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";

const [kind, where, key] = process.argv.slice(2);
const transport =
  kind === "stdio"
    ? new StdioClientTransport({ command: where, args: ["mcp"], env: process.env })
    : new StreamableHTTPClientTransport(new URL(`${where}/mcp`), { requestInit: { headers: { "x-api-key": key } } });
const client = new Client({ name: "test", version: "1" });
const changed = new Promise((resolve) =>
  client.setNotificationHandler(ResourceListChangedNotificationSchema, () => resolve(true)),
);
await client.connect(transport);
const call = (name, args, options) => client.callTool({ name, arguments: args }, undefined, options);
const told = { server: client.getServerVersion().name };
// The client holds every structured answer against the tool's schema from here on.
told.tools = (await client.listTools()).tools.map((tool) => tool.name);
await call("run_python", { code: "x = 6" });

const chart = "import matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.title('T'); open('ü.txt', 'w').write('é')\nx * 7";
const drawn = await call("run_python", { code: chart });
told.value = drawn.structuredContent.value;
told.kinds = [...new Set(drawn.content.map((block) => block.type))].sort();
const image = drawn.content.find((block) => block.type === "image");
told.isPng = Buffer.from(image.data, "base64").subarray(1, 4).toString() === "PNG";
const link = drawn.content.find((block) => block.type === "resource_link");
told.read = (await client.readResource({ uri: link.uri })).contents[0].text;
told.resources = (await client.listResources()).resources.map((resource) => resource.name);
told.isChanged = await changed;

const shell = await call("run_shell", { command: "cat ü.txt; exit 2" });
told.shell = [shell.isError ?? false, shell.structuredContent.stdout, shell.structuredContent.exit_code];
told.raised = (await call("run_python", { code: "1/0" })).isError;

const stop = new AbortController();
let begun;
const hasBegun = new Promise((resolve) => (begun = resolve));
const running = call(
  "run_python",
  { code: "import time\nprint('on', flush=True)\ntime.sleep(100)", timeout_seconds: 200 },
  { signal: stop.signal, onprogress: (progress) => begun(progress.message), timeout: 60_000 },
).catch((error) => String(error));
told.progress = await hasBegun;
stop.abort("enough");
told.cancelled = await running;
told.after = (await call("run_python", { code: "x" }, { timeout: 60_000 })).structuredContent.value;
await client.close();
console.log(JSON.stringify(told));
