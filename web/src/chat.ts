/** A conversation with a model, as far as it has come. */
import { batch, effect, signal } from '@preact/signals'
import { BROKEN_OFF, Failure, events, send, type Fields, type Kept } from './api'
import { Outputs } from './output'
import { USUAL_TOKENS, attached, began, brokenOff, canSearch, container, hasModel, lastDone, lookAtContainer, maxTokens, model, news, profile, runtime, searches, system, takeAttached, toolVersion, useContainer } from './state'

export interface Question {
  text: string
  files: Kept[]
}

export type AnswerState = 'waiting' | 'running' | 'done' | 'stopped' | 'failed'

let soon = 0
const changed = new Set<Answer>()

function drawChanged(): void {
  batch(() => {
    for (const one of changed) one.version.value += 1
  })
  changed.clear()
}

/** An answer: changes many times a frame, and is drawn once. */
export class Answer {
  readonly version = signal(0)
  blocks: Fields[] = []
  /** The input of tool uses as it is being written, by the block's index. */
  written = new Map<number, string[]>()
  /** The blocks that answer a use, and what was printed and shown meanwhile, by the index of the use. */
  results = new Map<number, Fields[]>()
  outputs = new Map<number, Outputs>()
  message: Fields = {}
  state: AnswerState = 'waiting'
  why = ''
  requestId: string | null = null
  /** What its code runs in, as far as that is known. */
  container: string | null = container.value
  /** The block that is being written. */
  open: number | null = null
  isWhole = false
  readonly abort = new AbortController()

  changed(): void {
    changed.add(this)
    if (soon) return
    soon = requestAnimationFrame(() => {
      soon = 0
      drawChanged()
    })
  }

  get isUnderWay(): boolean {
    return this.state === 'waiting' || this.state === 'running'
  }

  take(event: Fields): void {
    const index = event['index'] as number
    switch (event['type']) {
      case 'message_start':
        this.message = event['message']
        this.state = 'running'
        break
      case 'content_block_start':
        this.blocks[index] = { ...event['content_block'] }
        this.open = index
        this.answers(this.blocks[index]!)
        break
      case 'content_block_delta':
        this.delta(index, event['delta'])
        break
      case 'content_block_stop':
        this.close(index)
        break
      case 'message_delta':
        this.message = { ...this.message, ...event['delta'], usage: { ...this.message['usage'], ...event['usage'] } }
        this.container = this.message['container']?.id ?? this.container
        break
      case 'message_stop':
        this.isWhole = true
        break
      case 'belljar_output': {
        const use = this.useOf(event['tool_use_id'])
        if (use === undefined) break
        const outputs = this.outputs.get(use) ?? new Outputs()
        outputs.add(event['output'])
        this.outputs.set(use, outputs)
        break
      }
    }
    this.changed()
  }

  private answers(block: Fields): void {
    const use = block['tool_use_id'] === undefined ? undefined : this.useOf(block['tool_use_id'])
    if (use !== undefined) this.results.set(use, [...(this.results.get(use) ?? []), block])
  }

  /** The index of the use with this id. Where a model server gives one twice: the first that has no answer yet, else the last. */
  private useOf(id: unknown): number | undefined {
    const uses = [...this.blocks.keys()].filter((at) => this.blocks[at]?.['type'] === 'server_tool_use' && this.blocks[at]['id'] === id)
    return uses.find((at) => !this.results.has(at)) ?? uses.at(-1)
  }

  private delta(index: number, delta: Fields): void {
    const block = this.blocks[index]
    if (!block) return
    if (delta['type'] === 'text_delta') block['text'] = (block['text'] ?? '') + delta['text']
    else if (delta['type'] === 'thinking_delta') block['thinking'] = (block['thinking'] ?? '') + delta['thinking']
    else if (delta['type'] === 'signature_delta') block['signature'] = (block['signature'] ?? '') + delta['signature']
    else if (delta['type'] === 'citations_delta') block['citations'] = [...(block['citations'] ?? []), delta['citation']]
    else if (delta['type'] === 'input_json_delta') {
      const pieces = this.written.get(index) ?? []
      pieces.push(delta['partial_json'])
      this.written.set(index, pieces)
    }
  }

  private close(index: number): void {
    const pieces = this.written.get(index)
    const block = this.blocks[index]
    if (pieces && block) {
      try {
        block['input'] = JSON.parse(pieces.join('') || '{}')
      } catch {
        block['input'] = { unreadable: pieces.join('') }
      }
      this.written.delete(index)
    }
    this.open = null
  }

  /** What goes back to the server as history: without what was cut off in the middle. */
  get history(): Fields[] {
    const answered = new Set(this.blocks.map((block) => block['tool_use_id'] as string | undefined))
    return this.blocks.filter((block, index) => {
      if (!block || this.written.has(index)) return false
      if (block['type'] === 'text') return Boolean(String(block['text'] ?? '').trim())
      if (this.state !== 'done' && block['type'] === 'server_tool_use') return answered.has(block['id'])
      if (this.state !== 'done' && block['type'] === 'thinking') return Boolean(block['signature'])
      return true
    })
  }
}

