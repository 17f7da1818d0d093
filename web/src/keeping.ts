/** What the browser keeps for this page. Where it was told to keep nothing it throws as soon as its storage is named, or when
 * that is full: then it is remembered until the page is left. */

type Where = 'localStorage' | 'sessionStorage'

export function remembered(where: Where, name: string): string | null {
  try {
    return window[where].getItem(name)
  } catch {
    return null
  }
}

/** Nothing is kept of what is null. */
export function remember(where: Where, name: string, value: string | null): void {
  try {
    if (value === null) window[where].removeItem(name)
    else window[where].setItem(name, value)
  } catch {
    // As said above.
  }
}
