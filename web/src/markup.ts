/** Markdown and HTML that somebody else wrote, as nodes in which nothing runs and nothing is loaded. */
import createDOMPurify, { type Config } from 'dompurify'
import { Marked } from 'marked'
import { beginOf } from './words'

const purify = createDOMPurify(window)

const RULES: Config = {
  ALLOWED_TAGS: (
    'a abbr b bdi bdo blockquote br caption code col colgroup dd del details dfn div dl dt em figcaption figure h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p ' +
    'pre q rp rt ruby s samp small span strong sub summary sup table tbody td tfoot th thead time tr u ul var wbr'
  ).split(' '),
  // No classes and ids: nothing that is shown here may look like a part of the page.
  ALLOWED_ATTR: ['alt', 'colspan', 'dir', 'href', 'lang', 'reversed', 'rowspan', 'scope', 'src', 'start', 'title'],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:|data:image\/(?:png|jpeg|gif|webp);base64,)/i,
  RETURN_DOM_FRAGMENT: true,
}

const TEXTS = new Set(['P', 'LI', 'H1', 'H2', 'H3', 'H4', 'H5', 'H6', 'TD', 'TH', 'BLOCKQUOTE', 'DD', 'DT', 'CAPTION', 'FIGCAPTION', 'SUMMARY'])

