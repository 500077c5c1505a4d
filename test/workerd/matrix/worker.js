// The Worker's half of the matrix in docs/workerd.md.

import { DurableObject, RpcTarget, WorkerEntrypoint } from "cloudflare:workers";
import { MAKERS, told } from "values.js";

class Doubler extends RpcTarget {
  double(n) {
    return 2 * n;
  }
}

function made(name, env) {
  return MAKERS[name]({
    target: () => new Doubler(),
    stub: () => env.REMOTE.doubler(),
    promise: () => env.REMOTE.five(),
    service: () => env.KEEPER.getByName("one"),
  });
}

const words = (error) => `${error.name}: ${error.message}`;

export class Values extends WorkerEntrypoint {
  tell(_name, value) {
    return told(value);
  }
  async make(name) {
    return name === "stubs" ? await made(name, this.env) : made(name, this.env);
  }
  doubler() {
    return new Doubler();
  }
  five() {
    return 5;
  }
  /** What the other side has told of a value of this Worker's, or the words that it was refused with. */
  async argument(name) {
    try {
      const value = name === "stubs" ? await made(name, this.env) : made(name, this.env);
      return { told: await this.env.REMOTE.tell(name, value) };
    } catch (error) {
      return { refused: words(error) };
    }
  }
  /** The same of a value of the other side's, by this Worker. */
  async result(name) {
    try {
      return { told: await told(await this.env.REMOTE.make(name)) };
    } catch (error) {
      return { refused: words(error) };
    }
  }
}

export class Keeper extends DurableObject {
  double(n) {
    return 2 * n;
  }
}

export default {};
