// Chat templates in the manner of well-known model families: shortened, with the traits that make them hard.

/** Plain ChatML with a default system prompt. */
export const qwen = `{% if messages[0].role != 'system' %}<|im_start|>system
You are a helpful assistant.<|im_end|>
{% endif %}{% for message in messages %}<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}`;

/** Trims contents, folds the system prompt into the first user message, writes BOS before every exchange. */
export const llama2 = `{% if messages[0].role == 'system' %}{% set system = '<<SYS>>\\n' + messages[0].content | trim + '\\n<</SYS>>\\n\\n' %}{% set rest = messages[1:] %}{% else %}{% set system = '' %}{% set rest = messages %}{% endif %}{% for message in rest %}{% if message.role == 'user' %}{{ bos_token + '[INST] ' + (system if loop.first else '') + message.content | trim + ' [/INST]' }}{% else %}{{ ' ' + message.content | trim + ' ' + eos_token }}{% endif %}{% endfor %}`;

/** Writes BOS once, trims contents, a header for every role. */
export const llama3 = `{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message.role }}<|end_header_id|>

{{ message.content | trim }}<|eot_id|>{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>

{% endif %}`;

/** Rewrites the past: the system prompt always stands before the last user message. */
export const mistral = `{% if messages[0].role == 'system' %}{% set system = messages[0].content %}{% set rest = messages[1:] %}{% else %}{% set rest = messages %}{% endif %}{{ bos_token }}{% for message in rest %}{% if message.role == 'user' %}[INST] {% if system is defined and loop.last %}{{ system + '\\n\\n' }}{% endif %}{{ message.content }}[/INST]{% else %} {{ message.content }}{{ eos_token }}{% endif %}{% endfor %}`;

/** Rewrites the past: the reasoning of earlier answers is dropped. */
export const reasoning = `{% for message in messages %}<|im_start|>{{ message.role }}
{{ message.content.split('</think>')[-1] if message.role == 'assistant' else message.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}`;
