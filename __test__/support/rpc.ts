/** An RPC node on this machine: answers and notifications as Agave writes them, over HTTP and WebSocket. What they are about, a test says. */

import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { onTestFinished } from 'vitest';

interface Request {
  id: number | string;
  method: string;
  params?: unknown[];
}

export interface Node {
  http: string;
  ws: string;
  /** Resolves when there are so many subscriptions. */
  subscribed(count: number): Promise<void>;
  /** Sends a notification, `result` as JSON text, to those who have subscribed by this method, with this first parameter if one is given. */
  notify(method: string, result: string, parameter?: string): void;
  /** Ends all connections, as a node does that goes away. */
  hangUp(): void;
}

/** Starts a node that answers calls over HTTP with what `answer` returns, as JSON text. */
export async function startNode(answer: (method: string, params: unknown[]) => string): Promise<Node> {
  const subscriptions: { id: number; method: string; parameter: unknown; socket: Duplex }[] = [];
  const sockets = new Set<Duplex>();
  let changed = () => {};

  const server = createServer(async (incoming, outgoing) => {
    const { id, method, params = [] } = JSON.parse(await textOf(incoming)) as Request;
    outgoing.setHeader('content-type', 'application/json');
    outgoing.end(`{"jsonrpc":"2.0","result":${answer(method, params)},"id":${JSON.stringify(id)}}`);
  });
  server.on('upgrade', (incoming: IncomingMessage, socket: Duplex) => {
    const key = createHash('sha1').update(`${incoming.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${key}\r\n\r\n`);
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    readFrames(socket, (text) => {
      const { id, method, params = [] } = JSON.parse(text) as Request;
      const isNew = method.endsWith('Subscribe');
      if (isNew)
        subscriptions.push({
          id: subscriptions.length + 1,
          method: method.replace('Subscribe', 'Notification'),
          parameter: params[0],
          socket,
        });
      writeFrame(socket, `{"jsonrpc":"2.0","result":${isNew ? subscriptions.length : true},"id":${JSON.stringify(id)}}`);
      changed();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const hangUp = () => sockets.forEach((socket) => socket.destroy());
  onTestFinished(() => (hangUp(), void server.close()));

  const { port } = server.address() as AddressInfo;
  return {
    http: `http://127.0.0.1:${port}`,
    ws: `ws://127.0.0.1:${port}`,
    async subscribed(count) {
      while (subscriptions.length < count) await new Promise<void>((resolve) => (changed = resolve));
    },
    notify(method, result, parameter) {
      for (const { id, socket, ...subscription } of subscriptions) {
        if (subscription.method !== method || (parameter !== undefined && subscription.parameter !== parameter)) continue;
        writeFrame(socket, `{"jsonrpc":"2.0","method":"${method}","params":{"result":${result},"subscription":${id}}}`);
      }
    },
    hangUp,
  };
}

async function textOf(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

function writeFrame(socket: Duplex, text: string): void {
  const data = Buffer.from(text);
  const head = data.length < 126 ? Buffer.of(0x81, data.length) : Buffer.of(0x81, 126, data.length >> 8, data.length & 255);
  socket.write(Buffer.concat([head, data]));
}

/** Reads what clients send: masked texts shorter than 64 KiB; other frames are passed over. */
function readFrames(socket: Duplex, use: (text: string) => void): void {
  let rest = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 6) {
      const short = rest[1]! & 127;
      const start = short === 126 ? 8 : 6;
      const end = start + (short === 126 ? rest.readUInt16BE(2) : short);
      if (rest.length < end) return;
      const mask = rest.subarray(start - 4, start);
      const text = rest.subarray(start, end).map((byte, index) => byte ^ mask[index % 4]!);
      if ((rest[0]! & 15) === 1) use(text.toString());
      rest = rest.subarray(end);
    }
  });
}
