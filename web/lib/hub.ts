// What is known of an address: which files make up the model behind it, and what the Hugging Face hub says about them.
import { StrataError } from './types';

const hub = 'https://huggingface.co';

/** A file of a model as the hub lists it. */
export interface HubFile {
  path: string; // in its repository
  url: string;
  bytes: number;
  sha256: string | undefined;
}
/** A model of a repository: one file, or the parts of a split one. */
export interface HubModel {
  name: string; // the file's, or the first part's
  url: string;
  bytes: number; // of all its parts
  parts: number;
}

const splitName = /-(\d{5})-of-(\d{5})\.gguf$/;

/** An address as it can be downloaded: a hub page of a file becomes the file. */
export function fileAddress(url: string): string {
  return url.replace(/^(https:\/\/(?:huggingface\.co|hf\.co)\/[^/]+\/[^/]+)\/blob\//, '$1/resolve/');
}

/** All files of a model, in order: one, or every part when the address is that of the first part of a split model. */
export function filesOfModel(url: string): string[] {
  const [path, query] = url.split('?', 2) as [string, string | undefined];
  const match = splitName.exec(path);
  if (match?.[1] !== '00001') return [url];
  const stem = path.slice(0, match.index);
  const parts = Math.min(Number(match[2]), 1000);
  return Array.from({ length: parts }, (_, i) => {
    const name = `${stem}-${String(i + 1).padStart(5, '0')}-of-${match[2]}.gguf`;
    return query === undefined ? name : `${name}?${query}`;
  });
}

/** `owner/name` out of a repository's address or name; undefined for anything else. */
export function repositoryOf(text: string): string | undefined {
  const path = text.trim().replace(/^(https?:\/\/)?(www\.)?(huggingface\.co|hf\.co)\//, '');
  const match = /^([\w.-]+\/[\w.-]+?)(\/(tree\/main)?)?$/.exec(path);
  return match && !/\.gguf$/i.test(path) && !/^https?:/.test(path) ? match[1] : undefined;
}

/** The GGUF models of a repository, smallest first. */
export async function modelsOfRepository(repository: string, signal?: AbortSignal): Promise<HubModel[]> {
  const files = await list(`${hub}/api/models/${repository}/tree/main?recursive=true`, repository, signal);
  const byUrl = new Map(files.map((file) => [file.url, file]));
  const models = files
    .filter(({ path }) => /\.gguf$/i.test(path) && !/(^|\/)mmproj/i.test(path))
    .filter(({ path }) => (splitName.exec(path)?.[1] ?? '00001') === '00001')
    .map(({ path, url }): HubModel => {
      const parts = filesOfModel(url);
      const bytes = parts.reduce((sum, part) => sum + (byUrl.get(part)?.bytes ?? 0), 0);
      return { name: path, url, bytes, parts: parts.length };
    });
  return models.sort((a, b) => a.bytes - b.bytes);
}

/** What the hub says of these files, by address. Empty for other hosts, and when the hub does not answer. */
export async function hubFacts(urls: string[], signal?: AbortSignal): Promise<Map<string, HubFile>> {
  const match = /^https:\/\/huggingface\.co\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/([^?]+)/.exec(urls[0] ?? '');
  if (!match) return new Map();
  const [, repository, revision, path] = match as unknown as [string, string, string, string];
  const folder = path.includes('/') ? `/${path.slice(0, path.lastIndexOf('/'))}` : '';
  try {
    const files = await list(`${hub}/api/models/${repository}/tree/${revision}${folder}`, repository, signal, revision);
    return new Map(files.map((file) => [file.url, file]));
  } catch {
    if (signal?.aborted) throw new StrataError('aborted', 'Loading was stopped.');
    return new Map(); // the download itself will tell what is wrong
  }
}

async function list(url: string, repository: string, signal?: AbortSignal, revision = 'main'): Promise<HubFile[]> {
  let response: Response;
  try {
    response = await fetch(url, { signal: signal ?? null });
  } catch {
    throw new StrataError('network', 'The Hugging Face hub could not be reached. Is this device offline?');
  }
  if (!response.ok)
    throw new StrataError(
      response.status < 500 ? 'not_found' : 'server',
      `The Hugging Face hub answered ${response.status} for ${repository}. Is the name right, and does it need no login?`,
    );
  const entries: unknown = await response.json().catch(() => []);
  return (Array.isArray(entries) ? entries : []).flatMap((entry): HubFile[] => {
    if (entry?.type !== 'file' || typeof entry.path !== 'string') return [];
    const sha256 = isSha256(entry.lfs?.oid) ? (entry.lfs.oid as string) : undefined;
    const bytes = Number(entry.lfs?.size ?? entry.size ?? 0);
    return [{ path: entry.path, url: `${hub}/${repository}/resolve/${revision}/${entry.path}`, bytes, sha256 }];
  });
}

export const isSha256 = (text: unknown): text is string => typeof text === 'string' && /^[0-9a-f]{64}$/.test(text);
