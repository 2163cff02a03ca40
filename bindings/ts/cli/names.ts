import bs58 from 'bs58';
import type { Json } from './json.js';

/** The programs and accounts of a scenario by name, and by address. */
export class Names {
  readonly #addresses = new Map<string, string>();
  readonly #names = new Map<string, string>();

  add(name: string, address: string, json: Json): void {
    if (this.#addresses.has(name)) json.reject('has the name of a program; expected another name');
    const other = this.#names.get(address);
    if (other !== undefined) json.reject(`has the address of ${other}; expected another address`);
    this.#addresses.set(name, address);
    this.#names.set(address, name);
  }

  /** An address, or what has it. */
  resolve(json: Json): string {
    const text = json.string('a name or an address');
    const address = this.#addresses.get(text) ?? text;
    return isAddress(address) ? address : json.expected(`an address or one of ${[...this.#addresses.keys()].join(', ')}`);
  }

  /** The name of what has an address; without one, the address. */
  of(address: string): string {
    return this.#names.get(address) ?? address;
  }
}

export function parseAddress(json: Json): string {
  const address = json.string('an address');
  return isAddress(address) ? address : json.expected('an address: base58 of 32 bytes');
}

function isAddress(text: string): boolean {
  return text.length <= 44 && bs58.decodeUnsafe(text)?.length === 32;
}
