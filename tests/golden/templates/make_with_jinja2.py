"""What the hub's own renderer, Jinja for Python, makes of the conversations in every template of this folder.

usage: make_with_jinja2.py
Writes rendered.json. The environment is set up as the transformers library does for apply_chat_template (white space of
blocks trimmed, tojson that escapes nothing, raise_exception, strftime_now, tools and documents None). The day is fixed.
Where a template refuses the system role or turns that do not alternate, or leaves the system prompt out, the conversation
is adapted as web/lib/chat_template.ts does, and "adapted" says how.
"""
import datetime
import json
import os

import jinja2
import jinja2.nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

HERE = os.path.dirname(os.path.abspath(__file__))
TODAY = datetime.datetime(2026, 1, 5, 12)
TOKENS = {
    "llama-3": ("<|begin_of_text|>", "<|eot_id|>"),
    "llama-3.1": ("<|begin_of_text|>", "<|eot_id|>"),
    "llama-3.1-nemotron": ("<|begin_of_text|>", "<|eot_id|>"),
    "llama-3.2": ("<|begin_of_text|>", "<|eot_id|>"),
    "gemma": ("<bos>", "<eos>"),
    "gemma-3": ("<bos>", "<eos>"),
    "gemma-3-parts": ("<bos>", "<eos>"),
    "deepseek-r1": ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"),
    "deepseek-v2": ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"),
    "olmo2": ("<|endoftext|>", "<|endoftext|>"),
}


class Generation(Extension):
    """What the library marks as generated: printed as it is."""

    tags = {"generation"}

    def parse(self, parser):
        lineno = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.Scope(body, lineno=lineno)


def refuse(message):
    raise jinja2.exceptions.TemplateError(message)


def compile_template(source):
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, Generation])
    env.filters["tojson"] = lambda x, indent=None: json.dumps(x, ensure_ascii=False, indent=indent)
    env.globals["raise_exception"] = refuse
    env.globals["strftime_now"] = TODAY.strftime
    return env.from_string(source)


def system_into_user(messages):
    if len(messages) < 2 or messages[0]["role"] != "system" or messages[1]["role"] != "user":
        return messages
    content = messages[0]["content"].strip() + "\n\n" + messages[1]["content"]
    return [{"role": "user", "content": content}] + messages[2:]


def alternating(messages):
    merged = []
    for message in messages:
        if merged and merged[-1]["role"] == message["role"]:
            content = merged[-1]["content"].rstrip() + "\n\n" + message["content"]
            merged[-1] = {"role": message["role"], "content": content}
        else:
            merged.append(message)
    return merged


def attempts(messages):
    yield "", messages
    yield "system prompt in the first message", system_into_user(messages)
    yield "messages joined", alternating(messages)
    yield "system prompt in the first message, messages joined", alternating(system_into_user(messages))


def render(template, messages, bos, eos):
    for adapted, attempt in attempts(messages):
        if adapted and attempt == messages:
            continue
        try:
            text = template.render(
                messages=attempt, tools=None, documents=None, add_generation_prompt=True, bos_token=bos, eos_token=eos
            )
        except jinja2.exceptions.TemplateError:
            continue
        words = [message["content"] for message in attempt if message["role"] == "system"]
        if all(word.replace("/no_think", "").strip() in text for word in words):
            return {"text": text, "adapted": adapted} if adapted else {"text": text}
    return {"refused": True}


def main():
    with open(os.path.join(HERE, "conversations.json"), encoding="utf-8") as file:
        conversations = json.load(file)
    rendered = {}
    for name in sorted(n[:-6] for n in os.listdir(HERE) if n.endswith(".jinja")):
        with open(os.path.join(HERE, name + ".jinja"), encoding="utf-8") as file:
            template = compile_template(file.read())
        bos, eos = TOKENS.get(name, ("<s>", "</s>"))
        results = {key: render(template, messages, bos, eos) for key, messages in conversations.items()}
        rendered[name] = {"bos": bos, "eos": eos, "conversations": results}
    with open(os.path.join(HERE, "rendered.json"), "w", encoding="utf-8") as file:
        json.dump({"engine": "jinja2 " + jinja2.__version__, "templates": rendered}, file, ensure_ascii=False, indent=1)
        file.write("\n")
    print(len(rendered), "templates")


if __name__ == "__main__":
    main()
