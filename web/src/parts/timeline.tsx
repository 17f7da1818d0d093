/** One request: its turns, forks and executions, and when each was. */
import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { Failure, fetched, isGivenUp, wordsOf, type Fields } from '../api'
import { underWay } from '../chat'
import { running } from '../code'
import { requests, shownRequest } from '../state'
import { count, duration, outcome, size } from '../words'
import { WithJson } from './bits'

const EACH_MS = 700

export function TimelinePanel() {
  const found = useSignal<Fields | null>(null)
  const why = useSignal('')
  const id = shownRequest.value
  useEffect(() => {
    found.value = null
    why.value = ''
    if (id === null) return undefined
    const gone = new AbortController()
    const look = async (): Promise<void> => {
      for (;;) {
        try {
          found.value = await fetched<Fields>(`/v1/requests/${id}`, gone.signal)
        } catch (error) {
          if (isGivenUp(error)) return
          why.value = error instanceof Failure && error.status === 404 ? 'The server does not know this request any more.' : wordsOf(error)
          return
        }
        if (found.value['state'] === 'ended') return
        await new Promise((resolve) => setTimeout(resolve, EACH_MS))
        if (gone.signal.aborted) return
      }
    }
    void look()
    return () => gone.abort()
  }, [id])
  if (!requests.value.length) return <p class="faint">Each message and each run leaves a timeline here: the turns of the model, the session that was forked, the execution, the tokens.</p>
  const isNow = Boolean(underWay() ?? running())
  return (
    <>
      <label class="field">
        Request
        <select value={id ?? ''} onChange={(event) => (shownRequest.value = event.currentTarget.value)}>
          {requests.value.map((one, at) => (
            <option value={one.id} key={one.id}>
              {isNow && at === 0 ? 'Now: ' : ''}
              {one.label}
            </option>
          ))}
        </select>
      </label>
      {why.value && <p class="error-words" role="alert">{why.value}</p>}
      {found.value && <Steps request={found.value} />}
    </>
  )
}

const KINDS: Record<string, string> = { turn: 'Turn', execution: 'Execution', session: 'Session', fork: 'Fork', run: 'Run' }

function Steps({ request }: { request: Fields }) {
  const steps = request['steps'] as Fields[]
  const usage = request['usage'] as Fields
  const whole = Math.max(1, Number(request['milliseconds']))
  const depths: number[] = []
  steps.forEach((step, at) => {
    depths[at] = step['below'] === null || step['below'] === undefined ? 0 : (depths[step['below'] as number] ?? 0) + 1
  })
  const order = inOrder(steps)
  const read = usage['input_tokens'] + usage['cache_read_tokens'] + usage['cache_creation_tokens']
  return (
    <WithJson value={() => request} name="the request">
      <p class="sum">
        <strong>{duration(whole)}</strong>
        {request['state'] === 'running' ? ' so far' : ''}
        {usage['turns'] > 0 && <>, {count(usage['turns'], 'turn')}</>}, {count(usage['executions'], 'execution')}
        {read + usage['output_tokens'] > 0 && (
          <>
            , {count(read, 'token')} in, {count(usage['output_tokens'], 'token')} out
            {usage['is_estimated'] ? ' (estimated)' : ''}
          </>
        )}
      </p>
      <ol class="steps" aria-label="Steps">
        {order.map((at) => {
          const step = steps[at]!
          const kind = String(step['kind'])
          const taken = step['milliseconds'] === null ? whole - step['begins_ms'] : Number(step['milliseconds'])
          const begin = Math.min(99.4, Math.max(0, (step['begins_ms'] / whole) * 100))
          const width = Math.max(0.6, Math.min(100 - begin, (taken / whole) * 100))
          const bad = step['error'] || (step['outcome'] && step['outcome'] !== 'completed')
          return (
            <li class={`step ${kind}${bad ? ' bad' : ''}${step['milliseconds'] === null ? ' open' : ''}`} key={at} style={{ '--depth': String(Math.min(3, depths[at] ?? 0)) }}>
              <p class="step-line">
                <span class="step-name">
                  {KINDS[kind] ?? kind}
                  {kind === 'turn' || kind === 'execution' ? <bdi class="faint">{String(step['name'])}</bdi> : null}
                </span>
                <span class="step-time">{duration(taken)}</span>
              </p>
              <div class="track" aria-hidden="true">
                <span style={{ insetInlineStart: `${begin}%`, inlineSize: `${width}%` }} />
              </div>
              <p class="step-facts">{factsOf(step)}</p>
            </li>
          )
        })}
      </ol>
      {!request['is_whole'] && <p class="note">There were more steps than the server keeps.</p>}
      <p class="faint mono request-id">
        <bdi>{request['id']}</bdi>
      </p>
    </WithJson>
  )
}

/** Each step before those below it. */
function inOrder(steps: Fields[]): number[] {
  const order: number[] = []
  const add = (above: number | null): void => {
    steps.forEach((step, at) => {
      if ((step['below'] ?? null) === above) {
        order.push(at)
        add(at)
      }
    })
  }
  add(null)
  return order
}

function factsOf(step: Fields): string {
  const facts: string[] = [`from ${duration(step['begins_ms'])}`]
  if (step['input_tokens'] !== undefined) facts.push(`${count(step['input_tokens'], 'token')} in, ${count(step['output_tokens'] ?? 0, 'token')} out`)
  if (step['stop_reason']) facts.push(`stopped: ${step['stop_reason']}`)
  if (step['outcome']) facts.push(outcome(String(step['outcome'])))
  if (step['limit']) facts.push(`limit ${step['limit']}`)
  if (step['cpu_seconds'] !== undefined) facts.push(`${Number(step['cpu_seconds']).toFixed(2)} s of processor`)
  if (step['peak_memory_bytes'] !== undefined) facts.push(`${size(step['peak_memory_bytes'])} at most`)
  if (step['made']) facts.push(step['made'] === 'parked' ? 'stood ready' : 'forked for this request')
  if (step['error']) facts.push(String(step['error']))
  return facts.join(', ')
}