purify.addHook('afterSanitizeAttributes', (node) => {
  if (node.tagName === 'A') {
    node.setAttribute('rel', 'noopener noreferrer nofollow')
    node.setAttribute('target', '_blank')
  } else if (node.tagName === 'IMG') {
    // A picture from elsewhere would be a request that leaves the machine.
    if (!/^data:image\//i.test(node.getAttribute('src') ?? '')) node.replaceWith(document.createTextNode(node.getAttribute('alt') || '[picture]'))
    else if (!node.hasAttribute('alt')) node.setAttribute('alt', '')
  } else if (TEXTS.has(node.tagName) && !node.hasAttribute('dir')) node.setAttribute('dir', 'auto')
})

/** What is longer is shown as it was written. */
export const MOST_MARKDOWN = 100_000
/** Of a longer paragraph stars and underscores stay as they were written: to find their ends takes time by its square. */
const MOST_EMPHASIS = 5000
const marked = new Marked({
  gfm: true,
  breaks: false,
  // `false` has the library look itself.
  tokenizer: {
    emStrong: (_, paragraph) => (paragraph.length > MOST_EMPHASIS ? undefined : false),
    del: (_, paragraph) => (paragraph.length > MOST_EMPHASIS ? undefined : false),
  },
  // As letters: a form's parts are none of a model's words.
  renderer: { checkbox: ({ checked }) => (checked ? '☑ ' : '☐ ') },
})

/** Tables scroll in a frame of their own, which the keyboard reaches; headings leave the page's own order alone. */
function framed(fragment: DocumentFragment): DocumentFragment {
  for (const table of fragment.querySelectorAll('table')) {
    const frame = document.createElement('div')
    frame.className = 'table'
    frame.tabIndex = 0
    frame.dir = table.dir = directionOf(table.textContent ?? '')
    frame.setAttribute('role', 'group')
    frame.setAttribute('aria-label', beginOf(table.caption?.textContent ?? '', 100) || 'Table')
    table.replaceWith(frame)
    frame.append(table)
    for (const cell of table.querySelectorAll('thead th:not([scope])')) cell.setAttribute('scope', 'col')
    alignNumbers(table)
    // An empty head names nothing, and is no head.
    for (const cell of table.querySelectorAll('th')) {
      if (cell.textContent?.trim()) continue
      const plain = document.createElement('td')
      for (const { name, value } of cell.attributes) if (name !== 'scope') plain.setAttribute(name, value)
      cell.replaceWith(plain)
    }
  }
  for (const item of fragment.querySelectorAll('li')) if (/^[☑☐] /.test(item.textContent ?? '')) item.className = 'task'
  for (const list of fragment.querySelectorAll<HTMLElement>('ul, ol')) list.dir = directionOf(list.textContent ?? '')
  // They lie below the page's own of the second level, and none leaves one out.
  const headings = [...fragment.querySelectorAll('h1, h2, h3, h4, h5, h6')]
  const top = Math.min(...headings.map((heading) => Number(heading.tagName[1])))
  let before = 2
  for (const heading of headings) {
    before = Math.min(6, before + 1, Number(heading.tagName[1]) - top + 3)
    const plain = document.createElement('p')
    plain.className = `heading level-${heading.tagName[1]}`
    plain.setAttribute('role', 'heading')
    plain.setAttribute('aria-level', String(before))
    plain.dir = 'auto'
    plain.append(...heading.childNodes)
    heading.replaceWith(plain)
  }
  for (const pre of fragment.querySelectorAll('pre')) {
    pre.tabIndex = 0
    pre.setAttribute('role', 'group')
    pre.setAttribute('aria-label', 'Code')
  }
  return fragment
}

/**
 * The same without styles, handlers and bases. They would go in any case; but a browser reports them against the page's policy as
 * soon as it reads them, and reports are to be rare enough to be looked at. What is safe the sanitiser alone decides.
 */
function quietened(html: string): string {
  if (!/style|\bon|<base/i.test(html)) return html
  let made = ''
  let at = 0
  for (;;) {
    const begin = html.indexOf('<', at)
    if (begin < 0) return made + html.slice(at)
    made += html.slice(at, begin)
    const end = html.startsWith('<!--', begin) ? html.indexOf('-->', begin) + 3 : endOfTag(html, begin)
    if (end < begin + 2) return made + html.slice(begin)
    const tag = html.slice(begin, end)
    at = end
    if (/^<style\b/i.test(tag)) {
      const close = html.slice(end).search(/<\/style/i)
      if (close < 0) return made
      at = end + close
    } else if (!/^<(?:\/style|base)\b/i.test(tag)) made += /^<[a-z]/i.test(tag) ? tag.replace(/([\s"'/])(?:style|on\w+)\s*=\s*(?:"[^"]*"|'[^']*'|[^\s>"']+)/gi, '$1') : tag
  }
}

/** Where a tag that begins there ends; 0 where it does not. */
function endOfTag(html: string, begin: number): number {
  if (!/[a-z/!?]/i.test(html[begin + 1] ?? '')) return begin + 2 // a sign, and no tag
  let quote = ''
  for (let at = begin + 1; at < html.length; at += 1) {
    const letter = html[at]!
    if (quote) {
      if (letter === quote) quote = ''
    } else if (letter === '>') return at + 1
    else if ((letter === '"' || letter === "'") && html[at - 1] === '=') quote = letter
  }
  return 0
}

/** What holds other elements, and ends by its own tag alone. */
const NESTING = /<(\/?)(?:a|b|big|blockquote|code|del|details|div|em|font|i|ins|kbd|mark|nobr|q|s|samp|small|span|strike|strong|sub|sup|tt|u|var)\b/gi
const MOST_DEEP = 500 // as deep as the browser's own tree goes

/** Elements that never end, by thousands: a browser reads them in a time by their square. */
function isTooDeep(html: string): boolean {
  let depth = 0
  for (const [, slash] of html.matchAll(NESTING)) {
    depth = Math.max(0, depth + (slash ? -1 : 1))
    if (depth > MOST_DEEP) return true
  }
  return false
}

/** Somebody's words as they are. */
function plainly(text: string): DocumentFragment {
  const words = document.createElement('p')
  words.className = 'own-words'
  words.dir = 'auto'
  words.textContent = text
  const fragment = document.createDocumentFragment()
  fragment.append(words)
  return fragment
}

export function fromHtml(html: string): DocumentFragment {
  if (isTooDeep(html)) return plainly(html)
  return framed(purify.sanitize(quietened(html), RULES) as unknown as DocumentFragment)
}

/** Where a text runs, by its first letter that says so: `dir=auto` looks past what has a direction of its own. */
function directionOf(text: string): 'ltr' | 'rtl' {
  const first = /[\p{L}]/u.exec(text)?.[0] ?? ''
  return /[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}\p{Script=Adlam}]/u.test(first) ? 'rtl' : 'ltr'
}

/** Columns of numbers stand one below the other. */
function alignNumbers(table: HTMLTableElement): void {
  const rows = [...table.rows].slice(0, 500)
  if (table.querySelector('[colspan], [rowspan]')) return
  const body = rows.filter((row) => row.parentElement?.tagName !== 'THEAD')
  for (let column = 0; column < (rows[0]?.cells.length ?? 0); column += 1) {
    const texts = body.map((row) => row.cells[column]?.textContent?.trim() ?? '').filter((text) => text && text !== 'NaN')
    if (!texts.length || !texts.every((text) => /^[-+−]?[\d.,]+(?:e[-+]?\d+)?\s?[%€$£]?$/i.test(text))) continue
    for (const row of table.rows) row.cells[column]?.classList.add('number')
  }
}

export function fromMarkdown(text: string): DocumentFragment {
  try {
    return fromHtml(marked.parse(text, { async: false }))
  } catch {
    // Quotes in quotes, thousands deep, are more than the library can read.
    return plainly(text)
  }
}
