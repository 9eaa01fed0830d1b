"""Golden vectors for the default model's tokenizer, from the Python tokenizer that the model was trained with.

usage: make_with_kit.py KIT HELDOUT...
KIT is the folder of the training kit (tok.py, tokenizer.merges); HELDOUT are novels that the model was not trained on.
Writes kit.inp (the texts), kit.out (their ids as plain text) and kit.special.out (with special tokens recognised).
"""
import os
import sys

SEPARATOR = "\n__ggml_vocab_test__\n"
HERE = os.path.dirname(os.path.abspath(__file__))

HANDWRITTEN = [
    "Hello! My name is Robert. What is my name?",
    "don't we'll I've you're he'd it's I'm o'clock 'tis",
    "DON'T WE'LL I'VE",
    "  two spaces, then three   and a tab\tand a line break\n\n  and an indented line\n",
    " 1 22  333 4,444.5 a1b2 x=42;",
    "trailing spaces   ",
    "\n",
    "\r\n\r\n ",
    "naïve café Brontë Ångström façade",
    "(brackets) [square] {curly} <|not special|> -- !? ... ###",
    "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n",
    "<|im_start|><|im_start|><|endoftext|>a<|im_end|",
    "a" * 150,
    "=" * 90,
]


def in_domain(text):
    # The kit takes every character past ASCII for a letter, so only letters may be there.
    return all(c < "\x80" or c.isalpha() for c in text)


def passages(path):
    text = open(path, encoding="utf-8").read()
    step = len(text) // 8
    return [text[i * step : i * step + 500] for i in range(1, 8)]


def main(kit, heldout):
    sys.path.insert(0, kit)
    from tok import Tok

    tokenizer = Tok(os.path.join(kit, "tokenizer.merges"))
    texts = [t for t in HANDWRITTEN + [p for path in heldout for p in passages(path)] if in_domain(t)]
    with open(os.path.join(HERE, "kit.inp"), "w", encoding="utf-8", newline="") as file:
        file.write("".join(text + SEPARATOR for text in texts))
    for name, encode in (("kit.out", tokenizer.enc), ("kit.special.out", tokenizer.enc_special)):
        with open(os.path.join(HERE, name), "w") as file:
            file.write("".join("".join(f" {i}" for i in encode(text)) + "\n" for text in texts))
    print(len(texts), "texts")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
