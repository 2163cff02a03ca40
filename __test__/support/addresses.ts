import bs58 from 'bs58';

/** The address whose bytes are the name in ASCII, then zeros: readable in hex, and the same in every language. */
export function addressBytes(name: string): Uint8Array {
  const bytes = new Uint8Array(32);
  bytes.set(Buffer.from(name, 'ascii'));
  return bytes;
}

export function address(name: string): string {
  return bs58.encode(addressBytes(name));
}

/** The bytes of any address. */
export function addressBytesOf(text: string): Uint8Array {
  return bs58.decode(text);
}

export const SYSTEM_PROGRAM = bs58.encode(new Uint8Array(32));
