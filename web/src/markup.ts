/** Markdown and HTML that somebody else wrote, as nodes in which nothing runs and nothing is loaded. */
import createDOMPurify, { type Config } from 'dompurify'
import { Marked } from 'marked'

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

const TEXTS = new Set(['P', 'LI', 'H1', 'H2', 'H3', 'H4', 'H5', 'H6', 'TD', 'TH', 'BLOCKQUOTE', 'DD', 'DT', 'CAPTION', 'FIGCAPTION', 'SUMMARY', 'UL', 'OL'])

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

const marked = new Marked({ gfm: true, breaks: false })

/** Tables scroll in a frame of their own, which the keyboard reaches; headings leave the page's own order alone. */
function framed(fragment: DocumentFragment): DocumentFragment {
  for (const table of fragment.querySelectorAll('table')) {
    const frame = document.createElement('div')
    frame.className = 'table'
    frame.tabIndex = 0
    frame.setAttribute('role', 'region')
    frame.setAttribute('aria-label', table.caption?.textContent?.slice(0, 100) || 'Table')
    table.replaceWith(frame)
    frame.append(table)
    for (const cell of table.querySelectorAll('thead th:not([scope])')) cell.setAttribute('scope', 'col')
    // An empty head names nothing, and is no head.
    for (const cell of table.querySelectorAll('th')) {
      if (cell.textContent?.trim()) continue
      const plain = document.createElement('td')
      for (const { name, value } of cell.attributes) if (name !== 'scope') plain.setAttribute(name, value)
      cell.replaceWith(plain)
    }
  }
  for (const heading of fragment.querySelectorAll('h1, h2, h3, h4, h5, h6')) {
    const plain = document.createElement('p')
    plain.className = `heading level-${heading.tagName[1]}`
    plain.setAttribute('role', 'heading')
    plain.setAttribute('aria-level', String(Math.min(6, Number(heading.tagName[1]) + 2)))
    plain.dir = 'auto'
    plain.append(...heading.childNodes)
    heading.replaceWith(plain)
  }
  for (const pre of fragment.querySelectorAll('pre')) {
    pre.tabIndex = 0
    pre.setAttribute('role', 'region')
    pre.setAttribute('aria-label', 'Code')
  }
  return fragment
}

export function fromHtml(html: string): DocumentFragment {
  return framed(purify.sanitize(html, RULES) as unknown as DocumentFragment)
}

export function fromMarkdown(text: string): DocumentFragment {
  return fromHtml(marked.parse(text, { async: false }))
}
