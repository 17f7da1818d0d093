/** Python in colours, by the parser that the editor has. */
import { parser } from '@lezer/python'
import { classHighlighter, highlightCode } from '@lezer/highlight'

/** Longer code is shown as it is. */
const MOST = 60_000

export function python(code: string): DocumentFragment {
  const fragment = document.createDocumentFragment()
  if (code.length > MOST) {
    fragment.append(code)
    return fragment
  }
  highlightCode(
    code,
    parser.parse(code),
    classHighlighter,
    (text, classes) => {
      if (!classes) return fragment.append(text)
      const span = document.createElement('span')
      span.className = classes
      span.textContent = text
      return fragment.append(span)
    },
    () => fragment.append('\n'),
  )
  return fragment
}
