/** Code that one writes oneself: the editor, and the runs below it. */
import { useSignal } from '@preact/signals'
import type { FunctionComponent } from 'preact'
import { useEffect } from 'preact/hooks'
import { runCode, running, runs, source, stopRun, type Run } from '../code'
import { attach, attached, containerFacts, keepsContainer, timeoutSeconds } from '../state'
import { duration, limit, mood, outcome, size } from '../words'
import { Button, Code as Highlighted, CopyButton, Files, WithJson } from './bits'
import { DropZone, Waiting, pickFiles } from './files'
import { OutputList } from './outputs'

const ready: { Editor: FunctionComponent | null } = { Editor: null }

/** The editor is half of the page's code, and comes when somebody wants to write. */
function EditorSoon() {
  const isReady = useSignal(ready.Editor !== null)
  useEffect(() => {
    if (!ready.Editor) {
      void import('./editor').then((module) => {
        ready.Editor = module.default
        isReady.value = true
      })
    }
  }, [])
  if (isReady.value && ready.Editor) return <ready.Editor />
  return <textarea class="editor-plain" aria-label="Python code" spellcheck={false} value={source.value} onInput={(event) => (source.value = event.currentTarget.value)} />
}

export function CodeView() {
  const now = running()
  void now?.version.value
  return (
    <DropZone to="code" class="code-view">
      <h1 class="sr">Code</h1>
      <section class="bench" aria-label="Editor">
        <EditorSoon />
        <Waiting to="code" />
        <div class="bench-row">
          <Button kind="quiet" icon="clip" label="Attach files" onClick={() => pickFiles((files) => void attach('code', files))} />
          <label class="check">
            <input type="checkbox" checked={keepsContainer.value} onChange={(event) => (keepsContainer.value = event.currentTarget.checked)} />
            Keep variables and files
          </label>
          <label class="seconds">
            Seconds
            <input type="number" min="0.1" max="3600" step="any" inputMode="decimal" placeholder="30" value={timeoutSeconds.value} onInput={(event) => (timeoutSeconds.value = event.currentTarget.value)} />
          </label>
          <span class="spring" />
          {now ? (
            <Button kind="main" icon="stop" follows onClick={stopRun}>
              Stop
            </Button>
          ) : (
            <Button kind="main" icon="run" disabled={attached.code.value.some((one) => one.state === 'sending')} onClick={() => void runCode()} title="Control or Command with Enter">
              Run
            </Button>
          )}
        </div>
      </section>
      {runs.value.length === 0 ? (
        <p class="empty-runs">What the code prints and shows appears here: values, tables, charts, and files to take out. Control or ⌘ with Enter runs it.</p>
      ) : (
        <ol class="runs" aria-label="Runs, the newest first">
          {runs.value.map((run, at) => (
            <OneRun run={run} isNewest={at === 0} key={run.number} />
          ))}
        </ol>
      )}
    </DropZone>
  )
}

function OneRun({ run, isNewest }: { run: Run; isNewest: boolean }) {
  void run.version.value
  const isOpen = useSignal<boolean | null>(null)
  const shown = isOpen.value ?? isNewest
  const execution = run.execution
  const status = execution ? String(execution['outcome'].status) : ''
  const state = run.isUnderWay ? 'running' : run.state === 'failed' ? 'bad' : run.state === 'stopped' ? 'limit' : mood(status)
  const words = run.isUnderWay ? (run.state === 'waiting' ? 'Waiting for a session' : 'Running') : run.state === 'failed' ? (run.hasBegun ? 'Broken off' : 'Not run') : run.state === 'stopped' ? 'Stopped' : outcome(status)
  const usage = execution?.['usage']
  const reached = limit(execution?.['outcome'].limit)
  const files = (execution?.['files'] ?? []) as Record<string, any>[]
  return (
    <li>
      <article class={`jar ${state}`} aria-label={`Run ${run.number}: ${words}`} aria-busy={run.isUnderWay}>
        <header class="jar-head">
          <h2>
            <button type="button" class="fold" aria-expanded={shown} onClick={() => (isOpen.value = !shown)}>
              <span class="fold-mark" aria-hidden="true" />
              Run {run.number}
            </button>
          </h2>
          <span class="jar-state">{words}</span>
          {usage && (
            <span class="faint">
              {duration(usage.wall_seconds * 1000)}, {size(usage.peak_memory_bytes)}
              {execution?.['container'] ? '' : ', a fresh session'}
            </span>
          )}
          {run.isUnderWay && <Clock since={run.startedAt} />}
        </header>
        {shown && (
          <div class="jar-body">
            <OutputList outputs={run.outputs} container={run.container} grows={run.isUnderWay} />
            {execution && !run.isUnderWay && (
              <WithJson value={() => execution} name="the execution">
                {status !== 'completed' && status !== 'raised' && <p class={`note ${state}`} dir="auto">{String(execution['outcome'].message)}</p>}
                {reached && <p class={`note limit`}>{reached}</p>}
                {execution['restored'] && <p class="note">The container had been asleep: its files were brought back, its variables are gone.</p>}
                {(execution['truncated'].stdout || execution['truncated'].stderr) && <p class="note limit">The middle of the output was left out: it is more than {size(containerFacts.value?.['limits']?.output_bytes ?? 1_048_576)}.</p>}
                {run.outputs.items.length === 0 && files.length === 0 && status === 'completed' && <p class="faint">It has printed and shown nothing.</p>}
                <Files files={files} />
              </WithJson>
            )}
            {run.state === 'stopped' && <p class="note">Stopped by you. The code was interrupted.</p>}
            {run.state === 'failed' && (
              <p class="error-words block" role="alert">
                <bdi>{run.why}</bdi>
              </p>
            )}
            <details class="source">
              <summary>Code</summary>
              <div class="source-row">
                <Button kind="quiet" icon="again" onClick={() => (source.value = run.code)}>
                  Into the editor
                </Button>
                <CopyButton text={() => run.code} what="code" />
              </div>
              <Highlighted code={run.code} label={`Code of run ${run.number}`} />
            </details>
          </div>
        )}
      </article>
    </li>
  )
}

function Clock({ since }: { since: number }) {
  const now = useSignal(performance.now())
  useEffect(() => {
    const timer = setInterval(() => (now.value = performance.now()), 100)
    return () => clearInterval(timer)
  }, [])
  return <span class="faint clock">{((now.value - since) / 1000).toFixed(1)} s</span>
}

