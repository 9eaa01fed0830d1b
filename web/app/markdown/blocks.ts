// Cuts markdown into its top-level blocks, so that what is finished need not be parsed again while more text arrives.
import { marked } from 'marked';

/**
 * The sources of the blocks, each with the empty lines after it: an item that follows them may still belong to the same
 * list. Joined, they are the text; where the parser tidied something up, the text is one block.
 */
export function splitBlocks(source: string): string[] {
  const blocks: string[] = [];
  for (const { raw } of marked.lexer(source, { gfm: true })) {
    if (raw.trim() === '' && blocks.length > 0) blocks[blocks.length - 1] += raw;
    else blocks.push(raw);
  }
  return blocks.join('') === source ? blocks : [source];
}
