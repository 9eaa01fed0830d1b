// Every word that the page says, in one place. Sentence case, no full stop after labels; numbers come formatted.
import type { ErrorCode, MemoryPreset } from '../lib';
import { bits, bytes, count, perSecond, ratio, seconds } from './format';

const nbsp = '\u00a0';

const presetBits: Record<MemoryPreset, string> = {
  exact: 'exact',
  quality: `4${nbsp}bits`,
  balanced: `3${nbsp}bits`,
  max: `2${nbsp}bits`,
};

const list = new Intl.ListFormat('en');
const listed = (numbers: number[]) => list.format(numbers.map(String));

export const text = {
  product: 'Strata',

  rail: {
    label: 'Conversations',
    toggle: 'Conversations, Ctrl B',
    newConversation: 'New conversation',
    newKeys: 'Shift Ctrl O',
    search: 'Search',
    searchKeys: 'Ctrl K',
    searchLabel: 'Search in all conversations',
    endSearch: 'End search',
    nothingFound: 'Nothing found',
    today: 'Today',
    earlier: 'Earlier',
    found: 'Found',
    untitled: 'New conversation',
    tokens: (n: number) => `${count(n)} tokens`,
    rename: 'Rename',
    renameOf: (title: string) => `Rename “${title}”`,
    delete: 'Delete',
    deleteOf: (title: string) => `Delete “${title}”`,
    newTitle: 'New title',
    settings: 'Settings',
    close: 'Close',
    offline: 'Works offline. Nothing is sent anywhere.',
    private: 'Nothing is sent anywhere.',
    notKept: 'This browser keeps nothing: conversations end with the tab.',
  },

  deleting: {
    title: (title: string) => `Delete “${title}”?`,
    consequence: 'Its text and its memory are removed from this device. This cannot be undone.',
    yes: 'Delete',
    no: 'Keep it',
  },

  start: {
    title: 'Nothing you say here is forgotten.',
    picture:
      'How a conversation is kept: the newest words are exact, older words take fewer bits per value, and none is missing.',
    older: (preset: MemoryPreset) => `Older: ${presetBits[preset]}`,
    now: 'Now: exact',
    lede: 'Older memory is compressed, never deleted. It runs in this tab; nothing is sent anywhere.',
    examplesTitle: 'Tell it something, talk on, then ask',
    examples: [
      'My name is Robert and I live in Lisbon.',
      'The spare key is under the blue pot.',
      'My dog is called Biscuit. Please remember that.',
    ],
    proof: 'See it beside a memory that deletes.',
    honest:
      'The included model is tiny (5.8 million parameters): it chats in simple English and remembers what you tell it, but knows little of the world.',
  },

  model: {
    title: 'Model',
    included: 'Pocket Chat 5.8M',
    choose: (name: string) => `Model: ${name}. Choose another`,
    none: 'No model',
    inUse: 'In use',
    elsewhere: 'Your own',
    hint: 'Models in the GGUF format (.gguf). A file stays on this device; drop it anywhere in this window.',
    openFile: 'Open a .gguf file',
    urlLabel: 'Or paste the address of a .gguf file',
    urlPlaceholder: 'https://…/model.gguf',
    openUrl: 'Open',
    useIncluded: (name: string) => `Use ${name}`,
    includedFacts: 'Included · works offline · MIT licence',
    opening: (name: string) => `Opening ${name}`,
    downloaded: (loaded: number, total: number | undefined) =>
      total === undefined ? `${bytes(loaded)} so far` : `${bytes(loaded)} of ${bytes(total)}`,
    preparing: 'Preparing',
    cancel: 'Cancel',
    factNames: {
      architecture: 'Architecture',
      parameters: 'Parameters',
      weights: 'Weights',
      trained: 'Trained length',
      template: 'Chat template',
      engine: 'Engine',
    },
    shape: (architecture: string, layers: number, heads: number, size: number) =>
      `${architecture}: ${layers} layers, ${heads}${nbsp}×${nbsp}${size} kept of each token`,
    weights: (types: string, size: number) => `${bytes(size)} (tensors: ${types})`,
    trained: (n: number) => `${count(n)} tokens`,
    templateFile: 'from the file',
    templateFallback: (name: string) => `none in the file: ${name} is used instead`,
    engine: (simd: string, threads: number) => `${simd}, ${threads === 1 ? '1 thread' : `${threads} threads`}`,
    fallbackNote: (name: string) => `This file has no chat template; ${name} is used. Answers may suffer.`,
    dropTitle: 'Drop to open',
    dropHint: 'The file stays on this device.',
  },

  chat: {
    label: 'Conversation',
    message: 'Message',
    placeholder: 'Say something. It will be kept.',
    send: 'Send',
    stop: 'Stop',
    stopKey: 'Esc',
    editing: 'Editing your last message: its answer will be replaced',
    cancelEdit: 'Cancel',
    newest: 'Newest',
    you: (n: number) => `You, turn ${n}`,
    answer: (n: number) => `Answer, turn ${n}`,
    actions: 'Actions',
    copy: 'Copy',
    copied: 'Copied',
    copyFailed: 'Not copied',
    redo: 'Redo',
    goOn: 'Continue',
    edit: 'Edit',
    code: 'Code',
    codeIn: (language: string) => `Code, ${language}`,
    table: 'Table',
    speed: (firstTokenMs: number, tokensPerSecond: number) =>
      `First word ${seconds(firstTokenMs)}, then ${perSecond(tokensPerSecond)}${nbsp}tokens/s`,
    stopped: 'Stopped',
    interrupted: 'Interrupted: the tab or the engine went away',
    atLimit: 'Stopped at the longest answer set in Settings',
    budgetFull: 'Paused: the memory budget is full',
    silent: 'The model ended its answer without a word.',
    unanswered: 'Not answered yet.',
    answerNow: 'Answer now',
    waitingForModel: 'Waiting for the model',
    reading: (done: number, total: number) => `Reading ${count(done)} of ${count(total)} tokens`,
    rereading: (done: number, total: number) => `Re-reading ${count(done)} of ${count(total)} tokens`,
    readingLabel: 'Reading',
    left: (ms: number) => `about ${count(Math.max(1, Math.round(ms / 1000)))}${nbsp}s left`,
  },

  announce: {
    started: 'Answer started',
    writing: 'Still writing',
    finished: (words: number) => `Answer finished, ${words === 1 ? '1 word' : `${count(words)} words`}`,
    stopped: 'Stopped',
    reading: (total: number) => `Reading ${count(total)} tokens`,
    rereading: (total: number) => `Re-reading ${count(total)} tokens`,
  },

  stats: {
    reading: (n: number) => `${perSecond(n)}${nbsp}tokens/s reading`,
    speed: (n: number) => `${perSecond(n)}${nbsp}tokens/s`,
    memory: (used: number) => `memory ${bytes(used)}`,
    tokens: (n: number) => `${count(n)}${nbsp}tokens`,
    readyOffline: 'ready offline',
    restored: (tokens: number, ms: number) => `${count(tokens)}${nbsp}tokens restored in ${seconds(ms)}`,
    elsewhere: 'Another tab has this conversation too, and saves it. What you say here goes on in a copy.',
    update: 'A new version is here.',
    reload: 'Reload',
    otherTab: 'Close the other tabs of Strata first.',
  },

  tier: {
    level: (n: number) => (n === 32 ? 'Exact' : n === 16 ? 'FP16' : `${n}-bit`),
    mixed: (keys: number, values: number) => `${keys}-bit keys, ${values}-bit values`,
    mark: (n: number) => (n === 32 ? 'exact' : n === 16 ? 'FP16' : `${n}-bit`),
    mixedMark: (keys: number, values: number) => `${keys}/${values}-bit`,
    sinks: 'Start',
  },

  strip: {
    label: 'Memory strip',
    slider: 'Position in this conversation',
    now: 'now',
    open: 'Memory',
    bar: (used: number, tokens: number) => `Memory, ${bytes(used)} for ${count(tokens)} tokens. Open`,
    empty: 'Nothing in memory yet',
    turn: (n: number) => `turn ${n}`,
    tokens: (first: number, last: number, size: number) => `tokens ${count(first)} to ${count(last)} · ${bytes(size)}`,
    value: (tier: string, turn: number, first: number, last: number, size: number) =>
      `${tier}, turn ${turn}, tokens ${count(first)} to ${count(last)}, ${bytes(size)}`,
    waiting: 'Waiting to be read',
    waitingTokens: (first: number, last: number) => `tokens ${count(first)} to ${count(last)}`,
  },

  memory: {
    title: 'Memory',
    close: 'Close',
    details: 'Memory details',
    figure: (tokens: number) => `for ${tokens === 1 ? '1 token' : `${count(tokens)} tokens`}.`,
    saves: (fp16: number, fp32: number, timesFp16: number, timesFp32: number) =>
      `Plain FP16 would need ${bytes(fp16)} and FP32 ${bytes(fp32)}: ${ratio(timesFp16)} and ${ratio(timesFp32)} times as much.`,
    costs: (fp16: number, fp32: number) =>
      `Plain FP16 would need ${bytes(fp16)} and FP32 ${bytes(fp32)}. Most of so short a conversation is kept exact; compression pays as it grows.`,
    none: 'Nothing is in memory yet.',
    plotLabel: (now: number, fp16: number) =>
      `Bytes in memory over the conversation. It now takes ${bytes(now)}; plain FP16 would take ${bytes(fp16)}. The table below has the numbers.`,
    plotCaption: 'Bytes in memory as the conversation grew',
    plotReadout: (tokens: number, used: number, fp16: number) =>
      `${count(tokens)} tokens in ${bytes(used)}; plain FP16 ${bytes(fp16)}`,
    plotFailed: 'The plot could not be loaded. The table below has the numbers.',
    plain: 'Plain FP16',
    plain32: 'Plain FP32',
    thisChat: 'This chat',
    table: 'Memory by tier',
    tier: 'Tier',
    tokens: 'Tokens',
    bits: 'Bits',
    bytes: 'Bytes',
    kept: 'All kept',
    bitPair: (keys: number, values: number) => (keys === values ? bits(keys) : `${bits(keys)} / ${bits(values)}`),
    keptForTurn: 'To take back the last turn',
    spare: 'Spare',
    aside: 'Kept to take back the last turn, and spare',
    preset: 'Older memory',
    presets: { exact: 'Exact', quality: 'Quality', balanced: 'Balanced', max: 'Smallest' } satisfies Record<
      MemoryPreset,
      string
    >,
    perToken: (size: number) => `${bytes(size)} a token`,
    presetMeaning: (preset: MemoryPreset, size: number, exact: number) =>
      preset === 'exact'
        ? `Nothing is compressed: ${bytes(size)} for each token.`
        : `${presetBits[preset]} for each older value: ${bytes(size)} a token, where exact is ${bytes(exact)}.`,
    guard: {
      checking: 'Checking how this model bears compression',
      holds: (preset: MemoryPreset) => `All layers of this model hold well at ${presetBits[preset]}.`,
      guarded: (layers: number[], preset: MemoryPreset) =>
        `${layers.length === 1 ? 'Layer' : 'Layers'} ${listed(layers)} ${layers.length === 1 ? 'keeps' : 'keep'} 8-bit keys: ${presetBits[preset]} would not hold them.`,
      unsearched: (preset: MemoryPreset) =>
        `All layers keep 8-bit keys: some do not hold at ${presetBits[preset]}, and finding out which would take too long here.`,
      tooSlow: 'Whether this model bears compression was not checked: it would take too long here.',
    },
    budget: 'Memory may use',
    noLimit: 'No limit',
    budgetValue: (size: number, all: number) => `${bytes(size)}, room for about ${count(all)} tokens`,
    room: (sharp: number, all: number) =>
      sharp >= all
        ? `Room for about ${count(all)} tokens.`
        : `About ${count(sharp)} tokens as chosen above, ${count(all)} in all: the oldest become coarser first.`,
    roomWithoutLimit: 'As much as this tab can hold.',
    needed: (size: number) => `This conversation needs at least ${bytes(size)}; that is the budget now.`,
    oneWay: 'Less is coarser at once. More makes nothing sharper.',
    coarser: 'Some of this conversation is coarser than chosen.',
    sharpen: 'Read it again',
    trained: (n: number) =>
      `This model was trained on ${count(n)} tokens at once. Beyond that it still remembers, but less surely.`,
  },

  remember: {
    title: 'Do you still remember?',
    lede: (name: string) =>
      `One fact, then three pages about something else, then the question. Both sides run ${name} on the same words, and always take the likeliest word. Only the memory differs.`,
    nameLabel: 'What is the dog called?',
    nameHint: 'A small model can miss a fact that is still in its memory. Whatever it answers is shown.',
    run: 'Run again',
    running: 'Running…',
    // As the included model was taught: with a plain apostrophe.
    fact: (name: string) => `My dog's name is ${name}.`,
    noted: 'I will remember that.',
    page: (words: string) => `Read this:\n${words}`,
    pageRead: 'Thank you, I have read it.',
    question: "What is my dog's name?",
    pages: 'Three pages about something else',
    first: 'First, you',
    between: 'Then',
    last: 'At last, you',
    answer: 'Answer',
    lanes: {
      keeps: { title: 'Strata', manner: 'Older memory is compressed' },
      deletes: { title: 'Sliding window', manner: 'Older memory is deleted' },
    },
    factMark: 'The fact',
    questionMark: 'The question',
    factState: { keeps: 'compressed', deletes: 'deleted' },
    questionState: { keeps: 'exact', deletes: 'FP16' },
    picture: (kept: number, all: number) => `${count(kept)} of ${count(all)} tokens are in memory.`,
    waiting: 'Waiting',
    reading: (done: number, total: number) => `Reading ${count(done)} of ${count(total)} tokens`,
    remembered: 'Remembered',
    forgotten: 'Forgotten',
    kept: (kept: number, all: number, size: number) =>
      `${kept === all ? 'All' : `${count(kept)} of`} ${count(all)} tokens, ${bytes(size)}`,
    plain: (tokens: number, size: number) =>
      `A plain FP16 memory of all ${count(tokens)} tokens would take ${bytes(size)}.`,
    failed: (why: string) => `The demonstration could not run: ${why}`,
  },

  settings: {
    title: 'Settings',
    done: 'Done',
    appearance: 'Appearance',
    theme: 'Theme',
    themes: { system: 'System', light: 'Light', dark: 'Dark' },
    conversation: 'Conversation',
    systemPrompt: 'System prompt',
    systemPromptHint: 'Read before everything else, here and in new conversations. A change re-reads the conversation.',
    model: 'Model',
    chooseModel: 'Choose…',
    answers: 'Answers',
    sampling: {
      temperature: ['Temperature', '0 always takes the likeliest word'],
      topP: ['Top-p', '1 is off'],
      topK: ['Top-k', '0 is off'],
      minP: ['Min-p', '0 is off'],
      repeatPenalty: ['Repetition penalty', '1 is off; more makes it forget what it should repeat'],
      maxTokens: ['Longest answer', 'in tokens'],
    },
    seed: 'Seed',
    seedHint: 'Empty: another one each time',
    reset: 'Restore the defaults',
  },

  fault: {
    titles: {
      not_gguf: 'This file is not a model that Strata can read.',
      corrupt_file: 'This model file is damaged.',
      unsupported_arch: 'This kind of model is not supported yet.',
      unsupported_type: 'This model stores its weights in a way that is not supported yet.',
      unsupported_tokenizer: 'This model splits text in a way that is not supported yet.',
      out_of_memory: 'There is not enough memory in this tab.',
      budget_full: 'The memory budget is full.',
      invalid_argument: 'That was not possible.',
      not_found: 'There is no model at this address.',
      server: 'The server did not deliver the model.',
      network: 'The model could not be downloaded.',
      hash_mismatch: 'The model did not arrive intact.',
      quota: 'There is not enough room on this device.',
      busy: 'Another tab has it.',
      aborted: 'Stopped.',
      template: 'The chat template of this model cannot be used.',
      worker_died: 'The engine stopped.',
      not_loaded: 'No model is open.',
      internal: 'Something went wrong in Strata.',
    } satisfies Record<ErrorCode, string>,
    stillHere: (name: string) => `${name} is still here, and so is your conversation.`,
    kept: 'Your conversation is kept.',
    restart: 'Start it again',
    tryAgain: 'Try again',
    useIncluded: (name: string) => `Use ${name}`,
    anotherFile: 'Choose another file',
    budgetFull: (needed: number) => `Nothing is forgotten. The next words need ${bytes(needed)} in all.`,
    raise: (size: number) => `Raise it to ${bytes(size)} and go on`,
    elsewhere: {
      title: 'This conversation is open in another tab.',
      cause: 'Close it there, then delete it here.',
    },
    understood: 'OK',
    notSaved: 'This conversation could not be saved.',
    saveAgain: 'Save again',
  },
};
