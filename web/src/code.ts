/** Code that one writes oneself, and its runs. */
import { signal } from '@preact/signals'
import { BROKEN_OFF, Failure, events, send, type Fields, type Kept } from './api'
import { remember, remembered } from './keeping'
import { Outputs } from './output'
import { attached, began, brokenOff, container, giveBack, keepsContainer, lastDone, lookAtContainer, makeContainer, news, runtime, takeAttached, timeoutSeconds } from './state'
import { duration, outcome } from './words'

const FIRST = `import pandas as pd
import matplotlib.pyplot as plt

sales = pd.DataFrame(
    {"month": ["Jan", "Feb", "Mar", "Apr"], "sold": [120, 180, 150, 240]}
)
print("In all:", sales["sold"].sum())

plt.bar(sales["month"], sales["sold"])
plt.title("Sold")
sales
`

export const source = signal(remembered('sessionStorage', 'belljar-code') ?? FIRST)
source.subscribe((value) => {
  if (value.length < 1_000_000) remember('sessionStorage', 'belljar-code', value)
})

let drawing = 0

export class Run {
  readonly version = signal(0)
  outputs = new Outputs()
  state: 'waiting' | 'running' | 'done' | 'stopped' | 'failed' = 'waiting'
  execution: Fields | null = null
  why = ''
  requestId: string | null = null
  /** What it runs in, where that is kept. */
  container: string | null = null
  /** The server has begun to answer. */
  isTaken = false
  hasBegun = false
  readonly startedAt = performance.now()
  readonly abort = new AbortController()

  constructor(
    readonly number: number,
    readonly code: string,
  ) {}

  get isUnderWay(): boolean {
    return this.state === 'waiting' || this.state === 'running'
  }

  changed(): void {
    cancelAnimationFrame(drawing)
    drawing = requestAnimationFrame(() => {
      this.version.value += 1
    })
  }
}

/** The newest first. */
export const runs = signal<Run[]>([])

export function running(): Run | null {
  return runs.value.find((run) => run.isUnderWay) ?? null
}

export function stopRun(): void {
  running()?.abort.abort()
}

export async function runCode(): Promise<void> {
  const code = source.value
  if (running() || attached.code.value.some((one) => one.state === 'sending')) return
  if (!code.trim()) {
    news.value = 'There is no code to run'
    return
  }
  const run = new Run((runs.value[0]?.number ?? 0) + 1, code)
  runs.value = [run, ...runs.value]
  news.value = 'The code is running'
  let files: Kept[] = []
  try {
    const body: Fields = { code, stream: true }
    if (keepsContainer.value) body['container'] = run.container = container.value ?? (await makeContainer())
    else if (runtime.value) body['runtime'] = runtime.value
    const seconds = Number(timeoutSeconds.value)
    if (timeoutSeconds.value && seconds > 0) body['timeout_seconds'] = seconds
    files = takeAttached('code')
    if (files.length) body['files'] = files.map((file) => ({ name: file.filename, file_id: file.id }))
    lastDone.value = { path: '/v1/executions', body, headers: {}, files }
    const response = await send('POST', '/v1/executions', { json: body, signal: run.abort.signal })
    run.isTaken = true
    run.requestId = response.headers.get('request-id')
    began(run.requestId, code)
    for await (const event of events(response)) {
      if (event['type'] === 'started') {
        run.state = 'running'
        run.hasBegun = true
      } else if (event['type'] === 'finished') {
        run.execution = event['execution']
        run.outputs = Outputs.of(event['execution'].outputs)
        run.state = 'done' // as is shown from here on, and the next may be run
      } else if (event['type'] !== 'ping') run.outputs.add(event)
      run.changed()
    }
    if (!run.execution) throw new Failure(BROKEN_OFF, 0, 'connection', run.requestId)
    const status = String(run.execution['outcome'].status)
    news.value = `${outcome(status)} after ${duration(performance.now() - run.startedAt)}`
  } catch (error) {
    brokenOff(run, error, run.hasBegun ? 'The run has broken off' : 'It was not run')
    if (!run.isTaken) giveBack('code', files)
  }
  run.changed()
  runs.value = [...runs.value]
  void lookAtContainer(true)
}
