/** The container: its limits and what it uses of them, and its files. */
import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { Failure, UNREACHABLE, fetched, key, lookIsReadable, save, send, wordsOf, type Fields } from '../api'
import { underWay } from '../chat'
import { running } from '../code'
import { container, containerFacts, containerFiles, deleteContainer, filePath, lookAtContainer, makeContainer, news, trouble, useContainer } from '../state'
import { inOrder, size } from '../words'
import { Button, Icon, WithJson } from './bits'
import { DropZone, pickFiles } from './files'

const EACH_MS = 2000

export function ContainerPanel() {
  const why = useSignal('')
  const isMaking = useSignal(false)
  const others = useSignal<Fields[]>([])
  const id = container.value
  const facts = containerFacts.value
  const look = async (): Promise<void> => {
    try {
      others.value = (await fetched<{ data: Fields[] }>('/v1/containers?limit=50')).data
      why.value = ''
    } catch (error) {
      // That a key is needed is asked in a dialog, and that nothing can be reached is said above, until it can.
      if (wordsOf(error) === UNREACHABLE) trouble.value = UNREACHABLE
      else if (!(error instanceof Failure && error.status === 401)) why.value = wordsOf(error)
    }
  }
  useEffect(() => {
    void look()
    void lookAtContainer(!underWay() && !running())
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible' && container.value && (underWay() || running())) void lookAtContainer(false)
    }, EACH_MS)
    return () => clearInterval(timer)
  }, [id, key.value, trouble.value === UNREACHABLE])
  const act = (what: () => Promise<unknown>): void => {
    why.value = ''
    what().then(look, (error: unknown) => (why.value = wordsOf(error)))
  }
  return (
    <>
      <label class="field">
        Container
        <select value={id ?? ''} onChange={(event) => useContainer(event.currentTarget.value || null)}>
          <option value="">A new one, with the next run</option>
          {id && !others.value.some((one) => one['id'] === id) && <option value={id}>{short(id)}</option>}
          {others.value.map((one) => (
            <option value={one['id']} key={one['id']}>
              {short(String(one['id']))}, {one['id'] === id && facts ? facts['state'] : one['state']}
            </option>
          ))}
        </select>
      </label>
      {why.value && (
        <p class="error-words" role="alert">
          <bdi>{why.value}</bdi>
        </p>
      )}
      {facts && id ? <Facts facts={facts} act={act} /> : <p class="faint">Variables and files live in a container from one run to the next. Chat and code share it.</p>}
      <div class="row">
        <Button icon="plus" onClick={() => (isMaking.value = !isMaking.value)}>
          New container…
        </Button>
        {id && (
          <Button
            icon="trash"
            onClick={() => {
              if (confirm('End this container, with its variables and files?')) act(deleteContainer)
            }}
          >
            End it
          </Button>
        )}
      </div>
      {isMaking.value && (
        <Making
          make={(limits) => {
            isMaking.value = false
            act(() => makeContainer(limits))
          }}
        />
      )}
    </>
  )
}

function short(id: string): string {
  return `…${id.slice(-8)}`
}