/** A string in JSON that is still being written: as much of `name` as is there. */
export function writtenString(json: string, name: string): string {
  const found = json.indexOf(`"${name}"`)
  const begin = found < 0 ? -1 : json.indexOf('"', json.indexOf(':', found + name.length + 2))
  if (begin < 0) return ''
  let end = begin + 1
  while (end < json.length && json[end] !== '"') end += json[end] === '\\' ? 2 : 1
  let body = json.slice(begin + 1, Math.min(end, json.length))
  for (let cut = 0; cut < 7; cut += 1) {
    try {
      return JSON.parse(`"${body}"`) as string
    } catch {
      body = body.slice(0, -1) // an escape that has come by half
    }
  }
  return ''
}

export interface Exchange {
  question: Question
  /** More than one where the server has paused and was asked to go on. */
  answers: Answer[]
}

export const exchanges = signal<Exchange[]>([])
export const draft = signal('')

function asks(event: BeforeUnloadEvent): void {
  event.preventDefault()
}
// A conversation is kept nowhere but here: a slip that loads the page anew must not be its end.
effect(() => (exchanges.value.length ? addEventListener : removeEventListener)('beforeunload', asks))

export function underWay(): Answer | null {
  return exchanges.value.at(-1)?.answers.find((answer) => answer.isUnderWay) ?? null
}

function content(question: Question): string | Fields[] {
  if (!question.files.length) return question.text
  const files = question.files.map((file) => ({ type: 'container_upload', file_id: file.id }))
  return [...files, ...(question.text.trim() ? [{ type: 'text', text: question.text }] : [])]
}

function history(): Fields[] {
  const messages: Fields[] = []
  for (const { question, answers } of exchanges.value) {
    messages.push({ role: 'user', content: content(question) })
    const said = answers.flatMap((answer) => answer.history)
    if (said.length) messages.push({ role: 'assistant', content: said })
  }
  return messages
}

export function ask(): void {
  const text = draft.value
  const waits = attached.chat.value.some((one) => one.state === 'sending')
  if (underWay() || waits || (!text.trim() && !attached.chat.value.some((one) => one.kept))) return
  const question = { text, files: takeAttached('chat') }
  draft.value = ''
  exchanges.value = [...exchanges.value, { question, answers: [] }]
  void run()
}

export function stop(): void {
  underWay()?.abort.abort()
}

/** Ask the last question again. */
export function retry(): void {
  if (underWay() || !exchanges.value.length) return
  exchanges.value = exchanges.value.map((one, at, all) => (at === all.length - 1 ? { ...one, answers: [] } : one))
  void run()
}

/** Have the model go on where the server has paused. */
export function goOn(): void {
  if (!underWay()) void run()
}

export function startOver(): void {
  stop()
  exchanges.value = []
}

async function run(): Promise<void> {
  const body: Fields = { model: model.value || 'default', max_tokens: Number(maxTokens.value) >= 1 ? Math.round(Number(maxTokens.value)) : USUAL_TOKENS, stream: true }
  if (system.value.trim()) body['system'] = system.value
  body['tools'] = [{ type: toolVersion.value, name: 'code_execution' }]
  if (searches.value && canSearch()) body['tools'].push({ type: 'web_search_20250305', name: 'web_search' })
  body['messages'] = history()
  if (container.value !== null) body['container'] = container.value
  const headers: Record<string, string> = { 'anthropic-version': '2023-06-01', 'belljar-output': 'live' }
  if (profile.value) headers['belljar-profile'] = profile.value
  if (runtime.value && container.value === null) headers['belljar-runtime'] = runtime.value
  const last = exchanges.value.at(-1)!
  const files = exchanges.value.flatMap((one) => one.question.files)
  lastDone.value = { path: '/v1/messages', body, headers, files }
  const answer = new Answer()
  exchanges.value = exchanges.value.map((one) => (one === last ? { ...one, answers: [...one.answers, answer] } : one))
  news.value = hasModel() ? 'The model is answering' : 'The code is running'
  try {
    const response = await send('POST', '/v1/messages', { json: body, headers, signal: answer.abort.signal })
    answer.requestId = response.headers.get('request-id')
    began(answer.requestId, last.question.text || 'Files')
    for await (const event of events(response)) answer.take(event)
    if (!answer.isWhole) throw new Failure(BROKEN_OFF, 0, 'connection', answer.requestId)
    answer.state = 'done'
    news.value = 'The answer is complete'
    const id = answer.message['container']?.id as string | undefined
    if (id) useContainer(id)
  } catch (error) {
    brokenOff(answer, error, 'The answer has failed')
  }
  answer.open = null
  answer.changed()
  // Together: what may be asked now is not to be there before the last of the answer is.
  batch(() => {
    drawChanged()
    exchanges.value = [...exchanges.value]
  })
  void lookAtContainer(true)
}
