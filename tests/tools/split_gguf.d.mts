export function splitGguf(file: Buffer, parts: number): Buffer[];
export function withGap(original: Buffer, gap: number): { file: Buffer; before: number };
