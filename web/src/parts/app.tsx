/** The whole page: its head, the view, the panel beside it, and what stands above them. */
import { useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { UNREACHABLE, key, keyRefusal, rememberKey } from '../api'
import { ask, stop, underWay } from '../chat'
import { runCode, running, stopRun } from '../code'
import { health, isNarrow, isPanelOpen, look, news, panel, theme, trouble, view, type Panel, type Theme, type View } from '../state'
import { Button, Icon } from './bits'
import { Chat } from './chat'
import { CodeView } from './code'
import { SidePanel } from './panel'

const isHelpOpen = { value: false, open: (): void => undefined }

export function App() {
  useEffect(() => {
    void look()
  }, [])
  useShortcuts()
  useNoOtherDrops()
  const covers = isNarrow.value && isPanelOpen.value
  return (
    <>
      <a class="skip" href="#main">
        Skip to the work
      </a>
      <Head />
      {trouble.value && (
        <div class="trouble" role="alert">
          <bdi>{trouble.value}</bdi>
          <Button kind="quiet" icon="again" onClick={() => void look()}>
            Look again
          </Button>
          <Button kind="quiet" icon="close" label="Dismiss" onClick={() => (trouble.value = '')} />
        </div>
      )}
      <div class={`work${isPanelOpen.value ? ' with-panel' : ''}`}>
        <main id="main" tabIndex={-1} inert={covers}>
          {view.value === 'chat' ? <Chat /> : <CodeView />}
        </main>
        {isPanelOpen.value && <SidePanel />}
      </div>
      <div class="sr" role="status" aria-live="polite">
        {news.value}
      </div>
      <KeyDialog />
      <Help />
    </>
  )
}

const THEMES: [Theme, string][] = [
  ['system', 'As the system'],
  ['light', 'Light'],
  ['dark', 'Dark'],
]

function Head() {
  const views: [View, string][] = [
    ['chat', 'Chat'],
    ['code', 'Code'],
  ]
  const next = THEMES[(THEMES.findIndex(([name]) => name === theme.value) + 1) % THEMES.length]!
  const about = health.value
  const state = trouble.value === UNREACHABLE ? 'Out of reach' : about?.['status'] === 'ok' ? `Jail: ${about['isolation']?.level}` : 'Not ready'
  return (
    <header class="head">
      <p class="brand">
        <Icon name="jar" />
        <span>Belljar</span>
      </p>
      <nav class="choice" aria-label="Views">
        {views.map(([name, label]) => (
          <button type="button" key={name} aria-current={view.value === name ? 'page' : undefined} onClick={() => (view.value = name)}>
            {label}
          </button>
        ))}
      </nav>
      <span class="spring" />
      {about && (
        <p class="level" title={`Isolation level ${about['isolation']?.level}; ${about['sessions']?.live} of ${about['sessions']?.max} sessions`}>
          <span class={`dot ${state.startsWith('Jail') ? 'idle' : 'asleep'}`} aria-hidden="true" />
          {state}
        </p>
      )}
      {key.value && <Button kind="quiet" icon="key" label="Forget the API key" onClick={() => rememberKey('')} />}
      <Button kind="quiet" icon={theme.value === 'system' ? 'system' : theme.value} label={`Colours: ${THEMES.find(([name]) => name === theme.value)![1]}. Change to: ${next[1]}`} onClick={() => (theme.value = next[0])} />
      <Button kind="quiet" icon="help" label="Keyboard shortcuts" onClick={() => isHelpOpen.open()} />
      <Button kind="quiet" icon="side" label={isPanelOpen.value ? 'Hide the details' : 'Show the details'} pressed={isPanelOpen.value} onClick={() => (isPanelOpen.value = !isPanelOpen.value)} />
    </header>
  )
}

function KeyDialog() {
  const dialog = useRef<HTMLDialogElement>(null)
  /** We close it ourselves: the browser says so later, when the next key may have been refused already. */
  const closes = useRef(false)
  const typed = useSignal('')
  const words = keyRefusal.value
  useEffect(() => {
    if (words && !dialog.current?.open) dialog.current?.showModal()
    if (!words && dialog.current?.open) {
      closes.current = true
      dialog.current.close()
    }
  }, [words])
  return (
    <dialog ref={dialog} aria-labelledby="key-title" onClose={() => {
        if (!closes.current) keyRefusal.value = ''
        closes.current = false
      }}>
      <form
        method="dialog"
        onSubmit={(event) => {
          event.preventDefault()
          const value = typed.value.trim()
          if (!value) return
          typed.value = ''
          keyRefusal.value = ''
          rememberKey(value)
          void look()
        }}
      >
        <h2 id="key-title">An API key, please</h2>
        <p class="error-words">
          <bdi>{words}</bdi>
        </p>
        <label class="field">
          API key
          <input type="password" autocomplete="off" spellcheck={false} value={typed.value} onInput={(event) => (typed.value = event.currentTarget.value)} />
        </label>
        <p class="faint">This tab alone remembers it, until it is closed, or until you forget it by the key in the head of the page. It goes to this server and nowhere else.</p>
        <div class="row end">
          <Button onClick={() => dialog.current?.close()}>Not now</Button>
          <button type="submit" class="button main">
            Use it
          </button>
        </div>
      </form>
    </dialog>
  )
}

const SHORTCUTS: [string[], string][] = [
  [['Ctrl or ⌘', 'Enter'], 'Send the message, or run the code'],
  [['Ctrl or ⌘', '.'], 'Stop what is running'],
  [['Alt', '1'], 'Chat'],
  [['Alt', '2'], 'Code'],
  [['Alt', '3'], 'Container'],
  [['Alt', '4'], 'Timeline'],
  [['Alt', '5'], 'Snippet'],
  [['Alt', '6'], 'Settings'],
  [['Alt', '0'], 'Show or hide the details'],
  [['Esc', 'Tab'], 'Leave the editor'],
  [['?'], 'This list'],
]

function Help() {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    isHelpOpen.open = () => dialog.current?.showModal()
  }, [])
  return (
    <dialog ref={dialog} aria-labelledby="help-title">
      <h2 id="help-title">Keyboard shortcuts</h2>
      <table class="shortcuts">
        <thead class="sr">
          <tr>
            <th scope="col">Keys</th>
            <th scope="col">What they do</th>
          </tr>
        </thead>
        <tbody>
          {SHORTCUTS.map(([keys, what]) => (
            <tr key={what}>
              <td>
                {keys.map((one, at) => (
                  <span key={one}>
                    {at > 0 && <span class="faint">{keys[0] === 'Esc' ? ' then ' : ' + '}</span>}
                    <kbd>{one}</kbd>
                  </span>
                ))}
              </td>
              <td>{what}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <div class="row end">
        <Button kind="main" onClick={() => dialog.current?.close()}>
          Close
        </Button>
      </div>
    </dialog>
  )
}

/** A file that is dropped beside its places the browser would open in place of the page, and the conversation were lost. */
function useNoOtherDrops(): void {
  useEffect(() => {
    const refuse = (event: DragEvent): void => {
      if (event.defaultPrevented || !event.dataTransfer?.types.includes('Files')) return
      event.preventDefault()
      event.dataTransfer.dropEffect = 'none'
    }
    addEventListener('dragover', refuse)
    addEventListener('drop', refuse)
    return () => {
      removeEventListener('dragover', refuse)
      removeEventListener('drop', refuse)
    }
  }, [])
}

const PANELS: Record<string, Panel> = { '3': 'container', '4': 'timeline', '5': 'snippet', '6': 'settings' }

function useShortcuts(): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (document.querySelector('dialog[open]')) return
      const target = event.composedPath()[0] as HTMLElement | undefined
      const isTyping = target?.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target?.tagName ?? '')
      const isCommand = event.ctrlKey || event.metaKey
      const digit = event.altKey && !isCommand ? /^Digit(\d)$/.exec(event.code)?.[1] : undefined
      if (isCommand && event.key === 'Enter' && !event.defaultPrevented) {
        if (view.value === 'code') void runCode()
        else ask()
      } else if (isCommand && event.key === '.') {
        if (underWay()) stop()
        if (running()) stopRun()
      } else if (digit === '1' || digit === '2') {
        // What had the focus goes with the view that it was in.
        if (document.activeElement?.closest('main')) document.getElementById('main')?.focus({ preventScroll: true })
        view.value = digit === '1' ? 'chat' : 'code'
        if (isNarrow.value) isPanelOpen.value = false
      } else if (digit === '0') isPanelOpen.value = !isPanelOpen.value
      else if (digit && PANELS[digit]) {
        panel.value = PANELS[digit]
        isPanelOpen.value = true
      } else if (event.key === 'Escape' && isNarrow.value && isPanelOpen.value) isPanelOpen.value = false
      else if (event.key === '?' && !isTyping) isHelpOpen.open()
      else return
      event.preventDefault()
    }
    addEventListener('keydown', onKey)
    return () => removeEventListener('keydown', onKey)
  }, [])
}
