// Role: reads the classes of fetch: URL, Headers, Request, Response.
// State: none. Must not know: bytes, paths, how a body is carried: it is a stream, and goes by reference.

import { Kind, REQUEST_DEFAULTS } from "./kinds.js";
import { Part, type Walker } from "./parts.js";

export function readUrl(walker: Walker, value: object): Part {
  return walker.remember(value, new Part(Kind.url, [walker.property(value, "href")]));
}

export function readHeaders(walker: Walker, value: object): Part {
  const part = walker.remember(value, new Part(Kind.headers, []));
  // Set-Cookie comes once for each cookie, and is appended as often.
  (value as Headers).forEach((item, name) => {
    part.parts.push(walker.child(name, { text: "" }), walker.child(item, name));
  });
  walker.charge(part.parts.length);
  return part;
}

export function readRequest(walker: Walker, value: object): Part {
  const request = value as Request;
  const part = walker.remember(value, new Part(Kind.request, []));
  const { parts } = part;
  parts.push(walker.property(request, "url"), walker.property(request, "method"));
  parts.push(walker.property(request, "headers"), readBody(walker, request));
  for (const [name, usual] of REQUEST_DEFAULTS) {
    const chosen = (request as unknown as Record<string, unknown>)[name];
    // What a runtime does not have is undefined; only a browser itself can navigate.
    if (chosen === undefined || chosen === usual || chosen === "navigate") continue;
    parts.push(name, walker.child(chosen, name));
  }
  walker.charge(parts.length);
  return part;
}

export function readResponse(walker: Walker, value: object): Part {
  const response = value as Response;
  if (response.status === 0)
    throw walker.refuse("an error response or an opaque one shows no content: send an Error");
  const part = walker.remember(value, new Part(Kind.response, []));
  part.parts.push(
    walker.property(response, "status"),
    walker.property(response, "statusText"),
    walker.property(response, "headers"),
    readBody(walker, response),
  );
  walker.charge(part.parts.length);
  return part;
}

/** The stream of a body, or null; sending it takes it. */
function readBody(walker: Walker, owner: Request | Response): unknown {
  if (owner.bodyUsed) throw walker.refuse("its body was read: send a clone made before");
  const body = owner.body as ReadableStream | null | undefined;
  if (body === undefined && owner instanceof Request && !/^(?:GET|HEAD)$/.test(owner.method))
    throw walker.refuse("this runtime does not show the body of a Request: send its bytes instead");
  return body == null ? null : walker.child(body, "body");
}
