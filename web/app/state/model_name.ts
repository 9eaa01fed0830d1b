// What a model is called when only its address or file is known.

/** The last part of an address or a file's name, without .gguf. */
export function nameOf(address: string): string {
  const path = address.replace(/[?#].*$/, '').replace(/\/+$/, '');
  return decodeSafely(path.slice(path.lastIndexOf('/') + 1)).replace(/\.gguf$/i, '') || address;
}

function decodeSafely(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
