// `strata chat`: a conversation at the terminal. The history is append-only: a turn adds its own tokens and nothing
// that was read before is read again.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>

#include <unistd.h>

#include "engine/cli/args.h"
#include "engine/cli/chat_template.h"
#include "engine/cli/commands.h"
#include "engine/cli/conversation.h"
#include "engine/cli/interrupt.h"
#include "engine/cli/model_file.h"
#include "engine/cli/progress.h"
#include "engine/cli/report.h"

namespace strata::cli {
namespace {

constexpr const char* kExamples = R"(
Examples:
  strata chat MODEL
  strata chat MODEL --kv max --kv-budget 8MiB                 with a memory that fades within 8 MiB
  printf 'hi\nwho are you?\n' | strata chat MODEL --temp 0    one message a line

In the conversation: /help, /stats, /new, /exit. Ctrl-C stops an answer; a second one, at the prompt, leaves, as does
Ctrl-D.)";

constexpr const char* kHelp = R"(/stats  what memory holds and what it takes
/new    forget everything and begin again
/exit   leave, as do Ctrl-D and a second Ctrl-C at the prompt
Ctrl-C  stop the answer; what was said so far stays in the conversation)";

struct ChatArguments {
    EngineArguments engine;
    GenerationOptions generation;
    std::string system;
};

// The next line without its end; nothing at the end of input or after Ctrl-C.
std::optional<std::string> read_line() {
    if (is_terminal(STDIN_FILENO)) {
        std::fputs("> ", stderr);
        std::fflush(stderr);
    }
    if (!wait_for_input()) return std::nullopt;
    char* buffer = nullptr;
    size_t capacity = 0;
    const ssize_t length = getline(&buffer, &capacity, stdin);
    std::optional<std::string> line;
    if (length >= 0) line.emplace(buffer, size_t(length));
    std::free(buffer);
    while (line && !line->empty() && (line->back() == '\n' || line->back() == '\r')) line->pop_back();
    return line;
}

class Chat {
public:
    Chat(const Model& model, const ChatArguments& arguments) : model_(model), arguments_(arguments) {}

    Status begin() {
        auto session = Session::open(model_, arguments_.engine.session());
        if (!session) return session.error();
        session_ = std::move(*session);
        return Done{};
    }

    void choose_format() {
        const ChosenFormat chosen = choose_chat_format(model_);
        report_fallback(chosen);
        format_ = chosen.format;
        obey_reasoning_switches(format_, arguments_.system);
        if (!format_.stop.empty()) arguments_.generation.stop.push_back(format_.stop);
    }

    Status answer(const std::string& message) {
        const bool first = session_->position() == 0;
        const auto tokens = encode_turn(format_, model_.tokenizer(), {first, arguments_.system, message});
        warn_at_trained_length(int64_t(tokens.size()));
        timing_ = {};
        const auto read = read_tokens(*session_, tokens, timing_);
        if (!read) return read.error();
        if (*read == Outcome::interrupted) {
            clear_interrupt();  // it has had its effect
            note("(stopped before the message was read to its end; it is taken back)");
            return Done{};
        }
        const auto written = write_answer(*session_, arguments_.generation, true, timing_);
        if (!written) return written.error();
        std::fputs("\n", stdout);
        std::fflush(stdout);
        if (*written == StopReason::none) {
            clear_interrupt();
            note("(stopped)");
        }
        if (*written == StopReason::max_tokens) note("(cut after --max-tokens)");
        ++arguments_.generation.sampler.seed;  // another answer to the same words, still the same in every run
        return Done{};
    }

    void print_stats() const {
        const KvStats stats = session_->stats();
        note(stats.policy + "\n" + kv_text(stats) + "  last turn: " + timing_.text());
    }

private:
    void warn_at_trained_length(int64_t n_new) {
        const int64_t trained = model_.config().trained_length, before = session_->position();
        if (trained > 0 && before <= trained && before + n_new > trained)
            warn("the conversation is now longer than the " + std::to_string(trained) +
                 " tokens that this model was trained on; answers may get worse");
    }

    const Model& model_;
    ChatArguments arguments_;
    ChatFormat format_;
    std::unique_ptr<Session> session_;
    Timing timing_;
};

// A command other than /exit, or a message.
Status obey(Chat& chat, const std::string& line) {
    if (line == "/help") {
        note(kHelp);
    } else if (line == "/stats") {
        chat.print_stats();
    } else if (line == "/new") {
        if (const Status begun = chat.begin(); !begun) return begun.error();
        note("(a new conversation)");
    } else if (line[0] == '/' && line.find(' ') == std::string::npos) {
        note("there is no command " + line + "; /help lists them");
    } else {
        return chat.answer(line);
    }
    return Done{};
}

// Until the person leaves. Something that fails is said, and the conversation goes on.
void converse(Chat& chat) {
    const InterruptScope scope;
    std::setvbuf(stdin, nullptr, _IONBF, 0);  // what getline has not taken must be there to wait for
    for (bool warned = false;;) {
        const auto line = read_line();
        if (!line) {
            if (!interrupted() || warned) return;
            clear_interrupt();
            warned = true;
            note("\n(Ctrl-C once more, Ctrl-D or /exit leaves)");
            continue;
        }
        warned = false;
        if (*line == "/exit" || *line == "/quit") return;
        if (line->find_first_not_of(" \t") == std::string::npos) continue;
        if (const Status obeyed = obey(chat, *line); !obeyed) fail(obeyed.error());
    }
}

int run(const ChatArguments& arguments) {
    const auto file = load_model(arguments.engine.model);
    if (!file) return fail(file.error());
    Chat chat(*file->model, arguments);
    if (const Status begun = chat.begin(); !begun) return fail(begun.error());
    chat.choose_format();
    const bool terminal = is_terminal(STDIN_FILENO);
    if (terminal) note(file_name(arguments.engine.model) + " listens. /help lists the commands.");

    converse(chat);
    if (terminal) note("");
    return kExitOk;
}

}  // namespace

Command add_chat(CLI::App& app) {
    auto arguments = std::make_shared<ChatArguments>();
    add_model(app, arguments->engine.model);
    app.add_option("--system", arguments->system, "System prompt");
    add_sampling(app, arguments->generation);
    arguments->engine.kv.preset = KvPreset::quality;  // as in the page
    add_kv(app, arguments->engine.kv);
    add_threads(app, arguments->engine.threads);
    app.footer(kExamples);
    return [arguments] { return run(*arguments); };
}

}  // namespace strata::cli