function Facts({ facts, act }: { facts: Fields; act: (what: () => Promise<unknown>) => void }) {
  const limits = facts['limits'] as Fields
  const use = facts['use'] as Fields | null
  const files = containerFiles.value
  const put = (list: File[]): void =>
    act(async () => {
      const failed: string[] = []
      for (const file of list) {
        try {
          await lookIsReadable(file)
          await send('PUT', filePath(file.name), { body: file })
        } catch (error) {
          failed.push(`${inOrder(file.name)}: ${wordsOf(error)}`)
        }
      }
      await lookAtContainer(true)
      if (failed.length) throw new Error(failed.join(' '))
      news.value = `${list.length === 1 ? list[0]!.name : `${list.length} files`} put into the container`
    })
  return (
    <>
      <WithJson value={() => facts} name="the container">
        <dl class="facts">
          <div>
            <dt>Id</dt>
            <dd class="mono">
              <bdi>{facts['id']}</bdi>
            </dd>
          </div>
          <div>
            <dt>State</dt>
            <dd>
              <span class={`dot ${facts['state']}`} aria-hidden="true" /> {facts['state']}
            </dd>
          </div>
          <div>
            <dt>Runtime</dt>
            <dd>{facts['runtime']}</dd>
          </div>
          <div>
            <dt>Isolation</dt>
            <dd>{facts['isolation']?.level}</dd>
          </div>
          <div>
            <dt>Kept until</dt>
            <dd>
              <time dateTime={facts['expires_at']}>{new Date(facts['expires_at']).toLocaleTimeString()}</time>
            </dd>
          </div>
        </dl>
        <h3>Limits and use</h3>
        <div class="meters">
          <Meter name="Memory" value={use?.['memory_bytes']} max={limits['memory_bytes']} words={size} />
          <Meter name="Disk" value={use?.['disk_bytes']} max={limits['disk_bytes']} words={size} />
          <Meter name="Processes" value={use?.['pids']} max={limits['pids']} words={String} />
          <p class="limit-line">
            <span>Processors</span>
            <span>
              {limits['cpus']}
              {use ? `, ${Number(use['cpu_seconds']).toFixed(1)} s used` : ''}
            </span>
          </p>
          <p class="limit-line">
            <span>Output of a run</span>
            <span>{size(limits['output_bytes'])}</span>
          </p>
        </div>
        {!use && <p class="faint">{facts['state'] === 'asleep' ? 'It sleeps: its files are kept, its variables are gone. The next run wakes it.' : 'It has no session yet: the first run makes one.'}</p>}
      </WithJson>
      <DropZone class="container-files" onFiles={put}>
        <div class="row between">
          <h3>Files</h3>
          <span class="row tight">
            <Button kind="quiet" icon="again" label="Look at the files again" onClick={() => act(() => lookAtContainer(true))} />
            <Button kind="quiet" icon="plus" onClick={() => pickFiles(put)}>
              Put files
            </Button>
          </span>
        </div>
        {files === null ? (
          <p class="faint">{facts['state'] === 'running' ? 'They are listed when the code has ended.' : 'Not looked at yet.'}</p>
        ) : files.length === 0 ? (
          <p class="faint">None yet. Drop some here.</p>
        ) : (
          <ul class="file-list" aria-label="Files of the container">
            {files.slice(0, 300).map((file, at) => (
              <li key={file['path']}>
                <button type="button" class="file-save" onClick={() => act(() => save(filePath(file['path']), String(file['path']).split('/').at(-1) ?? 'file'))}>
                  <Icon name="save" />
                  <span class="sr">Download </span>
                  <bdi class="file-name">{inOrder(file['path'])}</bdi>
                  <span class="faint">{size(file['size_bytes'])}</span>
                </button>
                <Button
                  kind="quiet"
                  icon="trash"
                  label={`Delete ${inOrder(file['path'])}`}
                  onClick={() => {
                    const name = inOrder(file['path'])
                    if (!confirm(`Delete ${name}? It cannot be brought back.`)) return
                    act(async () => {
                      await send('DELETE', filePath(file['path']))
                      await lookAtContainer(true)
                      news.value = `${name} deleted`
                      requestAnimationFrame(() => toFile(at))
                    })
                  }}
                />
              </li>
            ))}
            {files.length > 300 && <li class="faint">and {files.length - 300} more</li>}
          </ul>
        )}
      </DropZone>
    </>
  )
}

/** The button that was pressed goes with its file, and the focus would with it: to the next one, else to where files are put. */
function toFile(at: number): void {
  if (document.activeElement !== document.body) return // somebody has gone on meanwhile
  const left = document.querySelectorAll<HTMLElement>('.container-files .file-save')
  const next = left[Math.min(at, left.length - 1)] ?? document.querySelector<HTMLElement>('.container-files .row .button:last-child')
  next?.focus()
}

function Meter({ name, value, max, words }: { name: string; value: number | undefined; max: number; words: (value: number) => string }) {
  const share = value === undefined ? 0 : Math.min(1, value / max)
  return (
    <div class="meter">
      <p class="limit-line">
        <span>{name}</span>
        <span>
          {value === undefined ? '' : `${words(value)} of `}
          {words(max)}
        </span>
      </p>
      <div class={`bar${share > 0.85 ? ' near' : ''}`} role="meter" aria-label={name} aria-valuemin={0} aria-valuemax={max} aria-valuenow={value ?? 0} aria-valuetext={value === undefined ? `limit ${words(max)}` : `${words(value)} of ${words(max)}`}>
        <span style={{ inlineSize: `${(share * 100).toFixed(1)}%` }} />
      </div>
    </div>
  )
}

const CHOICES = [
  ['memory_bytes', 'Memory, MiB', 1024 * 1024, 1024],
  ['disk_bytes', 'Disk, MiB', 1024 * 1024, 512],
  ['pids', 'Processes', 1, 128],
  ['cpus', 'Processors', 1, 1],
] as const

function Making({ make }: { make: (limits: Fields) => void }) {
  const values = useSignal<Record<string, string>>({})
  return (
    <form
      class="making"
      onSubmit={(event) => {
        event.preventDefault()
        const limits: Fields = {}
        for (const [name, , unit] of CHOICES) {
          const text = values.value[name]
          if (text) limits[name] = name === 'cpus' ? Number(text) : Math.round(Number(text) * unit)
        }
        make(limits)
      }}
    >
      <p class="faint">Limits hold for its whole life. What is empty is the server's own choice.</p>
      <div class="fields">
        {CHOICES.map(([name, label, , usual]) => (
          <label class="field" key={name}>
            {label}
            <input type="number" min="0.05" step="any" inputMode="decimal" placeholder={String(usual)} value={values.value[name] ?? ''} onInput={(event) => (values.value = { ...values.value, [name]: event.currentTarget.value })} />
          </label>
        ))}
      </div>
      <button type="submit" class="button main">
        Make it
      </button>
    </form>
  )
}
