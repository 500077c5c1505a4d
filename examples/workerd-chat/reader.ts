// What a browser's EventSource does: reads a stream of events, and connects again behind the last one.

interface Said {
  readonly name: string;
  readonly text: string;
}

export class Reader {
  /** What was said, as it was read. */
  readonly texts: string[] = [];
  private readonly url: string;
  private readonly stop = new AbortController();
  private readonly done: Promise<void>;
  private last = "0";
  private heard = (): void => {};

  constructor(url: string) {
    this.url = url;
    this.done = this.run();
  }

  /** Resolves when so many messages were read. */
  async until(count: number): Promise<void> {
    while (this.texts.length < count) await new Promise<void>((resolve) => (this.heard = resolve));
  }

  async close(): Promise<void> {
    this.stop.abort();
    await this.done;
  }

  private async run(): Promise<void> {
    const { signal } = this.stop;
    while (!signal.aborted) {
      try {
        const response = await fetch(this.url, { headers: { "last-event-id": this.last }, signal });
        let text = "";
        for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
          const events = (text + chunk).split("\n\n");
          text = events.pop()!;
          for (const event of events) this.read(event);
        }
      } catch {
        // It was cut off, or nobody is there: once more.
      }
      if (!signal.aborted) await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  private read(event: string): void {
    const [, id, data] = /^id: (\d+)\ndata: (.*)$/.exec(event)!;
    const { name, text } = JSON.parse(data!) as Said;
    this.last = id!;
    this.texts.push(`${name}: ${text}`);
    this.heard();
  }
}
