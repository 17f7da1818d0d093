/** Files on their way in: dropped, picked, waiting to go along. */
import { useSignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { attach, attached, type View } from '../state'
import { inOrder, size } from '../words'
import { Button, Icon } from './bits'

export function pickFiles(take: (files: File[]) => void): void {
  const input = document.createElement('input')
  input.type = 'file'
  input.multiple = true
  input.addEventListener('change', () => take([...(input.files ?? [])]))
  input.click()
}

/** A place on which files can be dropped. */
export function DropZone({ to, class: name, onFiles, children }: { to?: View; class: string; onFiles?: (files: File[]) => void; children: ComponentChildren }) {
  const isOver = useSignal(false)
  return (
    <div
      class={`${name} drop${isOver.value ? ' over' : ''}`}
      onDragOver={(event) => {
        if (!event.dataTransfer?.types.includes('Files')) return
        event.preventDefault()
        isOver.value = true
      }}
      onDragLeave={(event) => {
        if (!event.currentTarget.contains(event.relatedTarget as Node | null)) isOver.value = false
      }}
      onDrop={(event) => {
        isOver.value = false
        const files = [...(event.dataTransfer?.files ?? [])]
        if (!files.length) return
        event.preventDefault()
        event.stopPropagation()
        if (onFiles) onFiles(files)
        else if (to) void attach(to, files)
      }}
    >
      {children}
      {isOver.value && (
        <div class="drop-here" aria-hidden="true">
          <span>Drop the files</span>
        </div>
      )}
    </div>
  )
}

/** What goes along with the next message or run. */
export function Waiting({ to }: { to: View }) {
  const list = attached[to]
  if (!list.value.length) return null
  return (
    <ul class="chips" aria-label="Files that go along">
      {list.value.map((one, at) => (
        <li class={`chip ${one.state}`} key={at}>
          <Icon name="clip" />
          <bdi>{inOrder(one.name)}</bdi>
          <span class="faint">{one.state === 'sending' ? 'on its way…' : one.state === 'failed' ? one.why : size(one.size)}</span>
          <Button kind="quiet" icon="close" label={`Leave out ${inOrder(one.name)}`} onClick={() => (list.value = list.value.filter((other) => other !== one))} />
        </li>
      ))}
    </ul>
  )
}
