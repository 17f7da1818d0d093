/** What stands beside the work: the container, the timeline, the snippet, the settings. */
import { useEffect, useRef } from 'preact/hooks'
import { isNarrow, isPanelOpen, panel, type Panel } from '../state'
import { Button } from './bits'
import { ContainerPanel } from './container'
import { SettingsPanel } from './settings'
import { SnippetPanel } from './snippet'
import { TimelinePanel } from './timeline'

const TABS: [Panel, string][] = [
  ['container', 'Container'],
  ['timeline', 'Timeline'],
  ['snippet', 'Snippet'],
  ['settings', 'Settings'],
]

export function SidePanel() {
  const tabs = useRef<HTMLDivElement>(null)
  /** Where the focus was: it goes back there when what covers the work is closed. */
  const opener = useRef(document.activeElement)
  useEffect(() => {
    if (!isNarrow.value) return undefined
    tabs.current?.querySelector<HTMLElement>('[aria-selected="true"]')?.focus()
    return () => {
      // Not before the work below can have it again.
      requestAnimationFrame(() => (opener.current as HTMLElement | null)?.focus())
    }
  }, [])
  const move = (event: KeyboardEvent): void => {
    const step = { ArrowRight: 1, ArrowLeft: -1, Home: -9, End: 9 }[event.key]
    if (step === undefined) return
    event.preventDefault()
    const way = getComputedStyle(event.currentTarget as Element).direction === 'rtl' && Math.abs(step) === 1 ? -step : step
    const at = TABS.findIndex(([name]) => name === panel.value)
    const next = Math.abs(way) === 9 ? (way < 0 ? 0 : TABS.length - 1) : (at + way + TABS.length) % TABS.length
    panel.value = TABS[next]![0]
    tabs.current?.querySelectorAll<HTMLElement>('[role="tab"]')[next]?.focus()
  }
  return (
    <aside class="panel" id="panel" aria-label="Details">
      <div class="panel-head">
        <div class="tabs" role="tablist" aria-label="Details" ref={tabs} onKeyDown={move}>
          {TABS.map(([name, label]) => (
            <button type="button" role="tab" id={`tab-${name}`} key={name} aria-selected={panel.value === name} aria-controls="tabpanel" tabIndex={panel.value === name ? 0 : -1} onClick={() => (panel.value = name)}>
              {label}
            </button>
          ))}
        </div>
        {isNarrow.value && <Button kind="quiet" icon="close" label="Close the details" onClick={() => (isPanelOpen.value = false)} />}
      </div>
      <div class="panel-body" id="tabpanel" role="tabpanel" aria-labelledby={`tab-${panel.value}`} tabIndex={0}>
        {panel.value === 'container' && <ContainerPanel />}
        {panel.value === 'timeline' && <TimelinePanel />}
        {panel.value === 'snippet' && <SnippetPanel />}
        {panel.value === 'settings' && <SettingsPanel />}
      </div>
    </aside>
  )
}
