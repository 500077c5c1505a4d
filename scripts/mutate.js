// @ts-check
// Planting a fault: a source with one exact snippet replaced. Pure.

/**
 * @param {string} text
 * @param {string} snippet
 * @returns {number} how often it stands there
 */
export function occurrences(text, snippet) {
  return snippet === "" ? 0 : text.split(snippet).length - 1;
}

/**
 * @param {string} text the source
 * @param {{ file: string, find: string, replace: string }} fault
 * @returns {string} the source with the fault
 * @throws {Error} when what it replaces does not stand there exactly once: a fault that no longer fits would be
 *   one that is never planted
 */
export function plant(text, { file, find, replace }) {
  const times = occurrences(text, find);
  if (times !== 1) throw new Error(`what it replaces stands ${times} times in ${file}`);
  if (find === replace) throw new Error("it changes nothing");
  return text.replace(find, () => replace);
}
