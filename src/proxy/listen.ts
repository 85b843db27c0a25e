/** A server on its address. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { EspalierError, messageOf } from '../core/errors.ts';

/** `http://127.0.0.1:4123`, of a server that listens. */
export function originOf(server: Server, host: string): string {
  const { port } = server.address() as AddressInfo;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** Throws EspalierError('config') when the address cannot be listened on. */
export function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const why =
        cause.code === 'EADDRINUSE' ? 'the port is in use: choose another, or 0 for any free one' : messageOf(cause);
      reject(new EspalierError('config', `cannot listen on ${host}:${port}: ${why}`, { cause }));
    });
    server.listen(port, host, () => {
      server.removeAllListeners('error');
      resolve();
    });
  });
}
