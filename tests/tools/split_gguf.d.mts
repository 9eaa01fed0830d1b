export function splitGguf(file: Buffer, parts: number): Buffer[];
