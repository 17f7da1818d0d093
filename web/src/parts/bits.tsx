/** Small pieces that many parts have. */
import { useSignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useLayoutEffect, useRef } from 'preact/hooks'
import { save, wordsOf, type Fields } from '../api'
import { python } from '../highlight'
import { news, showsJson } from '../state'
import { inOrder, json, size } from '../words'

const PATHS = {
  jar: 'M7 20V11a5 5 0 0 1 10 0v9M4.500 20.500h15M12 6V3.500',
  send: 'M12 19V5m-6 6 6-6 6 6',
  stop: 'M7 7h10v10H7z',
  run: 'M8 5.500v13l10.500-6.500z',
  clip: 'M19 11.500 12 18.500a4.200 4.200 0 0 1-6-6l7.500-7.500a2.800 2.800 0 0 1 4 4L10 16.500a1.400 1.400 0 0 1-2-2l6.500-6.500',
  close: 'm6 6 12 12M18 6 6 18',
  again: 'M19 12a7 7 0 1 1-2-5m2-3v4h-4',
  save: 'M12 4v11m-5-4.500 5 5 5-5M5 20h14',
  copy: 'M9 9h10v11H9zM15 9V4H5v11h4',
  key: 'M14.500 9.500a4 4 0 1 0-3.900 4L12 15h2v2h2v2h3v-3l-5-5',
  light: 'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2.500v2M12 19.500v2M2.500 12h2M19.500 12h2M5.300 5.300l1.400 1.400M17.300 17.300l1.400 1.400M5.300 18.700l1.400-1.400M17.300 6.700l1.400-1.400',
  dark: 'M19.500 14.500A8 8 0 0 1 9.500 4.500a8 8 0 1 0 10 10z',
  system: 'M4 5h16v11H4zM9 20h6M12 16v4',
  help: 'M9.500 9.500a2.500 2.500 0 1 1 3.500 2.300c-.7.3-1 .8-1 1.700M12 16.800v.1M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z',
  side: 'M4 5h16v14H4zM14.500 5v14',
  trash: 'M5 7h14M10 7V4.500h4V7M7 7l1 13h8l1-13',
  plus: 'M12 5v14M5 12h14',
} as const

export function Icon({ name }: { name: keyof typeof PATHS }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  )
}

interface ButtonProps {
  icon?: keyof typeof PATHS
  /** Where it shows nothing but a picture. */
  label?: string
  kind?: 'plain' | 'main' | 'quiet'
  onClick: () => void
  /** Stands where another has stood until it was pressed: the second click of a double one is none on it. */
  follows?: boolean
  disabled?: boolean
  pressed?: boolean
  title?: string
  children?: ComponentChildren
}

export function Button({ icon, label, kind = 'plain', onClick, follows, disabled, pressed, title, children }: ButtonProps) {
  return (
    <button type="button" class={`button ${kind}${children === undefined ? ' bare' : ''}`} aria-label={label} title={title ?? label} onClick={(event) => !(follows && event.detail > 1) && onClick()} disabled={disabled} aria-pressed={pressed}>
      {icon && <Icon name={icon} />}
      {children}
    </button>
  )
}

/** Nodes that were made elsewhere, put in whenever they are others. */
export function Nodes({ make, deps, class: name }: { make: () => Node; deps: unknown[]; class: string }) {
  const host = useRef<HTMLDivElement>(null)
  useLayoutEffect(() => host.current?.replaceChildren(make()), deps)
  return <div ref={host} class={name} />
}

export function Code({ code, label, language = 'python' }: { code: string; label: string; language?: 'python' | 'text' }) {
  const host = useRef<HTMLElement>(null)
  useLayoutEffect(() => {
    if (language === 'python') host.current?.replaceChildren(python(code))
    else if (host.current) host.current.textContent = code
  }, [code, language])
  return (
    <pre class="code" tabIndex={0} role="group" aria-label={label} dir="ltr">
      <code ref={host} />
    </pre>
  )
}

export function CopyButton({ text, what }: { text: () => string; what: string }) {
  const isCopied = useSignal(false)
  return (
    <Button
      kind="quiet"
      icon="copy"
      onClick={() => {
        void copy(text()).then((done) => {
          isCopied.value = done
          news.value = done ? `${what} copied` : `The browser lets nothing be copied here: select the text and copy it by hand`
          setTimeout(() => (isCopied.value = false), 2000)
        })
      }}
    >
      {isCopied.value ? 'Copied' : 'Copy'}
      <span class="sr"> {what}</span>
    </Button>
  )
}

async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    // Without HTTPS there is no clipboard but on this machine itself; the old way works everywhere.
    const area = document.createElement('textarea')
    area.value = text
    area.className = 'sr'
    document.body.append(area)
    area.select()
    const done = document.execCommand('copy')
    area.remove()
    return done
  }
}

/** A block with its JSON beside it, when it is asked for. */
export function WithJson({ value, name, children }: { value: () => unknown; name: string; children: ComponentChildren }) {
  const own = useSignal<boolean | null>(null)
  const isShown = own.value ?? showsJson.value
  return (
    <div class={`with-json${isShown ? ' shown' : ''}`}>
      <div class="it">{children}</div>
      <button type="button" class="json-toggle" aria-expanded={isShown} onClick={() => (own.value = !isShown)} title="The same as JSON">
        <span aria-hidden="true">{'{ }'}</span>
        <span class="sr">JSON of {name}</span>
      </button>
      {isShown && (
        <div class="json">
          <div class="json-head">
            <span>JSON</span>
            <CopyButton text={() => JSON.stringify(value(), null, 2)} what="JSON" />
          </div>
          <pre tabIndex={0} role="group" aria-label={`JSON of ${name}`} dir="ltr">
            {json(value())}
          </pre>
        </div>
      )}
    </div>
  )
}

export function FileButton({ id, filename, bytes, note = '' }: { id: string; filename: string; bytes: number; note?: string }) {
  const why = useSignal('')
  return (
    <li class="file">
      <button type="button" class="file-save" onClick={() => void save(`/v1/files/${id}/content`, filename.split('/').at(-1) ?? filename).then(() => (why.value = ''), (error: unknown) => (why.value = wordsOf(error)))}>
        <Icon name="save" />
        <span class="sr">Download </span>
        <bdi class="file-name">{inOrder(filename)}</bdi>
        <span class="faint">
          {size(bytes)}
          {note && `, ${note}`}
        </span>
      </button>
      {why.value && <span class="error-words" role="alert">{why.value}</span>}
    </li>
  )
}

export function Files({ files }: { files: Fields[] }) {
  if (!files.length) return null
  return (
    <ul class="files" aria-label="Files that were made">
      {files.map((file) => (
        <FileButton key={file['file_id']} id={file['file_id']} filename={file['filename']} bytes={file['size_bytes'] ?? 0} note={file['holds'] ? `${file['holds']} files` : file['change'] === 'modified' ? 'changed' : ''} />
      ))}
    </ul>
  )
}

/** A link to somewhere else, which is followed by whoever presses it and by nobody before. */
export function Outside({ url, children }: { url: string; children: string }) {
  return /^https?:\/\//.test(url) ? (
    <a href={url} target="_blank" rel="noopener noreferrer nofollow">
      <bdi>{children}</bdi>
    </a>
  ) : (
    <bdi>{children}</bdi>
  )
}
