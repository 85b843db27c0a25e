/** What a disk says when it takes nothing, and what a user can do about it. */
import { EspalierError, messageOf } from '../core/errors.ts';
import { errorCode } from './files.ts';

/** A file that may not grow is taken as a full disk: that is how a limit of the process looks. */
const full = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
const readOnly = new Set(['EROFS', 'EACCES', 'EPERM']);

/** The same disk may take more later, and has kept what it had. After any other failure nobody knows what it has. */
export function isPassing(cause: unknown): boolean {
  const code = errorCode(cause) ?? '';
  return full.has(code) || readOnly.has(code);
}

/** `cause`: what the file system threw. */
export function diskFailure(what: string, cause: unknown): EspalierError {
  const code = errorCode(cause) ?? '';
  const wayOut = full.has(code)
    ? 'the disk is full; free space, then resume the run; a server goes on by itself'
    : readOnly.has(code)
      ? 'the place is not writable; make it so, or choose another run directory'
      : 'nothing after the last acknowledged record is kept; resume the run when the disk works';
  return new EspalierError('store', `${what}: ${messageOf(cause)}: ${wayOut}`, { cause });
}
