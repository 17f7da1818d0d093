// The conversations of conversations.py, through one version of the official SDK for TypeScript:
//
//     node conversations.mjs PACKAGE BASE_URL
//
// prints what came of each, as a JSON object by the conversation's name.

const [name, baseURL] = process.argv.slice(2);
const { default: Anthropic } = await import(name);

const TOOL = { type: 'code_execution_20250522', name: 'code_execution' };
const BETA = 'code-execution-2025-05-22';
const OFFICIAL = { headers: { 'anthropic-beta': BETA } };
const client = new Anthropic({ baseURL, apiKey: 'mine', maxRetries: 0, timeout: 60_000 });

function asking(prompt, more = {}) {
  return {
    model: 'model-1',
    max_tokens: 1000,
    tools: [TOOL],
    messages: [{ role: 'user', content: prompt }],
    ...more,
  };
}

// The loop that tutorials teach.
function processCodeExecutionResponse(response) {
  const results = { text: [], images: [], errors: [] };
  for (const block of response.content) {
    if (block.type === 'text') {
      results.text.push(block.text);
    } else if (block.type === 'code_execution_result') {
      if (block.is_error) {
        results.errors.push(block.output.text);
      } else if (block.output.type === 'text') {
        results.text.push(block.output.text);
      } else if (block.output.type === 'image') {
        results.images.push(block.output.media_type);
      }
    }
  }
  return results;
}

async function streamed(messages, more, options) {
  let words = '';
  const stream = messages.stream(asking('chart', more), options);
  stream.on('text', (delta) => (words += delta));
  const message = await stream.finalMessage();
  return { words, message };
}

async function continued(messages, more, options) {
  const first = await messages.create(asking('set x', more), options);
  const history = [
    { role: 'user', content: 'set x' },
    { role: 'assistant', content: first.content },
    { role: 'user', content: 'print x' },
  ];
  const asked = asking('', { ...more, messages: history, container: first.container.id });
  const second = await messages.create(asked, options);
  return { first, second };
}

async function caught(ask) {
  try {
    await ask();
  } catch (error) {
    if (!(error instanceof Anthropic.APIError)) throw error;
    const classes = [];
    for (let kind = error.constructor; kind?.name; kind = Object.getPrototypeOf(kind)) classes.push(kind.name);
    return {
      classes,
      status: error.status ?? null,
      type: error.error?.error?.type,
      request_id: error.headers?.get('request-id') ?? null,
      body_request_id: error.error?.request_id,
    };
  }
  return null;
}

async function errors() {
  const create = (prompt, more) => () => client.messages.create(asking(prompt, more));
  const found = {
    400: await caught(create('chart', { tools: [{ type: 'code_execution_20991231', name: 'code_execution' }] })),
    404: await caught(create('chart', { container: 'container_x' })),
    413: await caught(create('x'.repeat(3_000_000))),
  };
  for (const status of [401, 402, 403, 409, 422, 429, 500, 503, 504, 529]) {
    found[status] = await caught(create(`refuse ${status}`));
  }
  found.stream = await caught(() => client.messages.stream(asking('break off')).finalMessage());
  return found;
}

// Code has run, and the model is overloaded then: a client that tries again would run it again.
async function retried() {
  const prompt = `run and refuse ${crypto.randomUUID()}`;
  const again = client.withOptions?.({ maxRetries: 2 }) ?? new Anthropic({ baseURL, apiKey: 'mine', maxRetries: 2 });
  return { prompt, error: await caught(() => again.messages.create(asking(prompt))) };
}

async function around() {
  const { max_tokens, ...counted } = asking('chart');
  const ids = async (list) => {
    const found = [];
    for await (const model of list) found.push(model.id);
    return found;
  };
  return {
    tokens: (await client.messages.countTokens(counted)).input_tokens,
    beta_tokens: (await client.beta.messages.countTokens({ ...counted, betas: [BETA] })).input_tokens,
    models: await ids(client.models.list({ limit: 1 })),
    beta_models: await ids(client.beta.models.list({ limit: 2 })),
    model: (await client.models.retrieve('owner/model-2')).display_name,
    missing: await caught(() => client.models.retrieve('nothing')),
  };
}

const CONVERSATIONS = {
  tutorial: async () => {
    const message = await client.messages.create(asking('chart'));
    return { ...processCodeExecutionResponse(message), message, request_id: message._request_id };
  },
  official: async () => ({ message: await client.messages.create(asking('chart'), OFFICIAL) }),
  beta: async () => ({ message: await client.beta.messages.create(asking('chart', { betas: [BETA] })) }),
  stream_tutorial: () => streamed(client.messages),
  stream_official: () => streamed(client.messages, {}, OFFICIAL),
  stream_beta: () => streamed(client.beta.messages, { betas: [BETA] }),
  stream_raw: async () => {
    const events = [];
    for await (const event of await client.messages.create(asking('chart', { stream: true }), OFFICIAL)) {
      events.push(event);
    }
    return { events };
  },
  history_tutorial: () => continued(client.messages),
  history_official: () => continued(client.messages, {}, OFFICIAL),
  history_beta: () => continued(client.beta.messages, { betas: [BETA] }),
  errors,
  retried,
  around,
};

const told = {};
for (const [conversation, run] of Object.entries(CONVERSATIONS)) {
  try {
    told[conversation] = await run();
  } catch (error) {
    told[conversation] = { failed: String(error?.stack ?? error) };
  }
}
console.log(JSON.stringify({ version: name, told }));
