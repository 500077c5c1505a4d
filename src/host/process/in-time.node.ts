// Role: waiting with a limit. State: none. Must not know: what is waited for.

/** Waits for `promise`, whose outcome is nobody's concern, or for `ms` milliseconds. */
export async function inTime(promise: Promise<unknown>, ms: number): Promise<void> {
  let stop!: () => void;
  const late = new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms);
    stop = () => clearTimeout(timer);
  });
  await Promise.race([promise.catch(() => {}), late]);
  stop();
}
