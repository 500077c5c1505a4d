// Code in documents: finds the fences of Markdown files and says what is to be done with each. Knows nothing of how
// they are checked or run.

/** One fence of a document. */
export interface Fence {
  /** The document, relative to the project. */
  readonly doc: string;
  /** Of the fence's first line of code, 1-based. */
  readonly line: number;
  /** The word after the backticks. */
  readonly language: string;
  readonly text: string;
  /**
   * The name it has beside the other fences of its document, so that they can import it: from a first line
   * `// file: NAME` (`# file: NAME` in a schema), or made of its line.
   */
  readonly file: string;
  /** Why it is type-checked and not run: from a first line `// check only: REASON`. */
  readonly checkOnly: string | null;
}

const DIRECTIVE = /^\s*(?:\/\/|#)\s*(file|check only):\s*(\S.*?)\s*$/;

/**
 * @param doc the document's name
 * @param markdown its text
 * @returns its fences in order; those inside a list are found too, by their indentation
 * @throws Error for a fence that is not closed
 */
export function fencesOf(doc: string, markdown: string): Fence[] {
  const found: Fence[] = [];
  const lines = markdown.split("\n");
  for (let at = 0; at < lines.length; at++) {
    const open = /^(\s*)(`{3,})\s*([\w-]*)/.exec(lines[at]);
    if (open === null) continue;
    const [, indent, ticks, language] = open as unknown as [string, string, string, string];
    const start = at + 1;
    at = lines.findIndex((line, index) => index >= start && line.trim() === ticks);
    if (at < 0) throw new Error(`${doc}:${start}: a fence that is not closed`);
    const body = lines
      .slice(start, at)
      .map((l) => (l.startsWith(indent) ? l.slice(indent.length) : l));
    let file = `line-${start + 1}.${language}`;
    let checkOnly: string | null = null;
    for (const line of body) {
      const directive = DIRECTIVE.exec(line);
      if (directive === null) break;
      if (directive[1] === "file") file = directive[2]!;
      else checkOnly = directive[2]!;
    }
    found.push({ doc, line: start + 1, language, text: `${body.join("\n")}\n`, file, checkOnly });
  }
  return found;
}

/** What a shell fence calls upon. */
export interface Called {
  /** Scripts of package.json. */
  readonly scripts: string[];
  /** Files of the project. */
  readonly files: string[];
}

/**
 * @param text a shell fence
 * @returns the npm scripts it runs, and the project's files it names as programs
 */
export function calledBy(text: string): Called {
  const scripts: string[] = [];
  const files: string[] = [];
  for (const line of text.split("\n")) {
    const code = line.replace(/^\s*\$ /, "").replace(/(^|\s)#.*$/, "");
    for (const match of code.matchAll(
      /\bnpm (?:run(?:-script)? (?:-s )?([\w:-]+)|(test|start)\b)/g,
    )) {
      scripts.push(match[1] ?? match[2]);
    }
    for (const [, file] of code.matchAll(
      /(?:^|&& |; )(?:node |bash )?(\.?[\w-]+(?:\/[\w.-]+)+)/g,
    )) {
      files.push(file);
    }
  }
  return { scripts: [...new Set(scripts)], files: [...new Set(files)] };
}
